/**
 * The name that somebody probably meant.
 *
 * @module
 */

/** The candidate with the fewest typing mistakes from `word`; undefined where none is near. */
export function nearestName(word: string, candidates: readonly string[]): string | undefined {
  // A third of the word may be wrong, but of a short word not more than one letter.
  let best = Math.max(1, Math.floor(word.length / 3)) + 1;
  let nearest: string | undefined;
  for (const candidate of candidates) {
    // So many letters are missing or too much at least; a word may be as long as a stranger makes it.
    if (Math.abs(word.length - candidate.length) >= best) continue;
    const distance = editDistance(word, candidate);
    if (distance < best) [best, nearest] = [distance, candidate];
  }
  return nearest;
}

/** How many letters to add, drop, replace or exchange with their neighbour (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1];
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (swapped) cost = Math.min(cost, beforeLast[j - 2]! + 1);
      row.push(cost);
    }
    [beforeLast, last] = [last, row];
  }
  return last[to.length]!;
}
