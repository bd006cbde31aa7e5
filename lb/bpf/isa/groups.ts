import { assertNever } from '../../errors.js';
import type { Instruction, Width } from './instruction.js';
import { ALU, ATOMIC, CPU_OF, type CpuVersion, type Group, JUMP } from './opcodes.js';

/** What a machine must offer to run an instruction. */
export interface Requirement {
  readonly cpu: CpuVersion;
  readonly group: Group;
}

const base = (width: Width): Group => (width === 64 ? 'base64' : 'base32');
const need = (cpu: CpuVersion, group: Group): Requirement => ({ cpu, group });
/** A distance that only the 32-bit form (gotol) holds. */
const isLong = (distance: number) => distance < -0x8000 || distance > 0x7fff;

/**
 * Version and conformance group of an instruction (RFC 9669 §2.4 and its registry of instructions). A group of
 * 64 bits includes the one of 32 bits.
 */
export function requirementOf(instruction: Instruction): Requirement {
  switch (instruction.kind) {
    case 'alu': {
      const { cpu, group } = ALU[instruction.op];
      return need(cpu, group === 'base' ? base(instruction.width) : `divmul${instruction.width}`);
    }
    case 'neg':
      return need(1, base(instruction.width));
    case 'movsx':
      return need(CPU_OF.movsx, base(instruction.width));
    case 'swap':
      return need(instruction.op === 'bswap' ? CPU_OF.bswap : 1, base(instruction.bits === 64 ? 64 : 32));
    case 'imm64':
      return need(1, 'base64');
    case 'load':
      if (instruction.signed) return need(CPU_OF.loadSigned, 'base64');
      return need(1, base(instruction.bytes === 8 ? 64 : 32));
    case 'store':
      return need(1, base(instruction.bytes === 8 ? 64 : 32));
    case 'atomic': {
      const { cpu } = ATOMIC[instruction.op];
      return need(instruction.fetch ? CPU_OF.fetch : cpu, instruction.bytes === 8 ? 'atomic64' : 'atomic32');
    }
    case 'load-acquire':
    case 'store-release':
      return need(CPU_OF.ordered, instruction.bytes === 8 ? 'atomic64' : 'atomic32');
    case 'packet-load':
      return need(1, 'packet');
    case 'jump':
      return need(isLong(instruction.target - instruction.slot - 1) ? CPU_OF.gotol : 1, 'base32');
    case 'branch': {
      const { cpu } = JUMP[instruction.op];
      return instruction.width === 64 ? need(cpu, 'base64') : need(CPU_OF.jump32, 'base32');
    }
    case 'call-helper':
    case 'call-local':
      return need(1, 'base32');
    case 'exit':
      return need(1, 'base32');
    default:
      return assertNever(instruction);
  }
}
