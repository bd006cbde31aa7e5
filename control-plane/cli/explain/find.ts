/** Part of a message that only one fault has, and its code: messages that come without a code. */
const PHRASES: readonly (readonly [RegExp, string])[] = [
  [/does not exist/i, 'STATE_NOT_FOUND'],
  [/is already served by|already exists|is taken/i, 'STATE_EXISTS'],
  [/address is in use/i, 'LISTEN_IN_USE'],
  [/cannot be changed to/i, 'STATE_IMMUTABLE'],
  [/next hop is unreachable/i, 'empty_ring'],
  [/cannot reach the server/i, 'exit 69'],
  [/did not answer within/i, 'DEADLINE_EXCEEDED'],
  [/certificate/i, 'SECURITY_CERTIFICATE'],
  [/internal error/i, 'INTERNAL'],
];

/** Edits that make one text of the other, each inserting, deleting or replacing a character. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

const MAX_SIMILAR = 5;

/** What a text is about. */
export type Found =
  | { readonly kind: 'found'; readonly words: readonly string[] }
  /** Nothing; these are spelt much like it, or begin so. */
  | { readonly kind: 'similar'; readonly words: readonly string[] };

/** A text without case and with "_" between its words, as codes and reasons are compared. */
const normal = (text: string) =>
  text
    .trim()
    .replace(/[\s-]+/g, '_')
    .toUpperCase();

/**
 * The words of a table that a text is about: itself, codes within a message, or what only one message says.
 * @param text a code, a reason, a counter, or a message as it was printed
 */
export function find(codes: ReadonlyMap<string, unknown>, text: string): Found {
  const byNormal = new Map([...codes.keys()].map((word) => [normal(word), word]));
  const asked = normal(text);
  const exact = byNormal.get(asked);
  if (exact !== undefined) return { kind: 'found', words: [exact] };
  const within = [...text.matchAll(/[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+/g)]
    .map(([word]) => byNormal.get(normal(word)))
    .filter((word) => word !== undefined);
  if (within.length > 0) return { kind: 'found', words: [...new Set(within)] };
  const phrase = PHRASES.find(([pattern]) => pattern.test(text));
  if (phrase !== undefined) return { kind: 'found', words: [phrase[1]] };
  const near = [...byNormal]
    .map(([key, word]) => ({ word, far: key.startsWith(asked) ? 0 : distance(key, asked) }))
    .filter(({ word, far }) => far <= Math.max(2, Math.floor(word.length / 4)))
    .sort((a, b) => a.far - b.far || a.word.localeCompare(b.word));
  return { kind: 'similar', words: near.slice(0, MAX_SIMILAR).map(({ word }) => word) };
}
