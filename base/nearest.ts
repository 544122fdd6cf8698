/** Finds the word a person may have meant. */

/** Letters to insert, delete or replace to turn `a` into `b` (Levenshtein 1966). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}

/** Share of the letters that may differ. */
const SIMILAR = 1 / 3;

/**
 * For the end of a message about an unknown word: the one of `known` with the least letters changed, the first of equals,
 * if it is similar, and all of them.
 */
export function suggest(word: string, known: readonly string[]): string {
  const distances = known.map((name) => editDistance(word.toLowerCase(), name.toLowerCase()));
  const least = Math.min(...distances);
  const name = known[distances.indexOf(least)];
  const isSimilar = least <= SIMILAR * Math.max(word.length, name.length);
  return `${isSimilar ? `; did you mean ${name}?` : '.'} There are: ${known.join(', ')}`;
}
