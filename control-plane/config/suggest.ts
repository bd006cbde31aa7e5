/** Edits of one character that lead from one word to another (Levenshtein), case aside. */
function distance(from: string, to: string): number {
  const [a, b] = [from.toLowerCase(), to.toLowerCase()];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Words longer than this are no slip of the pen. */
const MAX_WORD = 64;

/** The word that was most likely meant; undefined where none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_WORD) return undefined;
  const plain = word.replace(/[-_ ]/g, '').toLowerCase();
  if (plain === '') return undefined;
  // Part of a word is nearer than any number of edits: "timeout" means "udpTimeout".
  const whole = known.filter((other) => {
    const lower = other.toLowerCase();
    return plain.length >= 3 && (lower.includes(plain) || (lower.length >= 3 && plain.includes(lower)));
  });
  const ranked = (whole.length > 0 ? whole : known)
    .map((other) => ({ other, edits: distance(plain, other) }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  if (best === undefined) return undefined;
  const limit = whole.length > 0 ? MAX_WORD : Math.max(2, Math.floor(plain.length / 3));
  return best.edits <= limit ? best.other : undefined;
}
