/**
 * The running C library's version, e.g. `2.36`; undefined on systems without glibc, such as Alpine with musl, macOS and
 * Windows.
 */
export function glibcVersion(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime;
}
