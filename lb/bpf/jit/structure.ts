import { assert, assertNever } from '../../errors.js';
import {
  dominance,
  type Graph,
  immediateDominators,
  positions,
  reversePostorder,
  successors,
} from './cfg.js';

/**
 * Structured control flow. Labels are nodes: a `br` to one leaves the block, or repeats the loop, that is
 * labelled with it. Conditions are those of the node's branch; `negate` turns one round.
 */
export type Shape =
  | { readonly kind: 'block'; readonly label: number; readonly body: readonly Shape[] }
  | { readonly kind: 'loop'; readonly label: number; readonly body: readonly Shape[] }
  /** The straight-line code of a node. */
  | { readonly kind: 'code'; readonly node: number }
  | { readonly kind: 'if'; readonly node: number; readonly body: readonly Shape[] }
  | { readonly kind: 'br'; readonly label: number }
  | { readonly kind: 'br-if'; readonly node: number; readonly negate: boolean; readonly label: number }
  | { readonly kind: 'br-table'; readonly node: number; readonly labels: readonly number[] }
  | { readonly kind: 'return'; readonly node: number };

/**
 * Nest a reducible graph into blocks and loops (Ramsey, "Beyond Relooper", ICFP 2022, §3–5): code follows the
 * dominator tree, a loop's header opens a loop, and a node that several forward edges reach (a merge node)
 * follows a block that encloses its dominator's code. No path runs past the end of what is returned.
 */
export function structure(graph: Graph): Shape[] {
  const order = reversePostorder(graph);
  const position = positions(graph.length, order);
  const dominator = immediateDominators(graph, order, position);
  const dominates = dominance(order, dominator);

  const forward = new Int32Array(graph.length);
  const isHeader = new Uint8Array(graph.length);
  for (const node of order) {
    const terminator = graph[node]!;
    for (const to of successors(terminator)) {
      if (position[to]! > position[node]!) forward[to]! += terminator.kind === 'switch' ? 2 : 1;
      else {
        assert(dominates(to, node), `loop at ${to} has one entry`);
        isHeader[to] = 1;
      }
    }
  }
  const isMerge = (node: number) => forward[node]! >= 2;
  /** Merge nodes that each node dominates immediately, the last in the order first. */
  const merges: number[][] = graph.map(() => []);
  for (const node of [...order].reverse()) if (isMerge(node)) merges[dominator[node]!]!.push(node);
  const isLabelled = (from: number, to: number) => isMerge(to) || position[to]! <= position[from]!;

  const root: Shape[] = [];
  // What is still to be placed, innermost last: a node's tree and the end of the list that it goes to.
  const pending: { readonly node: number; readonly out: Shape[] }[] = [{ node: order[0] ?? 0, out: root }];
  for (let work = pending.pop(); work !== undefined; work = pending.pop()) {
    const { node } = work;
    let { out } = work;
    const open = (kind: 'block' | 'loop', label: number) => {
      const body: Shape[] = [];
      out.push({ kind, label, body });
      out = body;
    };
    if (isHeader[node]) open('loop', node);
    for (const merge of merges[node]!) {
      pending.push({ node: merge, out });
      open('block', merge);
    }
    out.push({ kind: 'code', node });
    const terminator = graph[node]!;
    switch (terminator.kind) {
      case 'exit':
        out.push({ kind: 'return', node });
        break;
      case 'goto':
        if (isLabelled(node, terminator.to)) out.push({ kind: 'br', label: terminator.to });
        else pending.push({ node: terminator.to, out });
        break;
      case 'branch': {
        const { taken, next } = terminator;
        if (isLabelled(node, taken)) {
          out.push({ kind: 'br-if', node, negate: false, label: taken });
          if (isLabelled(node, next)) out.push({ kind: 'br', label: next });
          else pending.push({ node: next, out });
        } else if (isLabelled(node, next)) {
          out.push({ kind: 'br-if', node, negate: true, label: next });
          pending.push({ node: taken, out });
        } else {
          const body: Shape[] = [];
          out.push({ kind: 'if', node, body });
          pending.push({ node: next, out }, { node: taken, out: body });
        }
        break;
      }
      case 'switch':
        out.push({ kind: 'br-table', node, labels: terminator.targets });
        break;
      default:
        assertNever(terminator);
    }
  }
  return root;
}
