import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Instruction } from '../isa/instruction.js';
import {
  dominance,
  type Graph,
  immediateDominators,
  isReducible,
  positions,
  reversePostorder,
  splitFunctions,
  successors,
  type Terminator,
} from './cfg.js';

const mov = (slot: number): Instruction => ({
  slot,
  kind: 'alu',
  op: 'mov',
  width: 64,
  dst: 0,
  src: { kind: 'imm', value: slot },
});
const branch = (slot: number, target: number): Instruction => ({
  slot,
  kind: 'branch',
  op: 'jeq',
  width: 64,
  dst: 0,
  src: { kind: 'imm', value: 0 },
  target,
});
const jump = (slot: number, target: number): Instruction => ({ slot, kind: 'jump', target });
const call = (slot: number, target: number): Instruction => ({ slot, kind: 'call-local', target });
const exit = (slot: number): Instruction => ({ slot, kind: 'exit' });
const imm64 = (slot: number): Instruction => ({
  slot,
  kind: 'imm64',
  dst: 1,
  imm: { kind: 'value', value: 1n },
});

const outline = (instructions: readonly Instruction[]) =>
  splitFunctions(instructions).map(({ slot, blocks }) => ({
    slot,
    blocks: blocks.map(({ instructions: body, terminator }) => [body.map((each) => each.slot), terminator]),
  }));

describe('splitFunctions', () => {
  it('ends blocks at jumps and where one lands', () => {
    expect(outline([mov(0), branch(1, 3), mov(2), mov(3), exit(4)])).toEqual([
      {
        slot: 0,
        blocks: [
          [[0], { kind: 'branch', taken: 2, next: 1 }],
          [[2], { kind: 'goto', to: 2 }],
          [[3], { kind: 'exit' }],
        ],
      },
    ]);
  });
  it('counts slots, of which LD_IMM64 has two', () => {
    expect(outline([imm64(0), branch(2, 4), mov(3), exit(4)])[0]?.blocks[0]).toEqual([
      [0],
      { kind: 'branch', taken: 2, next: 1 },
    ]);
  });
  it('leaves out what nothing reaches', () => {
    expect(outline([jump(0, 2), mov(1), exit(2)])).toEqual([
      {
        slot: 0,
        blocks: [
          [[], { kind: 'goto', to: 1 }],
          [[], { kind: 'exit' }],
        ],
      },
    ]);
  });
  it('takes a branch to the next instruction for none', () => {
    expect(outline([branch(0, 1), exit(1)])[0]?.blocks[0]).toEqual([[], { kind: 'goto', to: 1 }]);
  });
  it('gives each function its own blocks, the entry first', () => {
    const functions = outline([call(0, 4), call(1, 2), exit(2), mov(3), mov(4), exit(5)]);
    expect(functions.map(({ slot }) => slot)).toEqual([0, 2, 4]);
    expect(functions.map(({ blocks }) => blocks.length)).toEqual([2, 1, 1]);
  });
});

const terminators = (size: number): fc.Arbitrary<Terminator> => {
  const node = fc.integer({ min: 0, max: size - 1 });
  return fc.oneof(
    fc.constant<Terminator>({ kind: 'exit' }),
    node.map((to): Terminator => ({ kind: 'goto', to })),
    fc.tuple(node, node).map(([taken, next]): Terminator => ({ kind: 'branch', taken, next })),
  );
};
const graphs: fc.Arbitrary<Graph> = fc
  .integer({ min: 1, max: 12 })
  .chain((size) => fc.array(terminators(size), { minLength: size, maxLength: size }));

/** Nodes that the entry reaches without passing through `without`. */
function reach(graph: Graph, without?: number): Set<number> {
  const seen = new Set<number>();
  const work = without === 0 ? [] : [0];
  for (let node = work.pop(); node !== undefined; node = work.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const to of successors(graph[node]!)) if (to !== without) work.push(to);
  }
  return seen;
}

describe('any graph', () => {
  it('reverse postorder holds what is reached, each once, every node after its immediate dominator', () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const order = reversePostorder(graph);
        expect(order[0]).toBe(0);
        expect([...order].sort((a, b) => a - b)).toEqual([...reach(graph)].sort((a, b) => a - b));
        const position = positions(graph.length, order);
        const dominator = immediateDominators(graph, order, position);
        for (const node of order.slice(1)) expect(position[dominator[node]!]).toBeLessThan(position[node]!);
      }),
    );
  });
  it('the immediate dominator cuts its node off, and every other dominator cuts it off too', () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const order = reversePostorder(graph);
        const dominator = immediateDominators(graph, order, positions(graph.length, order));
        for (const node of order.slice(1)) {
          const strict = order.filter((above) => above !== node && !reach(graph, above).has(node));
          const chain: number[] = [];
          for (let at = node; at !== 0; ) {
            at = dominator[at]!;
            chain.push(at);
          }
          expect(chain.sort((a, b) => a - b)).toEqual(strict.sort((a, b) => a - b));
        }
      }),
    );
  });
  it('a node dominates what it cuts off, and itself', () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const order = reversePostorder(graph);
        const dominates = dominance(order, immediateDominators(graph, order, positions(graph.length, order)));
        for (const above of order)
          for (const node of order)
            expect(dominates(above, node)).toBe(above === node || !reach(graph, above).has(node));
      }),
    );
  });
});

describe('isReducible', () => {
  const goto = (to: number): Terminator => ({ kind: 'goto', to });
  const fork = (taken: number, next: number): Terminator => ({ kind: 'branch', taken, next });
  const end: Terminator = { kind: 'exit' };
  const rows: readonly (readonly [string, Graph, boolean])[] = [
    ['a straight line', [goto(1), end], true],
    ['a loop', [goto(1), fork(1, 2), end], true],
    ['a loop in a loop', [goto(1), goto(2), fork(2, 3), fork(1, 4), end], true],
    ['a loop that is entered twice', [fork(1, 2), goto(2), fork(1, 3), end], false],
    ['the same, in a loop', [fork(1, 2), goto(2), fork(1, 3), fork(0, 4), end], false],
  ];
  for (const [name, graph, expected] of rows) it(name, () => expect(isReducible(graph)).toBe(expected));
});
