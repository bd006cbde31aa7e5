import type { Imm64, Instruction } from '../isa/instruction.js';
import type { ArenaMapInfo } from '../maps/registry.js';
import { InterpreterError, unsupported } from './interpreter-fault.js';

/** Instructions that can be found by their slot, and the maps that they name. */
export class InterpretedProgram {
  readonly instructions: readonly Instruction[];
  readonly #indexOf: ReadonlyMap<number, number>;
  readonly #maps: readonly ArenaMapInfo[];
  /** Slots whose address is taken: what a callback may be. */
  readonly #callbacks: ReadonlySet<number>;

  /** @param maps by the index that map references have */
  constructor(instructions: readonly Instruction[], maps: readonly ArenaMapInfo[]) {
    this.instructions = instructions;
    this.#indexOf = new Map(instructions.map(({ slot }, index) => [slot, index]));
    this.#maps = maps;
    this.#callbacks = new Set(
      instructions.flatMap((each) =>
        each.kind === 'imm64' && each.imm.kind === 'function' ? [each.imm.target] : [],
      ),
    );
  }

  /** Index of the instruction at a slot. */
  indexOf(slot: number): number {
    return this.#indexOf.get(slot)!;
  }

  /**
   * What an LD_IMM64 loads. A function's address is its slot.
   * @throws InterpreterError INTERPRETER_UNSUPPORTED
   */
  immediate(slot: number, imm: Imm64): bigint {
    switch (imm.kind) {
      case 'value':
        return imm.value;
      case 'map':
        return BigInt(this.#map(slot, imm.map).descriptor);
      case 'map-value':
        return BigInt(this.#map(slot, imm.map).data + imm.offset);
      case 'function':
        return BigInt(imm.target);
      case 'variable':
        throw unsupported(slot, 'variable', 'there is no kernel here whose variable it could be');
    }
  }

  /**
   * Index of the first instruction of a callback.
   * @throws InterpreterError INTERPRETER_FUNCTION where the address is no function's
   */
  callback(slot: number, address: bigint): number {
    const target = Number(BigInt.asUintN(32, address));
    if (BigInt(target) === address && this.#callbacks.has(target)) return this.indexOf(target);
    throw new InterpreterError(
      { code: 'INTERPRETER_FUNCTION', slot, address },
      `instruction ${slot}: 0x${address.toString(16)} is the address of no function`,
    );
  }

  #map(slot: number, index: number): ArenaMapInfo {
    const map = this.#maps[index];
    if (map) return map;
    throw unsupported(slot, `map ${index}`, `the program has ${this.#maps.length} maps`);
  }
}
