import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Graph, successors, type Terminator } from './cfg.js';
import { makeReducible } from './reduce.js';
import { type Shape, structure } from './structure.js';

/** Shapes as text: one line each, indented by what encloses it. */
function print(shapes: readonly Shape[], indent = ''): string[] {
  return shapes.flatMap((shape): string[] => {
    switch (shape.kind) {
      case 'block':
      case 'loop':
        return [`${indent}${shape.kind} ${shape.label}`, ...print(shape.body, `${indent}  `)];
      case 'if':
        return [`${indent}if ${shape.node}`, ...print(shape.body, `${indent}  `)];
      case 'br-if':
        return [`${indent}br ${shape.label} if ${shape.negate ? 'not ' : ''}${shape.node}`];
      case 'br-table':
        return [`${indent}br ${shape.labels.join(', ')}`];
      case 'br':
        return [`${indent}br ${shape.label}`];
      default:
        return [`${indent}${shape.kind} ${shape.node}`];
    }
  });
}

const exit: Terminator = { kind: 'exit' };
const goto = (to: number): Terminator => ({ kind: 'goto', to });
const branch = (taken: number, next: number): Terminator => ({ kind: 'branch', taken, next });

const GOLDEN: readonly { readonly name: string; readonly graph: Graph; readonly shape: readonly string[] }[] =
  [
    {
      name: 'straight code has no block',
      graph: [goto(1), exit],
      shape: ['code 0', 'code 1', 'return 1'],
    },
    {
      name: 'branch to two ends: the taken one is nested, the other follows',
      graph: [branch(1, 2), exit, exit],
      shape: ['code 0', 'if 0', '  code 1', '  return 1', 'code 2', 'return 2'],
    },
    {
      name: 'diamond: the join follows a block',
      graph: [branch(1, 2), goto(3), goto(3), exit],
      shape: [
        'block 3',
        '  code 0',
        '  if 0',
        '    code 1',
        '    br 3',
        '  code 2',
        '  br 3',
        'code 3',
        'return 3',
      ],
    },
    {
      name: 'early exits to one place stay flat',
      graph: [branch(3, 1), branch(3, 2), branch(3, 4), exit, exit],
      shape: [
        'block 3',
        '  code 0',
        '  br 3 if 0',
        '  code 1',
        '  br 3 if 1',
        '  code 2',
        '  br 3 if 2',
        '  code 4',
        '  return 4',
        'code 3',
        'return 3',
      ],
    },
    {
      name: 'a loop is left by what follows its header',
      graph: [goto(1), branch(2, 3), goto(1), exit],
      shape: ['code 0', 'loop 1', '  code 1', '  if 1', '    code 2', '    br 1', '  code 3', '  return 3'],
    },
    {
      name: 'a branch back that is not taken goes on',
      graph: [goto(1), branch(1, 2), exit],
      shape: ['code 0', 'loop 1', '  code 1', '  br 1 if 1', '  code 2', '  return 2'],
    },
    {
      name: 'a loop header that is a join too is block and loop',
      graph: [branch(1, 2), goto(3), goto(3), branch(3, 4), exit],
      shape: [
        'block 3',
        '  code 0',
        '  if 0',
        '    code 1',
        '    br 3',
        '  code 2',
        '  br 3',
        'loop 3',
        '  code 3',
        '  br 3 if 3',
        '  code 4',
        '  return 4',
      ],
    },
    {
      name: 'two joins of one node: the later one is outside',
      graph: [branch(3, 1), branch(4, 2), goto(3), goto(4), exit],
      shape: [
        'block 4',
        '  block 3',
        '    code 0',
        '    br 3 if 0',
        '    code 1',
        '    br 4 if 1',
        '    code 2',
        '    br 3',
        '  code 3',
        '  br 4',
        'code 4',
        'return 4',
      ],
    },
    {
      name: 'a loop with two entries goes through a switch',
      graph: [branch(1, 2), goto(2), branch(1, 3), exit],
      // 4 is the switch; 5 and 6 say where it goes for who comes from outside, 7 and 8 inside.
      shape: [
        'block 4',
        '  code 0',
        '  if 0',
        '    code 5',
        '    br 4',
        '  code 6',
        '  br 4',
        'loop 4',
        '  block 1',
        '    block 2',
        '      code 4',
        '      br 1, 2',
        '    code 2',
        '    if 2',
        '      code 7',
        '      br 4',
        '    code 3',
        '    return 3',
        '  code 1',
        '  code 8',
        '  br 4',
      ],
    },
  ];

describe('shapes', () => {
  for (const { name, graph, shape } of GOLDEN.slice(0, -1)) {
    it(name, () => {
      const reduced = makeReducible(graph);
      expect(reduced.graph).toEqual(graph);
      expect(print(structure(reduced.graph))).toEqual(shape);
    });
  }
  it('a loop with two entries goes through a switch', () => {
    const { graph, sets } = makeReducible(GOLDEN.at(-1)!.graph);
    expect(graph[4]).toEqual({ kind: 'switch', targets: [1, 2] });
    expect([...sets]).toEqual([
      [5, 0],
      [6, 1],
      [7, 0],
      [8, 1],
    ]);
    expect(graph.slice(0, 4)).toEqual([branch(5, 6), goto(8), branch(7, 3), exit]);
    expect(print(structure(graph))).toEqual(GOLDEN.at(-1)!.shape);
  });
  it('structure refuses a loop with two entries: that is a bug of the caller', () => {
    expect(() => structure(GOLDEN.at(-1)!.graph)).toThrow(/one entry/);
  });
});

/** Nodes visited, by a source of branch decisions; ends with −1 where the program ended, stops at the limit. */
interface Walk {
  readonly trace: number[];
  decide(node: number): boolean;
}
class Stop extends Error {}
const LIMIT = 200;

function makeWalk(decisions: readonly boolean[]): Walk {
  const trace: number[] = [];
  return { trace, decide: () => decisions[trace.length % decisions.length]! };
}

function visit(walk: Walk, node: number): void {
  if (walk.trace.length === LIMIT) throw new Stop();
  walk.trace.push(node);
}

function walkGraph(graph: Graph, walk: Walk): void {
  for (let node = 0; ; ) {
    visit(walk, node);
    const terminator = graph[node]!;
    if (terminator.kind === 'exit') return;
    if (terminator.kind === 'goto') node = terminator.to;
    else if (terminator.kind === 'branch') node = walk.decide(node) ? terminator.taken : terminator.next;
    else throw new Error('no switch in a program');
  }
}

type Signal =
  | { readonly kind: 'br'; readonly label: number }
  | { readonly kind: 'return' }
  | { readonly kind: 'end' };

/** Runs shapes as wasm would; nodes of the program (below `size`) are traced. */
function walkShapes(
  shapes: readonly Shape[],
  walk: Walk,
  size: number,
  sets: ReadonlyMap<number, number>,
): void {
  let next = 0;
  let fuel = 20 * LIMIT;
  const run = (list: readonly Shape[]): Signal => {
    for (const shape of list) {
      if (--fuel === 0) throw new Error('does not come to an end between nodes');
      switch (shape.kind) {
        case 'code':
          if (shape.node < size) visit(walk, shape.node);
          next = sets.get(shape.node) ?? next;
          break;
        case 'return':
          return { kind: 'return' };
        case 'br':
          return { kind: 'br', label: shape.label };
        case 'br-if':
          if (walk.decide(shape.node) !== shape.negate) return { kind: 'br', label: shape.label };
          break;
        case 'br-table':
          return { kind: 'br', label: shape.labels[next]! };
        case 'if':
          if (walk.decide(shape.node)) {
            const signal = run(shape.body);
            if (signal.kind === 'end') throw new Error('ran past the end of an if');
            return signal;
          }
          break;
        case 'block': {
          const signal = run(shape.body);
          if (signal.kind === 'end') throw new Error('ran past the end of a block');
          if (signal.kind !== 'br' || signal.label !== shape.label) return signal;
          break;
        }
        case 'loop':
          for (;;) {
            const signal = run(shape.body);
            if (signal.kind === 'end') throw new Error('ran past the end of a loop');
            if (signal.kind !== 'br' || signal.label !== shape.label) return signal;
          }
      }
    }
    return { kind: 'end' };
  };
  expect(run(shapes)).toEqual({ kind: 'return' });
}

const traceOf = (run: (walk: Walk) => void, decisions: readonly boolean[]): number[] => {
  const walk = makeWalk(decisions);
  try {
    run(walk);
    walk.trace.push(-1);
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
  }
  return walk.trace;
};

/** `from`: the lowest node that an edge may lead to. With the node itself that makes a reducible graph. */
const terminators = (size: number, from: number): fc.Arbitrary<Terminator> => {
  const target = fc.integer({ min: from, max: size - 1 });
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant(exit) },
    { weight: 2, arbitrary: target.map(goto) },
    {
      weight: from < size - 1 ? 5 : 0,
      arbitrary: fc
        .tuple(target, target)
        .filter(([taken, next]) => taken !== next)
        .map(([taken, next]) => branch(taken, next)),
    },
  );
};
const graphs = (isReducible: boolean): fc.Arbitrary<Graph> =>
  fc
    .integer({ min: 2, max: 24 })
    .chain((size) =>
      fc.tuple(...Array.from({ length: size }, (_, node) => terminators(size, isReducible ? node : 0))),
    );
const decisions = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 });

describe('random graphs run as they are walked', () => {
  it('reducible: without a switch', () => {
    fc.assert(
      fc.property(graphs(true), decisions, (graph, bits) => {
        const { graph: reduced, sets } = makeReducible(graph);
        expect(sets.size).toBe(0);
        const shapes = structure(reduced);
        expect(traceOf((walk) => walkShapes(shapes, walk, graph.length, sets), bits)).toEqual(
          traceOf((walk) => walkGraph(graph, walk), bits),
        );
      }),
      { numRuns: 500 },
    );
  });
  it('any', () => {
    let withSwitch = 0;
    fc.assert(
      fc.property(graphs(false), decisions, (graph, bits) => {
        const { graph: reduced, sets } = makeReducible(graph);
        if (sets.size > 0) withSwitch += 1;
        const shapes = structure(reduced);
        expect(traceOf((walk) => walkShapes(shapes, walk, graph.length, sets), bits)).toEqual(
          traceOf((walk) => walkGraph(graph, walk), bits),
        );
      }),
      { numRuns: 1000 },
    );
    expect(withSwitch).toBeGreaterThan(100);
  });
  it('code is never copied: a node has one place', () => {
    fc.assert(
      fc.property(graphs(false), (graph) => {
        const { graph: reduced } = makeReducible(graph);
        const places = print(structure(reduced))
          .filter((line) => /^ *code /.test(line))
          .map((line) => line.trim());
        expect(new Set(places).size).toBe(places.length);
        expect(reduced.length).toBeGreaterThanOrEqual(graph.length);
        for (const terminator of reduced)
          for (const to of successors(terminator)) expect(to).toBeLessThan(reduced.length);
      }),
    );
  });
});
