import { type Graph, isReducible, reversePostorder, successors, type Terminator } from './cfg.js';

/** A graph in which every loop has one entry, and what its new nodes do; nodes of the program keep their numbers. */
export interface ReducibleGraph {
  readonly graph: Graph;
  /** New node → the number that it sets for the switch that follows. Other new nodes are the switches. */
  readonly sets: ReadonlyMap<number, number>;
}

/**
 * Give each loop that is entered at several nodes one entry: a switch over those nodes. Every edge to one of
 * them goes through a new node that says which it is. Code is not copied. What nothing reaches stays as it is.
 */
export function makeReducible(input: Graph): ReducibleGraph {
  // Compilers hardly write any other, and to look for entries loop by loop takes long where they are nested deeply.
  if (isReducible(input)) return { graph: input, sets: new Map() };
  const graph: Terminator[] = [...input];
  const sets = new Map<number, number>();

  const redirect = (node: number, through: ReadonlyMap<number, number>) => {
    const to = (target: number) => through.get(target) ?? target;
    const terminator = graph[node]!;
    if (terminator.kind === 'goto') graph[node] = { kind: 'goto', to: to(terminator.to) };
    else if (terminator.kind === 'branch')
      graph[node] = { kind: 'branch', taken: to(terminator.taken), next: to(terminator.next) };
    else if (terminator.kind === 'switch')
      graph[node] = { kind: 'switch', targets: terminator.targets.map(to) };
  };

  const reached = new Set(reversePostorder(graph));
  const work: (readonly number[])[] = [[...reached]];
  for (let region = work.pop(); region !== undefined; region = work.pop()) {
    for (const component of stronglyConnected(graph, region)) {
      const inside = new Set(component);
      const entries = new Set<number>(inside.has(0) ? [0] : []);
      for (const node of reached)
        if (!inside.has(node)) for (const to of successors(graph[node]!)) if (inside.has(to)) entries.add(to);
      const [only] = entries;
      if (entries.size <= 1) {
        work.push(component.filter((node) => node !== only));
        continue;
      }
      const targets = [...entries].sort((a, b) => a - b);
      const dispatch = graph.length;
      graph.push({ kind: 'switch', targets });
      // Apart for those who come from outside and who come round again: else the loop would be entered at both.
      const [entering, again] = [new Map<number, number>(), new Map<number, number>()];
      for (const through of [entering, again]) {
        for (const [number, target] of targets.entries()) {
          through.set(target, graph.length);
          sets.set(graph.length, number);
          graph.push({ kind: 'goto', to: dispatch });
        }
      }
      for (const node of reached) redirect(node, inside.has(node) ? again : entering);
      for (const node of [dispatch, ...entering.values(), ...again.values()]) reached.add(node);
      work.push([...component, ...again.values()]);
    }
  }
  return { graph, sets };
}

/**
 * The components of a part of a graph in which every node reaches every other, loops of one node included
 * (Tarjan, "Depth-First Search and Linear Graph Algorithms", 1972).
 */
function stronglyConnected(graph: Graph, region: readonly number[]): number[][] {
  const inRegion = new Set(region);
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const open: number[] = [];
  const isOpen = new Set<number>();
  const components: number[][] = [];
  const next = (node: number) => successors(graph[node]!).filter((to) => inRegion.has(to));

  for (const root of region) {
    if (index.has(root)) continue;
    const stack: { readonly node: number; readonly targets: number[]; at: number }[] = [];
    const enter = (node: number) => {
      low.set(node, index.size);
      index.set(node, index.size);
      open.push(node);
      isOpen.add(node);
      stack.push({ node, targets: next(node), at: 0 });
    };
    enter(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { node } = top;
      const target = top.targets[top.at++];
      if (target === undefined) {
        stack.pop();
        const parent = stack.at(-1);
        if (parent) low.set(parent.node, Math.min(low.get(parent.node)!, low.get(node)!));
        if (low.get(node) !== index.get(node)) continue;
        const component: number[] = [];
        for (let member = -1; member !== node; ) {
          member = open.pop()!;
          isOpen.delete(member);
          component.push(member);
        }
        if (component.length > 1 || next(node).includes(node)) components.push(component);
      } else if (!index.has(target)) enter(target);
      else if (isOpen.has(target)) low.set(node, Math.min(low.get(node)!, index.get(target)!));
    }
  }
  return components;
}
