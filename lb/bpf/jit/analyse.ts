import type { HelperUser } from '../helpers/prototypes.js';
import type { Instruction } from '../isa/instruction.js';
import type { ArenaMapInfo } from '../maps/registry.js';
import {
  SKB_DATA,
  SKB_DATA_END,
  SKB_DATA_META,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
} from '../memory/layout.js';
import { accesses, escapingRegisters } from './accesses.js';
import { type BasicBlock, type BpfFunction, reversePostorder, type Terminator } from './cfg.js';
import {
  type Access,
  type ArgumentUse,
  type ByteRange,
  cloneState,
  entryState,
  type Fact,
  type FactContext,
  frozenRegions,
  joinState,
  POINTER_BYTES,
  pointersIn,
  type State,
} from './facts.js';
import { type LeftOut, NOTHING_LEFT_OUT } from './optimisations.js';
import { decide, step } from './step.js';

/** A function with the branches that always go one way gone, and what is known of it. */
export interface AnalysedFunction extends BpfFunction {
  /** State at the start of each block. */
  readonly states: readonly State[];
  /** A pointer into the frame is out of sight. */
  readonly isEscaped: boolean;
  /** Of r1 to r5, at index 1 to 5. */
  readonly uses: readonly ArgumentUse[];
  readonly context: FactContext;
}

/** Everything that a function may do to what its arguments point at. */
const UNKNOWN_USE: ArgumentUse = { reads: [], writes: [], escapes: true };

/** Fields of the context that point into the packet, by the program's type. */
const PACKET_FIELDS: Record<HelperUser, readonly number[]> = {
  xdp: [XDP_MD_DATA, XDP_MD_DATA_END, XDP_MD_DATA_META],
  sched_cls: [SKB_DATA, SKB_DATA_END, SKB_DATA_META],
};

/**
 * Facts of every function, callees before callers. Functions that call each other in a circle know nothing of
 * each other's use of arguments.
 * @param functions the entry first, which has the context in r1
 * @param type the program's, which tells what the context is
 * @returns in the order of `functions`
 */
export function analyse(
  functions: readonly BpfFunction[],
  maps: readonly ArenaMapInfo[],
  without: LeftOut = NOTHING_LEFT_OUT,
  type: HelperUser = 'xdp',
): AnalysedFunction[] {
  const bySlot = new Map(functions.map((each) => [each.slot, each]));
  const uses = new Map<number, readonly ArgumentUse[]>();
  const done = new Map<number, AnalysedFunction>();
  const frozen = without.has('frozen-constants') ? [] : frozenRegions(maps);
  const started = new Set<number>();
  const visit = (each: BpfFunction): void => {
    if (started.has(each.slot)) return;
    started.add(each.slot);
    for (const { instructions } of each.blocks)
      for (const instruction of instructions)
        if (instruction.kind === 'call-local') visit(bySlot.get(instruction.target)!);
    // A copy: what is learnt later, in a circle, was not known here.
    const packetFields = each === functions[0] ? PACKET_FIELDS[type] : [];
    const result = analyseFunction(each, { maps, uses: new Map(uses), frozen, packetFields, without });
    uses.set(each.slot, result.uses);
    done.set(each.slot, result);
  };
  for (const each of functions) visit(each);
  return functions.map((each) => done.get(each.slot)!);
}

function analyseFunction(fn: BpfFunction, context: FactContext): AnalysedFunction {
  const first = solve(fn, context, false);
  const isEscaped = observe(fn, first, context, false).isEscaped;
  const states = isEscaped ? solve(fn, context, true) : first;
  const { uses } = observe(fn, states, context, isEscaped);
  return { ...prune(fn, states, context, isEscaped), isEscaped, uses, context };
}

/** Least fixed point of the states, along the edges that can be taken. `undefined`: never reached. */
function solve(fn: BpfFunction, context: FactContext, isEscaped: boolean): (State | undefined)[] {
  const states: (State | undefined)[] = fn.blocks.map(() => undefined);
  states[0] = entryState();
  // In reverse postorder what comes before is mostly done: one round, and one more for each depth of loops.
  const order = reversePostorder(fn.blocks.map(({ terminator }) => terminator));
  const isDue = new Uint8Array(fn.blocks.length);
  isDue[0] = 1;
  for (let again = true; again; ) {
    again = false;
    for (const index of order) {
      if (!isDue[index]) continue;
      isDue[index] = 0;
      again = true;
      const block = fn.blocks[index]!;
      const state = cloneState(states[index]!);
      for (const instruction of block.instructions) step(state, instruction, context, isEscaped);
      for (const to of feasible(block, state, context)) {
        const known = states[to];
        if (known === undefined) states[to] = cloneState(state);
        else if (!joinState(known, state)) continue;
        isDue[to] = 1;
      }
    }
  }
  return states;
}

/** Blocks that can follow, given the state at the block's end. */
function feasible(block: BasicBlock, end: State, { without }: FactContext): readonly number[] {
  const { terminator, branch } = block;
  if (terminator.kind === 'goto') return [terminator.to];
  if (terminator.kind !== 'branch' || branch === undefined) return [];
  const way = without.has('decided-branches') ? undefined : decide(branch, end);
  if (way === undefined) return [terminator.taken, terminator.next];
  return [way ? terminator.taken : terminator.next];
}

/** A pointer into a stack is put into the frame, where its slot tells of it, or State.lost. */
function isSpill(instruction: Instruction, { registers }: State): boolean {
  if (instruction.kind !== 'store' || instruction.bytes !== POINTER_BYTES || instruction.src.kind !== 'reg')
    return false;
  const kind = registers[instruction.src.reg]?.kind;
  return registers[instruction.dst]?.kind === 'frame' && (kind === 'frame' || kind === 'argument');
}

/** What leaves sight, and what is done through the arguments. */
function observe(
  fn: BpfFunction,
  states: readonly (State | undefined)[],
  context: FactContext,
  wasEscaped: boolean,
): { isEscaped: boolean; uses: ArgumentUse[] } {
  let isEscaped = wasEscaped;
  const escapes = new Uint8Array(6);
  const reads: ByteRange[][] = Array.from({ length: 6 }, () => []);
  const writes: ByteRange[][] = Array.from({ length: 6 }, () => []);
  const release = (fact: Fact | undefined) => {
    if (fact?.kind === 'frame') isEscaped = true;
    else if (fact?.kind === 'argument') escapes[fact.register] = 1;
    else if (fact?.kind === 'lost') {
      isEscaped = true;
      escapes.fill(1);
    }
  };
  const touch = ({ base, start, end, write }: Access) => {
    if (base?.kind === 'lost') release(base);
    if (base?.kind !== 'argument') return;
    (write ? writes : reads)[base.register]!.push({ start: base.offset + start, end: base.offset + end });
  };
  for (const [index, block] of fn.blocks.entries()) {
    const entry = states[index];
    if (entry === undefined) continue;
    const state = cloneState(entry);
    const look = (instruction: Instruction) => {
      for (const access of accesses(instruction, state, context)) {
        touch(access);
        if (instruction.kind !== 'call-local' || access.base?.kind !== 'frame' || access.write) continue;
        // What the function reads of the frame it may use as the pointer that it is.
        const { offset } = access.base;
        pointersIn(state, { start: offset + access.start, end: offset + access.end }).forEach(release);
      }
      if (!wasEscaped && isSpill(instruction, state)) return;
      for (const register of escapingRegisters(instruction, state, context))
        release(state.registers[register]);
    };
    for (const instruction of block.instructions) {
      look(instruction);
      step(state, instruction, context, isEscaped);
    }
    if (block.terminator.kind === 'exit') release(state.registers[0]);
  }
  const uses = Array.from({ length: 6 }, (_, register): ArgumentUse => {
    if (escapes[register]) return UNKNOWN_USE;
    return { reads: reads[register]!, writes: writes[register]!, escapes: false };
  });
  return { isEscaped, uses };
}

/** Leaves out the blocks that are never reached. */
function prune(
  fn: BpfFunction,
  states: readonly (State | undefined)[],
  context: FactContext,
  isEscaped: boolean,
): BpfFunction & { readonly states: readonly State[] } {
  const numbers = new Map<number, number>();
  for (const [index, state] of states.entries()) if (state !== undefined) numbers.set(index, numbers.size);
  const renumber = (index: number) => numbers.get(index)!;
  const blocks = [...numbers.keys()].map((index): BasicBlock => {
    const block = fn.blocks[index]!;
    const end = cloneState(states[index]!);
    for (const instruction of block.instructions) step(end, instruction, context, isEscaped);
    const next = feasible(block, end, context);
    const [only] = next;
    const { instructions, branch } = block;
    if (next.length === 1 && only !== undefined)
      return { instructions, terminator: { kind: 'goto', to: renumber(only) } };
    const terminator: Terminator =
      block.terminator.kind === 'branch'
        ? { kind: 'branch', taken: renumber(block.terminator.taken), next: renumber(block.terminator.next) }
        : block.terminator;
    return branch === undefined ? { instructions, terminator } : { instructions, branch, terminator };
  });
  return { slot: fn.slot, blocks, states: [...numbers.keys()].map((index) => states[index]!) };
}

/** Every instruction of a function with the state before it. */
export function* walk(
  fn: AnalysedFunction,
): Generator<{ readonly instruction: Instruction; readonly state: State }> {
  for (const [index, block] of fn.blocks.entries()) {
    const state = cloneState(fn.states[index]!);
    for (const instruction of block.instructions) {
      yield { instruction, state };
      step(state, instruction, fn.context, fn.isEscaped);
    }
  }
}
