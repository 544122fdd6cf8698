/** Many images for one model, as many at a time as its processes take: more once it has helpers. */
import pLimit from 'p-limit';

export function widthLimit(host: { readonly width: number }): <T>(work: () => Promise<T>) => Promise<T> {
  const limit = pLimit(host.width);
  return (work) =>
    limit(() => {
      limit.concurrency = host.width;
      return work();
    });
}
