import type { Instruction } from './instruction.js';

/** The register that an instruction writes, calls left aside. */
export function writtenRegister(instruction: Instruction): number | undefined {
  switch (instruction.kind) {
    case 'alu':
    case 'neg':
    case 'movsx':
    case 'swap':
    case 'imm64':
    case 'load':
    case 'load-acquire':
      return instruction.dst;
    case 'atomic':
      if (instruction.op === 'cmpxchg') return 0;
      return instruction.fetch ? instruction.src : undefined;
    case 'packet-load':
      return 0;
    default:
      return undefined;
  }
}
