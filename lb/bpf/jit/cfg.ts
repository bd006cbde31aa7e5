import { assert } from '../../errors.js';
import { calledFunction, type Instruction, type Of } from '../isa/instruction.js';

/** Why a block ends, and the blocks that follow it by index. */
export type Terminator =
  | { readonly kind: 'exit' }
  | { readonly kind: 'goto'; readonly to: number }
  | { readonly kind: 'branch'; readonly taken: number; readonly next: number }
  /** Made by the compiler, never by a program: the next block is targets[i] for an i that is set before. */
  | { readonly kind: 'switch'; readonly targets: readonly number[] };

/** Straight-line instructions. `branch` is the instruction that decides a terminator of that kind. */
export interface BasicBlock {
  readonly instructions: readonly Instruction[];
  readonly branch?: Of<'branch'>;
  readonly terminator: Terminator;
}

/** One BPF function. Block 0 is its entry; every block can be reached from there. */
export interface BpfFunction {
  readonly slot: number;
  readonly blocks: readonly BasicBlock[];
}

export function successors(terminator: Terminator): readonly number[] {
  switch (terminator.kind) {
    case 'exit':
      return [];
    case 'goto':
      return [terminator.to];
    case 'branch':
      return [terminator.taken, terminator.next];
    case 'switch':
      return terminator.targets;
  }
}

/**
 * The functions of a program: the one at its first slot, then those that it calls and its callbacks, ascending.
 * Code that nothing reaches is left out.
 * @param instructions structurally checked: every jump lands on an instruction, no path runs past the end
 */
export function splitFunctions(instructions: readonly Instruction[]): BpfFunction[] {
  const indexOf = new Map(instructions.map(({ slot }, index) => [slot, index]));
  const at = (slot: number): number => {
    const index = indexOf.get(slot);
    assert(index !== undefined, `slot ${slot} holds an instruction`);
    return index;
  };
  const leaders = new Set<number>([0]);
  const entries = new Set<number>([0]);
  for (const [index, instruction] of instructions.entries()) {
    const called = calledFunction(instruction);
    if (called !== undefined) {
      leaders.add(at(called));
      entries.add(at(called));
    } else if (instruction.kind === 'jump' || instruction.kind === 'branch') {
      leaders.add(at(instruction.target));
      leaders.add(index + 1);
    } else if (instruction.kind === 'exit') leaders.add(index + 1);
  }
  return [...entries].sort((a, b) => a - b).map((entry) => functionAt(instructions, entry, at, leaders));
}

function functionAt(
  instructions: readonly Instruction[],
  entry: number,
  at: (slot: number) => number,
  leaders: ReadonlySet<number>,
): BpfFunction {
  const numberOf = new Map<number, number>();
  const starts: number[] = [];
  const blockAt = (start: number): number => {
    const known = numberOf.get(start);
    if (known !== undefined) return known;
    numberOf.set(start, starts.length);
    starts.push(start);
    return starts.length - 1;
  };
  const readBlock = (start: number): BasicBlock => {
    for (let index = start; ; index++) {
      const instruction = instructions[index];
      assert(instruction !== undefined, 'control stays inside the program');
      const body = (end: number) => instructions.slice(start, end);
      if (instruction.kind === 'exit') return { instructions: body(index), terminator: { kind: 'exit' } };
      if (instruction.kind === 'jump')
        return {
          instructions: body(index),
          terminator: { kind: 'goto', to: blockAt(at(instruction.target)) },
        };
      if (instruction.kind === 'branch') {
        const next = blockAt(index + 1);
        const taken = blockAt(at(instruction.target));
        if (taken === next) return { instructions: body(index), terminator: { kind: 'goto', to: next } };
        return {
          instructions: body(index),
          branch: instruction,
          terminator: { kind: 'branch', taken, next },
        };
      }
      if (leaders.has(index + 1))
        return { instructions: body(index + 1), terminator: { kind: 'goto', to: blockAt(index + 1) } };
    }
  };
  const blocks: BasicBlock[] = [];
  blockAt(entry);
  for (let block = 0; block < starts.length; block++) blocks.push(readBlock(starts[block]!));
  return { slot: instructions[entry]!.slot, blocks };
}

/** A control-flow graph: node 0 is the entry. */
export type Graph = readonly Terminator[];

/** Nodes that the entry reaches, each before its successors but for back edges. The fall-through comes first. */
export function reversePostorder(graph: Graph): number[] {
  const seen = new Uint8Array(graph.length);
  const postorder: number[] = [];
  const stack: { readonly node: number; readonly next: readonly number[]; at: number }[] = [];
  const enter = (node: number) => {
    seen[node] = 1;
    stack.push({ node, next: successors(graph[node]!), at: 0 });
  };
  if (graph.length > 0) enter(0);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const node = top.next[top.at++];
    if (node === undefined) {
      postorder.push(top.node);
      stack.pop();
    } else if (!seen[node]) enter(node);
  }
  return postorder.reverse();
}

/** Predecessors of each node, one entry an edge. */
function predecessors(graph: Graph): number[][] {
  const result: number[][] = graph.map(() => []);
  for (const [node, terminator] of graph.entries())
    for (const to of successors(terminator)) result[to]!.push(node);
  return result;
}

/**
 * Immediate dominators (Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm", 2001).
 * @param order    reverse postorder
 * @param position place of each node in `order`, −1 for a node that is not reached
 * @returns dominator of each node; the entry's is itself, −1 for a node that is not reached
 */
export function immediateDominators(
  graph: Graph,
  order: readonly number[],
  position: Int32Array,
): Int32Array {
  const preds = predecessors(graph);
  const dominator = new Int32Array(graph.length).fill(-1);
  const [entry] = order;
  if (entry === undefined) return dominator;
  dominator[entry] = entry;
  const meet = (a: number, b: number): number => {
    let [left, right] = [a, b];
    while (left !== right) {
      while (position[left]! > position[right]!) left = dominator[left]!;
      while (position[right]! > position[left]!) right = dominator[right]!;
    }
    return left;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of order) {
      if (node === entry) continue;
      let found = -1;
      for (const pred of preds[node]!) {
        if (dominator[pred] === -1) continue;
        found = found === -1 ? pred : meet(pred, found);
      }
      if (found !== dominator[node]) {
        dominator[node] = found;
        changed = true;
      }
    }
  }
  return dominator;
}

/** Place of each node in `order`, −1 for one that is not in it. */
export function positions(size: number, order: readonly number[]): Int32Array {
  const position = new Int32Array(size).fill(-1);
  for (const [index, node] of order.entries()) position[node] = index;
  return position;
}

/**
 * Tells of any two nodes whether the first dominates the second; a node dominates itself.
 * @param order     reverse postorder
 * @param dominator immediate dominators
 */
export function dominance(
  order: readonly number[],
  dominator: Int32Array,
): (above: number, node: number) => boolean {
  // Numbers of a walk of the dominator tree: what a node dominates lies between its first and its last.
  const size = new Int32Array(dominator.length).fill(1);
  for (let i = order.length - 1; i > 0; i--) size[dominator[order[i]!]!]! += size[order[i]!]!;
  const first = new Int32Array(dominator.length);
  const next = new Int32Array(dominator.length);
  for (const [i, node] of order.entries()) {
    if (i > 0) {
      const parent = dominator[node]!;
      first[node] = next[parent]!;
      next[parent]! += size[node]!;
    }
    next[node] = first[node]! + 1;
  }
  return (above, node) => first[node]! >= first[above]! && first[node]! < first[above]! + size[above]!;
}

/** Whether every loop has one entry: each edge back goes to a node that dominates where it comes from. */
export function isReducible(graph: Graph): boolean {
  const order = reversePostorder(graph);
  const position = positions(graph.length, order);
  const dominates = dominance(order, immediateDominators(graph, order, position));
  return order.every((node) =>
    successors(graph[node]!).every((to) => position[to]! > position[node]! || dominates(to, node)),
  );
}
