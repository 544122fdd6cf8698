/**
 * Memory of large programs that stays with the process. A training step of AlexNet writes some 4 GB. As glibc comes, it
 * gives large blocks back to the kernel once they are free, and the next step is handed them again, zeroed, in pages
 * of 4 kB: with that a step of 16 images takes half as much processor time again. Source: mallopt(3), madvise(2).
 */
import { createRequire } from 'node:module';
import { totalmem } from 'node:os';
import { glibcVersion } from '../../base/process/glibc-version.js';

/** Parameters of mallopt (glibc's malloc.h). */
const M_TRIM_THRESHOLD = -1;
const M_MMAP_MAX = -4;
const NEVER = -1;
const NO_BLOCKS = 0;

/** <sys/mman.h> */
const MADV_HUGEPAGE = 14;
const LARGE_PAGE_BYTES = 2 ** 21;
/** Of addresses for which large pages are asked, more than a step uses. No memory until it is written to. */
const RESERVED_BYTES = 2 ** 33;

let keeps: boolean | undefined;

/** Whether `keepMemory` had an effect. */
export const keepsMemory = (): boolean => keeps === true;

/**
 * From now on this process keeps the memory it frees, for its next use, and asks for it in large pages. For programs
 * that train large models: their memory stays as large as its peak.
 * @returns  false on systems without glibc (macOS, Windows, Alpine), where it does nothing
 */
export function keepMemory(): boolean {
  keeps ??= glibcVersion() !== undefined && useHeapAlone();
  return keeps;
}

/** All memory comes from the heap, which never shrinks. */
function useHeapAlone(): boolean {
  const libc = loadLibc();
  if (!libc) return false;
  const mallopt = libc.func('int mallopt(int, int)');
  if (mallopt(M_MMAP_MAX, NO_BLOCKS) !== 1 || mallopt(M_TRIM_THRESHOLD, NEVER) !== 1) return false;
  // Freed at once, the block becomes the end of the heap, from which all later ones are cut.
  const bytes = Math.min(RESERVED_BYTES, totalmem() / 2);
  const block = Number(libc.func('uintptr_t malloc(size_t)')(bytes));
  if (block === 0) return true; // a limit on addresses: small pages
  const start = Math.ceil(block / LARGE_PAGE_BYTES) * LARGE_PAGE_BYTES;
  libc.func('int madvise(uintptr_t, size_t, int)')(start, bytes - LARGE_PAGE_BYTES, MADV_HUGEPAGE);
  libc.func('void free(uintptr_t)')(block);
  return true;
}

function loadLibc(): ReturnType<typeof import('koffi')['load']> | undefined {
  try {
    return (createRequire(import.meta.url)('koffi') as typeof import('koffi')).load(null);
  } catch {
    return undefined; // koffi has no binary for this processor
  }
}
