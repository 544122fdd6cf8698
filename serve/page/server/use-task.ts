/** Work that a view asks for: started, cancelled, and restarted when what it depends on changes. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

export type Task<T> =
  | { state: 'idle' }
  | { state: 'working' }
  | { state: 'cancelled' }
  | { state: 'done'; value: T }
  | { state: 'failed'; error: unknown };

const IDLE = { state: 'idle' } as const;
const WORKING = { state: 'working' } as const;

export interface Running<T> {
  task: Task<T>;
  start(): void;
  cancel(): void;
}

/**
 * @param work   rejects when the signal aborts
 * @param needs  where these change, a result is out of date: what runs is aborted
 * @param auto   started at once, and again at every change; if it becomes false, what runs is aborted, and starts again
 *   once it is true
 */
export function useTask<T>(
  work: (signal: AbortSignal) => Promise<T>,
  needs: readonly unknown[],
  auto = false,
): Running<T> {
  const [{ task, of }, setState] = useState<{ task: Task<T>; of: readonly unknown[] }>({ task: IDLE, of: needs });
  const controller = useRef<AbortController>(undefined);
  const latest = useRef({ work, needs });
  latest.current = { work, needs };

  const start = useCallback(() => {
    controller.current?.abort();
    const own = new AbortController();
    controller.current = own;
    const { work: begun, needs: of } = latest.current;
    const show = (next: Task<T>) => {
      if (!own.signal.aborted) setState({ task: next, of });
    };
    setState({ task: WORKING, of });
    begun(own.signal).then(
      (value) => show({ state: 'done', value }),
      (error) => show({ state: 'failed', error }),
    );
  }, []);
  const cancel = useCallback(() => {
    controller.current?.abort();
    setState({ task: { state: 'cancelled' }, of: latest.current.needs });
  }, []);

  // Between a change and the effect of it, what is known is of something else.
  const isOfThese = of.length === needs.length && of.every((one, i) => one === needs[i]);
  const current = isOfThese ? task : auto ? WORKING : IDLE;
  useEffect(() => {
    if (auto && !(isOfThese && (task.state === 'done' || task.state === 'cancelled'))) start();
    return () => controller.current?.abort();
  }, [auto, ...needs]);
  return { task: current, start, cancel };
}
