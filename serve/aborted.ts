/** Rejects when `signal` aborts; an error that nobody awaits by then is ignored. */
export function aborted(signal: AbortSignal): Promise<never> {
  const gone = new Promise<never>((_, reject) => {
    const fail = () => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
  gone.catch(() => undefined);
  return gone;
}
