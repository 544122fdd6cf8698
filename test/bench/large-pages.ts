/** What `alexnet train` starts itself with where it can (cli/large-pages.ts). */
export const largePages = process.platform === 'linux' ? { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' } : {};
