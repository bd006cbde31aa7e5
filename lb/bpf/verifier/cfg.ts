import { helperById } from '../helpers/prototypes.js';
import { FIND_VMA, FOR_EACH_MAP_ELEM, LOOP, USER_RINGBUF_DRAIN } from '../isa/builtins.js';
import { type ControlGraph, MARK, type Step } from './program.js';
import { refuse } from './refusal.js';

/** Helpers that call a function of the program before they return. */
export const CALLS_BACK: ReadonlySet<number> = new Set([
  FOR_EACH_MAP_ELEM,
  LOOP,
  FIND_VMA,
  USER_RINGBUF_DRAIN,
]);

type Steps = readonly (Step | undefined)[];

/** Slot behind an instruction. */
export const nextSlot = (step: Step): number => step.slot + (step.kind === 'imm64' ? 2 : 1);

const UNSEEN = 0;
const OPEN = 1;
const DONE = 2;

/** Outgoing edges: those that fall through first, and whether it is a place where another path begins. */
interface Edge {
  readonly target: number;
  readonly isBranch: boolean;
}

/**
 * Walk the graph of control, calls included: every instruction must be reached, no jump may go out of the program.
 * @param canLoop CAP_BPF: bounded loops are let in
 * @returns MARKs by slot
 * @throws Refusal
 */
export function walkGraph(steps: Steps, canLoop: boolean): Uint8Array {
  const marks = new Uint8Array(steps.length);
  const visited = new Uint8Array(steps.length);
  const path: { readonly slot: number; readonly edges: readonly Edge[]; at: number }[] = [];
  const open = (slot: number) => {
    visited[slot] = OPEN;
    const step = steps[slot];
    path.push({
      slot,
      edges: step === undefined ? [{ target: slot + 1, isBranch: false }] : edgesOf(step, marks),
      at: 0,
    });
  };
  open(0);
  for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
    const edge = top.edges[top.at];
    if (edge === undefined) {
      visited[top.slot] = DONE;
      path.pop();
      continue;
    }
    top.at += 1;
    const { target, isBranch } = edge;
    if (target < 0 || target >= steps.length)
      refuse('VERIFY_JUMP', 'EINVAL', `jump out of range from insn ${top.slot} to ${target}`);
    if (isBranch) marks[target]! |= MARK.PRUNE | MARK.JUMP;
    if (visited[target] === UNSEEN) open(target);
    else if (visited[target] === OPEN && !canLoop)
      refuse('VERIFY_LOOP', 'EINVAL', `back-edge from insn ${top.slot} to ${target}`);
  }
  checkReached(steps, visited);
  return marks;
}

function checkReached(steps: Steps, visited: Uint8Array): void {
  for (let slot = 0; slot < steps.length; slot++) {
    if (visited[slot] !== DONE) refuse('VERIFY_UNREACHABLE', 'EINVAL', `unreachable insn ${slot}`);
    if (steps[slot]?.kind !== 'imm64') continue;
    if (visited[slot + 1] !== UNSEEN)
      refuse('VERIFY_JUMP', 'EINVAL', `jump into the middle of ldimm64 insn ${slot}`);
    slot += 1;
  }
}

function edgesOf(step: Step, marks: Uint8Array): readonly Edge[] {
  const { slot } = step;
  const next = { target: nextSlot(step), isBranch: false };
  const afterCall = () => {
    if (next.target < marks.length) marks[next.target]! |= MARK.PRUNE | MARK.JUMP;
  };
  switch (step.kind) {
    case 'exit':
      return [];
    case 'jump': {
      const { target } = step;
      if (target >= 0 && target < marks.length) marks[target]! |= MARK.PRUNE | MARK.JUMP;
      return [{ target, isBranch: false }];
    }
    case 'branch':
      marks[slot]! |= MARK.PRUNE;
      return [next, { target: step.target, isBranch: true }];
    case 'call-helper':
      if (CALLS_BACK.has(step.id)) marks[slot]! |= MARK.PRUNE | MARK.JUMP | MARK.CHECKPOINT | MARK.CALLBACK;
      afterCall();
      return [next];
    case 'call-local':
      afterCall();
      marks[slot]! |= MARK.PRUNE;
      return [next, { target: step.target, isBranch: true }];
    case 'imm64':
      if (step.imm.kind !== 'function') return [next];
      afterCall();
      marks[slot]! |= MARK.PRUNE;
      return [next, { target: step.imm.target, isBranch: true }];
    default:
      return [next];
  }
}

const ARGUMENTS = 0b11_1110;
const CLOBBERED = 0b11_1111;
const RESULT = 1;
const CONTEXT_OF_LOADS = 1 << 6;

/** Registers that an instruction reads and writes, as bits. */
function usesOf(step: Step): { readonly reads: number; readonly writes: number } {
  switch (step.kind) {
    case 'alu': {
      const right = step.src.kind === 'reg' ? 1 << step.src.reg : 0;
      return { reads: step.op === 'mov' ? right : right | (1 << step.dst), writes: 1 << step.dst };
    }
    case 'neg':
    case 'swap':
      return { reads: 1 << step.dst, writes: 1 << step.dst };
    case 'movsx':
    case 'load':
    case 'load-acquire':
      return { reads: 1 << step.src, writes: 1 << step.dst };
    case 'imm64':
      return { reads: 0, writes: 1 << step.dst };
    case 'store':
      return { reads: (1 << step.dst) | (step.src.kind === 'reg' ? 1 << step.src.reg : 0), writes: 0 };
    case 'store-release':
      return { reads: (1 << step.dst) | (1 << step.src), writes: 0 };
    case 'atomic': {
      const both = (1 << step.dst) | (1 << step.src);
      if (step.op === 'cmpxchg') return { reads: both | RESULT, writes: RESULT };
      return { reads: both, writes: step.fetch ? 1 << step.src : 0 };
    }
    case 'packet-load':
      return { reads: CONTEXT_OF_LOADS | (step.mode === 'ind' ? 1 << step.src : 0), writes: CLOBBERED };
    case 'branch':
      return { reads: (1 << step.dst) | (step.src.kind === 'reg' ? 1 << step.src.reg : 0), writes: 0 };
    case 'call-helper': {
      const taken = helperById(step.id)?.args.length;
      return { reads: taken === undefined ? ARGUMENTS : ((1 << taken) - 1) << 1, writes: CLOBBERED };
    }
    case 'call-local':
      return { reads: ARGUMENTS, writes: CLOBBERED };
    case 'exit':
      return { reads: RESULT, writes: 0 };
    case 'jump':
      return { reads: 0, writes: 0 };
  }
}

/** Where control can go to within the function. */
function successorsOf(step: Step): readonly number[] {
  switch (step.kind) {
    case 'exit':
      return [];
    case 'jump':
      return [step.target];
    case 'branch':
      return [nextSlot(step), step.target];
    default:
      return [nextSlot(step)];
  }
}

/** Where control can go within functions. */
export function findEdges(steps: Steps): ControlGraph {
  const successors = new Int32Array(2 * steps.length).fill(-1);
  for (const step of steps) if (step !== undefined) successors.set(successorsOf(step), 2 * step.slot);
  const firstPredecessor = new Int32Array(steps.length + 1);
  for (const target of successors) if (target >= 0) firstPredecessor[target + 1]! += 1;
  for (let slot = 0; slot < steps.length; slot++) firstPredecessor[slot + 1]! += firstPredecessor[slot]!;
  const predecessors = new Int32Array(firstPredecessor[steps.length]!);
  const next = firstPredecessor.slice();
  for (const [place, target] of successors.entries()) {
    if (target < 0) continue;
    predecessors[next[target]!] = place >> 1;
    next[target]! += 1;
  }
  return { successors, predecessors, firstPredecessor };
}

/** Registers that are read before they are written, from each slot on, as bits. */
export function findLiveRegisters(steps: Steps, { successors }: ControlGraph): Uint16Array {
  const live = new Uint16Array(steps.length);
  const uses = steps.map((step) => (step === undefined ? undefined : usesOf(step)));
  for (let again = true; again; ) {
    again = false;
    for (let slot = steps.length - 1; slot >= 0; slot--) {
      const use = uses[slot];
      if (use === undefined) continue;
      const after = (live[successors[2 * slot]!] ?? 0) | (live[successors[2 * slot + 1]!] ?? 0);
      const before = use.reads | (after & ~use.writes);
      if (before === live[slot]) continue;
      live[slot] = before;
      again = true;
    }
  }
  return live;
}
