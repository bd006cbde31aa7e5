import type { Arena } from '../memory/arena.js';
import {
  NODE_BITS,
  NODE_BRANCH,
  NODE_CHILDREN,
  NODE_ENTRY,
  NODE_NEXT_FREE,
  NODE_PREFIX,
  NODE_STATE,
  TRIE_ENTRIES,
  TRIE_FREE,
  TRIE_FREE_COUNT,
  TRIE_FREE_LAST,
  TRIE_LOCK,
  TRIE_NODES,
  TRIE_ROOT,
  TRIE_STRIDE,
  TRIE_UNUSED,
} from '../memory/layout.js';
import type { ArenaMapInfo } from './arena-map.js';

/** Where the nodes of an LPM_TRIE are. */
export interface TrieAudit {
  /** Prefixes of the map. */
  readonly entries: number;
  /** Nodes where two prefixes part. */
  readonly branches: number;
  readonly free: number;
  /** What is broken, in words; empty for a map that is whole. */
  readonly faults: readonly string[];
}

/** Walk a trie that no CPU is working on, and say whether each node that was used is in exactly one place. */
export function auditTrie(arena: Arena, info: ArenaMapInfo): TrieAudit {
  const word = (at: number) => Atomics.load(arena.u32, at >>> 2);
  const own = (offset: number) => word(info.descriptor + offset);
  const faults: string[] = [];
  const seen = new Set<number>();
  const counts = { entries: 0, branches: 0, free: 0 };
  const bitOf = (node: number, index: number) =>
    (arena.u8[node + NODE_PREFIX + (index >>> 3)]! >>> (7 - (index & 7))) & 1;

  /** Note a node; false where it was seen before. */
  const isNew = (node: number) => {
    if (seen.has(node)) faults.push(`node ${node} is in two places`);
    const isFresh = !seen.has(node);
    seen.add(node);
    return isFresh;
  };
  const left: { node: number; parent: number; bit: number }[] = [];
  const root = own(TRIE_ROOT);
  if (root !== 0) left.push({ node: root, parent: 0, bit: 0 });
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { node, parent, bit } = next;
    if (!isNew(node)) continue;
    const bits = word(node + NODE_BITS);
    const state = word(node + NODE_STATE);
    const children = [word(node + NODE_CHILDREN), word(node + NODE_CHILDREN + 4)];
    if (state === NODE_ENTRY) counts.entries++;
    else if (state === NODE_BRANCH) counts.branches++;
    else faults.push(`node ${node} has state ${state}`);
    if (state === NODE_BRANCH && children.includes(0)) faults.push(`branch ${node} has not two children`);
    if (parent !== 0) {
      const parentBits = word(parent + NODE_BITS);
      if (bits <= parentBits) faults.push(`node ${node} has no more bits than its parent`);
      for (let i = 0; i < parentBits; i++) {
        if (bitOf(node, i) !== bitOf(parent, i)) faults.push(`node ${node} is not under its parent's prefix`);
      }
      if (bitOf(node, parentBits) !== bit) faults.push(`node ${node} is on the wrong side`);
    }
    for (const [side, child] of children.entries()) {
      if (child !== 0) left.push({ node: child, parent: node, bit: side });
    }
  }

  let last = 0;
  const count = own(TRIE_FREE_COUNT);
  for (let node = own(TRIE_FREE); counts.free < count; node = word(node + NODE_NEXT_FREE)) {
    if (node === 0 || !isNew(node)) break;
    counts.free++;
    last = node;
  }
  if (counts.free !== count) faults.push(`${counts.free} nodes are free, and ${count} are counted`);
  else if (count > 0 && last !== own(TRIE_FREE_LAST)) faults.push('the last free node is another');
  const used = (own(TRIE_UNUSED) - own(TRIE_NODES)) / own(TRIE_STRIDE);
  if (seen.size !== used) faults.push(`${used - seen.size} of ${used} nodes are lost`);
  if (own(TRIE_ENTRIES) !== counts.entries)
    faults.push(`${counts.entries} entries, and ${own(TRIE_ENTRIES)} are counted`);
  if (own(TRIE_LOCK) !== 0) faults.push(`the lock is held by CPU ${own(TRIE_LOCK) - 1}`);
  return { ...counts, faults };
}
