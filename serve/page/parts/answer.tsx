/** The states of a task: at work, failed, done. */
import type { ComponentChildren } from 'preact';
import { isHopeless, Refused, sentence } from '../server/request.js';
import type { Running } from '../server/use-task.js';

interface AnswerProps<T> {
  of: Running<T>;
  /** Said while it runs, e.g. "Computing the activations". */
  working: string;
  children: (value: T) => ComponentChildren;
}

export function Answer<T>({ of: { task, start, cancel }, working, children }: AnswerProps<T>) {
  switch (task.state) {
    case 'idle':
      return null;
    case 'working':
      return (
        <p class="status" role="status">
          {working}…{' '}
          <button type="button" onClick={cancel}>
            Cancel
          </button>
        </p>
      );
    case 'cancelled':
      return <Cancelled again={start} />;
    case 'failed':
      return <Failure error={task.error} again={start} />;
    case 'done':
      return children(task.value);
  }
}

export function Cancelled({ again }: { again(): void }) {
  return (
    <p class="status" role="status">
      Cancelled.{' '}
      <button type="button" onClick={again}>
        Start again
      </button>
    </p>
  );
}

/** An error as a sentence. What this server cannot show at all is not a fault, and trying again is no use. */
export function Failure({ error, again }: { error: unknown; again?: () => void }) {
  if (error instanceof Refused && error.code === 'VIEW_UNAVAILABLE') {
    return (
      <p class="status" role="status">
        {sentence(error)}
      </p>
    );
  }
  return (
    <p class="fault" role="alert">
      {sentence(error)}
      {again && !isHopeless(error) && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </p>
  );
}
