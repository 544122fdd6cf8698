/** What the process for views does: computes one view at a time, step by step as the server asks. */
import { isOutOfMemory, withMemory } from '../../../base/out-of-memory.js';
import { RequestError } from '../../errors.js';
import type { FromViewer, ToViewer, ViewPart, ViewRequest } from './messages.js';

interface Viewer {
  view(request: ViewRequest): AsyncGenerator<ViewPart>;
}

/** @param open  called at the first view */
export function runViewsLoop(open: () => Promise<Viewer>): void {
  const send = (message: FromViewer) => void process.send?.(message);
  let viewer: Promise<Viewer> | undefined;
  let current: { id: number; parts: AsyncGenerator<ViewPart> } | undefined;

  async function* partsOf(request: ViewRequest): AsyncGenerator<ViewPart> {
    viewer ??= open().catch((error) => {
      viewer = undefined;
      throw error;
    });
    yield* (await viewer).view(request);
  }
  const receive = async (message: ToViewer) => {
    const { id } = message;
    if (message.type === 'view') current = { id, parts: partsOf(message.request) };
    else if (current?.id !== id) return;
    else if (message.type === 'cancel') current = undefined;
    else {
      const { value, done = false } = await current.parts.next();
      send({ type: 'part', id, part: value ?? undefined, done });
    }
  };
  // One after another: a cancellation is read after the step that is under way.
  let turn: Promise<void> = Promise.resolve();
  process.on('message', (message: ToViewer) => {
    turn = turn.then(() =>
      receive(message).catch((error: unknown) => {
        current = undefined;
        if (error instanceof RequestError)
          send({ type: 'refused', id: message.id, code: error.code, message: error.message });
        else {
          const told = isOutOfMemory(error) ? withMemory(error).message : error instanceof Error ? error.stack : error;
          send({ type: 'fault', line: `a view failed: ${told}` });
          send({ type: 'refused', id: message.id, code: 'VIEW_FAILED', message: 'the view could not be computed' });
        }
      }),
    );
  });
}
