/** Clients need not know where on this machine files are. */
import { sep } from 'node:path';

/** How an absolute path of any system begins: `/srv`, `C:\srv`, `\\server`. */
const START = String.raw`(?:[A-Za-z]:[\\/]|/|\\\\)`;
/** A whole one between quotes, if it may have blanks, or free; the last groups are its last part. */
const QUOTED = new RegExp(String.raw`(["'])${START}[^"']*[\\/]([^"'\\/]*)\1`, 'g');
const FREE = new RegExp(String.raw`(?<![\w.~>)\]/\\-])${START}(?:[^\s\\/"':,;]+[\\/])+([^\s\\/"':,;]*)`, 'g');

/**
 * @param folders  left out where a path begins with one; what stands behind is kept
 * @returns        the text; of other absolute paths the last part
 */
export function withoutPaths(text: string, folders: readonly string[] = []): string {
  const longestFirst = folders.filter((folder) => folder !== '').sort((a, b) => b.length - a.length);
  const relative = longestFirst.reduce(
    (said, folder) => [sep, '/'].reduce((each, slash) => each.replaceAll(`${folder}${slash}`, ''), said),
    text,
  );
  return relative.replace(QUOTED, '$1$2$1').replace(FREE, '$1');
}
