import type { AccessFact, MemoryName, SlotFacts } from './input.js';
import { baseType, type Register, TYPE } from './register.js';

/** What a pointer points to, by its type. */
const MEMORIES: Readonly<Record<number, MemoryName>> = {
  [TYPE.CONTEXT]: 'context',
  [TYPE.MAP_KEY]: 'map-key',
  [TYPE.MAP_VALUE]: 'map-value',
  [TYPE.STACK]: 'stack',
  [TYPE.PACKET]: 'packet',
  [TYPE.PACKET_META]: 'packet',
  [TYPE.MEMORY]: 'memory',
  [TYPE.SOCKET]: 'socket',
  [TYPE.SOCKET_COMMON]: 'socket',
  [TYPE.TCP_SOCKET]: 'socket',
  [TYPE.XDP_SOCKET]: 'socket',
};

const FALLS = 1;
const JUMPS = 2;
/** Of an instruction that goes through different memory on different paths. */
const MIXED = 'mixed';

interface Access {
  memory: MemoryName | typeof MIXED;
  min: number;
  max: number;
}

interface Call {
  map: number | undefined;
  key: number | undefined;
}

/**
 * What the walk finds of each instruction, over all paths. A path that ends at a kept state adds nothing: offsets of
 * pointers, and numbers that decide a jump, are within those of the state that stood for it.
 */
export class Facts {
  readonly #accesses: (Access | undefined)[];
  readonly #calls = new Map<number, Call>();
  readonly #arms: Uint8Array;

  constructor(slots: number) {
    this.#accesses = new Array<Access | undefined>(slots).fill(undefined);
    this.#arms = new Uint8Array(slots);
  }

  /** A load or store went through a pointer. @param off fixed offset, the pointer's own included */
  noteAccess(slot: number, register: Register, off: number): void {
    const memory = MEMORIES[baseType(register.type)];
    if (memory === undefined) return;
    const min = register.sminNumber + off;
    const max = register.smaxNumber + off;
    const known = this.#accesses[slot];
    if (known === undefined) {
      this.#accesses[slot] = { memory, min, max };
      return;
    }
    if (known.memory !== memory) known.memory = MIXED;
    if (min < known.min) known.min = min;
    if (max > known.max) known.max = max;
  }

  /** A conditional jump went one way, or both. */
  noteJump(slot: number, isTaken: boolean | undefined): void {
    this.#arms[slot]! |= isTaken === undefined ? FALLS | JUMPS : isTaken ? JUMPS : FALLS;
  }

  /** A helper was called. @param map index of its map @param key constant key of a lookup in an array */
  noteCall(slot: number, map: number | undefined, key: number | undefined): void {
    const known = this.#calls.get(slot);
    if (known === undefined) {
      this.#calls.set(slot, { map, key });
      return;
    }
    if (known.map !== map) known.map = undefined;
    if (known.map === undefined || known.key !== key) known.key = undefined;
  }

  /** By slot, where something is known. */
  bySlot(): ReadonlyMap<number, SlotFacts> {
    const facts = new Map<number, SlotFacts>();
    for (const [slot, { map, key }] of this.#calls) {
      if (map !== undefined) facts.set(slot, { map, ...(key !== undefined && { key }) });
    }
    for (const [slot, access] of this.#accesses.entries()) {
      if (access !== undefined && access.memory !== MIXED) facts.set(slot, { access: access as AccessFact });
    }
    for (const [slot, arms] of this.#arms.entries()) {
      if (arms === FALLS || arms === JUMPS) facts.set(slot, { taken: arms === JUMPS });
    }
    return facts;
  }
}
