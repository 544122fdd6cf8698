/**
 * Nodes that are computed asynchronously. If another node throws, the converter leaves them to themselves: what they
 * throw later would end the process, and what they compute would go into the next trace.
 */

const running = new Set<Promise<unknown>>();

/** A promise that nobody has to wait for, nor for those that follow it. */
class Watched<T> extends Promise<T> {
  // biome-ignore lint/suspicious/noThenProperty: of a promise
  override then<A = T, B = never>(
    done?: ((value: T) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    const next = super.then(done, failed);
    super.then.call(next, undefined, () => undefined as never);
    return next;
  }
}

/** The same value, for the converter; see `allSettled`. */
export function watched<T>(value: T): T | Promise<Awaited<T>> {
  if (!(value instanceof Promise)) return value;
  const ended = value.catch(() => undefined).finally(() => running.delete(ended));
  running.add(ended);
  return Watched.resolve(value) as Promise<Awaited<T>>;
}

/** Waits for all that is still computed. */
export async function allSettled(): Promise<void> {
  while (running.size > 0) await Promise.all(running);
}
