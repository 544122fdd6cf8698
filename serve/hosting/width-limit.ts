/**
 * Many images for one model, as many at a time as its processes take: more once it has helpers. It does not end before
 * they are answered.
 */
import pLimit from 'p-limit';

interface Host {
  readonly width: number;
  hold(): () => void;
}

export function widthLimit(host: Host): <T>(work: () => Promise<T>) => Promise<T> {
  const limit = pLimit(host.width);
  return (work) => {
    const release = host.hold();
    return limit(() => {
      limit.concurrency = host.width;
      return work();
    }).finally(release);
  };
}
