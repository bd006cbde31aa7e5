import { CALLS_BACK } from './cfg.js';
import type { ControlGraph, Step } from './program.js';

/**
 * Which loop each instruction is in: the strongly connected components of the graph of control within functions
 * (Tarjan, Depth-first search and linear graph algorithms). A helper that calls back is a loop by itself.
 * @returns number of the loop by slot; 0: none
 */
export function findLoops(steps: readonly (Step | undefined)[], { successors }: ControlGraph): Uint16Array {
  const { length } = steps;
  const loops = new Uint16Array(length);
  const order = new Int32Array(length);
  const low = new Int32Array(length);
  const isOpen = new Uint8Array(length);
  const open: number[] = [];
  let visited = 0;
  let found = 0;
  const enter = (slot: number) => {
    visited += 1;
    order[slot] = visited;
    low[slot] = visited;
    isOpen[slot] = 1;
    open.push(slot);
  };
  const close = (slot: number) => {
    if (low[slot] !== order[slot]) return;
    const isItsOwn = successors[2 * slot] === slot || successors[2 * slot + 1] === slot;
    const isLoop = open.at(-1) !== slot || isItsOwn || callsBack(steps[slot]);
    if (isLoop) found += 1;
    for (let member = -1; member !== slot; ) {
      member = open.pop()!;
      isOpen[member] = 0;
      if (isLoop) loops[member] = found;
    }
  };
  for (let root = 0; root < length; root++) {
    if (order[root] !== 0 || steps[root] === undefined) continue;
    const path = [{ slot: root, at: 0 }];
    enter(root);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = top.at < 2 ? successors[2 * top.slot + top.at]! : undefined;
      top.at += 1;
      if (next === undefined) {
        close(top.slot);
        path.pop();
        const parent = path.at(-1);
        if (parent !== undefined) low[parent.slot] = Math.min(low[parent.slot]!, low[top.slot]!);
      } else if (next < 0 || steps[next] === undefined) continue;
      else if (order[next] === 0) {
        enter(next);
        path.push({ slot: next, at: 0 });
      } else if (isOpen[next] === 1) low[top.slot] = Math.min(low[top.slot]!, order[next]!);
    }
  }
  return loops;
}

const callsBack = (step: Step | undefined) => step?.kind === 'call-helper' && CALLS_BACK.has(step.id);
