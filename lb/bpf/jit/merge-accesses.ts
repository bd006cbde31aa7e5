import { assert } from '../../errors.js';
import type { AccessBytes, Instruction, Of } from '../isa/instruction.js';
import type { AnalysedFunction } from './analyse.js';
import { type Source, sourceOf } from './byte-values.js';
import { cloneState, type State } from './facts.js';
import { liveAtEnds, withoutDead } from './liveness.js';
import {
  type ByteStore,
  firstOf,
  isPlain,
  isUnion,
  mayMeet,
  type Region,
  readRegion,
} from './merge-region.js';
import { step } from './step.js';

/** r0 to r10 are the program's; what is merged goes through registers above. */
const FIRST_EXTRA_REGISTER = 11;
const FRAME_POINTER = 10;
/** Longest row of instructions that is looked at as one: effort grows with its square. */
const REGION_MAX = 256;

/** Instructions to put before each, and in the place of some. */
class Edits {
  readonly before = new Map<number, Instruction[]>();
  readonly replaced = new Map<number, readonly Instruction[]>();

  insertBefore(at: number, ...instructions: readonly Instruction[]): void {
    const list = this.before.get(at);
    if (list) list.push(...instructions);
    else this.before.set(at, [...instructions]);
  }

  apply(instructions: readonly Instruction[]): Instruction[] {
    return instructions.flatMap((instruction, at) => [
      ...(this.before.get(at) ?? []),
      ...(this.replaced.get(at) ?? [instruction]),
    ]);
  }
}

/**
 * A function with loads of neighbouring bytes that it puts together made as one, and so its stores of neighbouring
 * bytes of one value, of constants, or of bytes that are copied. Compilers write such code for structures without
 * alignment: a byte, a shift and an or for each byte. Each byte's own proof stands for the whole, as nothing in between
 * moves the packet; between them nothing touches what they touch. What the function knows of its blocks stays true.
 *
 * Of memory that other CPUs work on too, a store does not move past another store, nor a load past another load, but
 * for those that it is merged with: on x86, where programs come from, they have an order.
 */
export function mergeAccesses(fn: AnalysedFunction): AnalysedFunction {
  let ends: readonly number[] | undefined;
  const blocks = fn.blocks.map((block, index) => {
    const instructions = mergeBlock(block.instructions, fn.states[index]!, fn);
    if (instructions === undefined) return block;
    ends ??= liveAtEnds(fn);
    const left = withoutDead(instructions, ends[index]!);
    // Where bytes are used by themselves too, merged ones may come on top.
    return countAccesses(left) < countAccesses(block.instructions) ? { ...block, instructions: left } : block;
  });
  return ends === undefined ? fn : { ...fn, blocks };
}

const countAccesses = (instructions: readonly Instruction[]): number =>
  instructions.filter(({ kind }) => kind === 'load' || kind === 'store').length;

/** Undefined where there is nothing to merge. */
function mergeBlock(
  instructions: readonly Instruction[],
  start: State,
  fn: AnalysedFunction,
): Instruction[] | undefined {
  const state = cloneState(start);
  const out: Instruction[] = [];
  let isChanged = false;
  for (let at = 0; at < instructions.length; ) {
    let end = at;
    while (end < instructions.length && end - at < REGION_MAX && isPlain(instructions[end]!)) end += 1;
    const row = instructions.slice(at, end);
    const merged = hasNeighbours(row) ? new RegionMerger(row, state, fn).merge() : row;
    isChanged ||= merged !== row;
    out.push(...merged);
    // What is not plain stands between regions, as it is.
    const next = Math.min(end + (end - at < REGION_MAX ? 1 : 0), instructions.length);
    out.push(...instructions.slice(end, next));
    for (; at < next; at++) step(state, instructions[at]!, fn.context, fn.isEscaped);
  }
  return isChanged ? out : undefined;
}

/**
 * Most code has nothing to merge: that takes two loads of less than 8 bytes and something to put them together, or two
 * such stores, outside the frame.
 */
function hasNeighbours(row: readonly Instruction[]): boolean {
  let [loads, unions, stores] = [0, 0, 0];
  for (const each of row) {
    if (each.kind === 'load' && each.bytes < 8 && each.src !== FRAME_POINTER) loads += 1;
    else if (each.kind === 'store' && each.bytes < 8 && each.dst !== FRAME_POINTER) stores += 1;
    else if (each.kind === 'alu' && each.src.kind === 'reg' && isUnion(each.op)) unions += 1;
  }
  return stores > 1 || (loads > 1 && unions > 0);
}

class RegionMerger {
  #instructions: readonly Instruction[];
  readonly #start: State;
  readonly #fn: AnalysedFunction;
  #registers = FIRST_EXTRA_REGISTER;

  constructor(instructions: readonly Instruction[], start: State, fn: AnalysedFunction) {
    this.#instructions = instructions;
    this.#start = cloneState(start);
    this.#fn = fn;
  }

  merge(): readonly Instruction[] {
    this.#mergeLoads();
    while (this.#mergeStores());
    return this.#instructions;
  }

  #read(): Region {
    return readRegion(this.#instructions, this.#start, this.#fn.context, this.#fn.isEscaped);
  }

  #mergeLoads(): void {
    const region = this.#read();
    const edits = new Edits();
    const made = new Map<string, number>();
    for (const { at, dst, bytes, source } of region.assemblies) {
      // Two loads, a shift and an or are no more than one load and what turns two bytes round.
      if (bytes === 2 && source.isSwapped) continue;
      const first = firstOf(source.loads, region);
      if (first === undefined) continue;
      const name = `${first} ${source.base.offset} ${bytes} ${source.isSwapped}`;
      const register = made.get(name) ?? this.#load(source, bytes, first, region, edits);
      made.set(name, register);
      edits.replaced.set(at, [move(region.instructions[at]!, dst, register)]);
    }
    if (made.size > 0) this.#instructions = edits.apply(region.instructions);
  }

  /** Before the first of the loads: who is the base there is it for all. */
  #load(
    source: Extract<Source, { kind: 'memory' }>,
    bytes: AccessBytes,
    first: number,
    region: Region,
    edits: Edits,
  ): number {
    const load = region.instructions[first];
    assert(load?.kind === 'load', 'what was loaded was loaded by a load');
    const touch = region.touches[first];
    assert(touch?.base.root === source.base.root, 'neighbours have one base');
    const dst = this.#registers++;
    const off = load.off + source.base.offset - touch.base.offset;
    edits.insertBefore(first, { ...load, bytes, signed: false, dst, off });
    if (source.isSwapped && bytes > 1) edits.insertBefore(first, swap(load, bytes, dst));
    return dst;
  }

  /** Merges groups of stores that are apart from each other: true where there was one. */
  #mergeStores(): boolean {
    const region = this.#read();
    const edits = new Edits();
    const done = new Set<number>();
    // From the lowest address on: what lies before a group would else be left alone.
    const ascending = [...region.stores].sort((a, b) => a.touch.base.offset - b.touch.base.offset);
    for (const store of ascending) {
      if (store.touch.where === 'frame' || done.has(store.at)) continue;
      const group = groupFrom(store, region);
      if (group === undefined) continue;
      // What was found of a group holds as long as nothing along it is moved: one that crosses another has its turn later.
      const { from, to, stores } = group;
      const along = Array.from({ length: to - from + 1 }, (_, index) => from + index);
      const crosses = along.some((at) => done.has(at));
      for (const at of crosses ? stores.map((each) => each.at) : along) done.add(at);
      if (!crosses) this.#storeAtLast(group, region, edits);
    }
    if (done.size > 0) this.#instructions = edits.apply(region.instructions);
    return done.size > 0;
  }

  #storeAtLast({ stores, bytes, source, from, to }: Group, region: Region, edits: Edits): void {
    const last = lastOf(stores);
    const { instruction } = last;
    for (const { at } of stores) edits.replaced.set(at, []);
    const off = instruction.off + stores[0]!.touch.base.offset - last.touch.base.offset;
    const store = (src: Of<'store'>['src']): Instruction => ({ ...instruction, bytes, off, src });
    switch (source.kind) {
      case 'constant': {
        const value = BigInt.asIntN(8 * bytes, source.value);
        if (BigInt.asIntN(32, value) === value) {
          edits.replaced.set(to, [store({ kind: 'imm', value: Number(value) })]);
          break;
        }
        const reg = this.#registers++;
        const { slot } = instruction;
        edits.replaced.set(to, [
          { slot, kind: 'imm64', dst: reg, imm: { kind: 'value', value: source.value } },
          store({ kind: 'reg', reg }),
        ]);
        break;
      }
      case 'part': {
        const reg = this.#registers++;
        // Where it came to be: its register may hold something else at the store.
        edits.insertBefore(source.origin.at + 1, move(instruction, reg, source.origin.register));
        edits.replaced.set(to, [
          ...(source.from > 0 ? [shiftRight(instruction, reg, 8 * source.from)] : []),
          ...(source.isSwapped ? [swap(instruction, bytes, reg)] : []),
          store({ kind: 'reg', reg }),
        ]);
        break;
      }
      case 'memory': {
        const reg = this.#load(source, bytes, from, region, edits);
        edits.replaced.set(to, [store({ kind: 'reg', reg })]);
        break;
      }
    }
  }
}

/** Stores of neighbouring bytes that can be one. */
interface Group {
  /** In order of their addresses. */
  readonly stores: readonly ByteStore[];
  readonly bytes: AccessBytes;
  readonly source: Source;
  /** Index of the first of the stores, or of the loads of what they copy, and of the last store. */
  readonly from: number;
  readonly to: number;
}

/** The longest group with one at its lowest address. */
function groupFrom(start: ByteStore, region: Region): Group | undefined {
  for (const bytes of [8, 4, 2] as const) {
    const stores = bytes > start.touch.bytes ? tile(start, bytes, region) : undefined;
    if (stores === undefined || !canMeetAtLast(stores, region)) continue;
    const source = sourceOf(stores.flatMap((each) => each.bytes));
    if (source === undefined) continue;
    const first = Math.min(...stores.map(({ at }) => at));
    const from = source.kind === 'memory' ? firstOf(source.loads, region) : first;
    if (from !== undefined) return { stores, bytes, source, from, to: lastOf(stores).at };
  }
  return undefined;
}

const lastOf = (group: readonly ByteStore[]): ByteStore =>
  group.reduce((last, each) => (each.at > last.at ? each : last));

/** Stores that fill `bytes` from the start of one on, in order of their addresses, without a byte twice. */
function tile(start: ByteStore, bytes: number, { stores }: Region): ByteStore[] | undefined {
  const group = [start];
  const { root, offset } = start.touch.base;
  for (let end = offset + start.touch.bytes; end < offset + bytes; ) {
    const from = end;
    const next = stores
      .filter(
        ({ touch }) =>
          touch.base.root === root && touch.base.offset === from && from + touch.bytes <= offset + bytes,
      )
      .reduce<ByteStore | undefined>(
        (best, each) => (best && Math.abs(best.at - start.at) <= Math.abs(each.at - start.at) ? best : each),
        undefined,
      );
    if (next === undefined) return undefined;
    group.push(next);
    end += next.touch.bytes;
  }
  return group;
}

/** Whether all of a group may be stored where the last one is: nothing in between touches what they store. */
function canMeetAtLast(group: readonly ByteStore[], { touches }: Region): boolean {
  const last = lastOf(group).at;
  const own = new Set(group.map(({ at }) => at));
  return group.every(({ at, touch }) => {
    for (let between = at + 1; between < last; between++) {
      const other = touches[between];
      if (other === undefined || own.has(between)) continue;
      if (mayMeet(other, touch)) return false;
      // Other CPUs may rely on it that what is stored first is seen first.
      if (other.isWrite && !other.isPrivate && !touch.isPrivate) return false;
    }
    return true;
  });
}

const move = ({ slot }: Instruction, dst: number, reg: number): Instruction => ({
  slot,
  kind: 'alu',
  op: 'mov',
  width: 64,
  dst,
  src: { kind: 'reg', reg },
});

const shiftRight = ({ slot }: Instruction, dst: number, bits: number): Instruction => ({
  slot,
  kind: 'alu',
  op: 'rsh',
  width: 64,
  dst,
  src: { kind: 'imm', value: bits },
});

function swap({ slot }: Instruction, bytes: AccessBytes, dst: number): Instruction {
  assert(bytes > 1, 'one byte has no order');
  return { slot, kind: 'swap', op: 'be', bits: bytes === 2 ? 16 : bytes === 4 ? 32 : 64, dst };
}
