/** Work that a view asks for: started, cancelled, begun anew when what it depends on changes. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

export type Task<T> =
  | { state: 'idle' }
  | { state: 'working' }
  | { state: 'done'; value: T }
  | { state: 'failed'; error: unknown };

export interface Running<T> {
  task: Task<T>;
  start(): void;
  cancel(): void;
}

/**
 * @param work   rejects when the signal aborts
 * @param needs  where these change, a result is out of date: what runs is aborted
 * @param auto   started at once, and again at every change
 */
export function useTask<T>(
  work: (signal: AbortSignal) => Promise<T>,
  needs: readonly unknown[],
  auto = false,
): Running<T> {
  const [task, setTask] = useState<Task<T>>({ state: 'idle' });
  const controller = useRef<AbortController>(undefined);
  const latest = useRef(work);
  latest.current = work;

  const start = useCallback(() => {
    controller.current?.abort();
    const own = new AbortController();
    controller.current = own;
    const show = (next: Task<T>) => {
      if (!own.signal.aborted) setTask(next);
    };
    setTask({ state: 'working' });
    latest.current(own.signal).then(
      (value) => show({ state: 'done', value }),
      (error) => show({ state: 'failed', error }),
    );
  }, []);
  const cancel = useCallback(() => {
    controller.current?.abort();
    setTask({ state: 'idle' });
  }, []);

  useEffect(() => {
    if (auto) start();
    else setTask({ state: 'idle' });
    return () => controller.current?.abort();
  }, [auto, ...needs]);
  return { task, start, cancel };
}
