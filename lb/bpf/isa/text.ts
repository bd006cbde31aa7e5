import type { AccessBytes, Imm64, Instruction, Operand, Width } from './instruction.js';
import { ALU, ATOMIC, JUMP } from './opcodes.js';

const register = (number: number, width: Width = 64) => `${width === 64 ? 'r' : 'w'}${number}`;
const type = (bytes: AccessBytes, signed = false) => `${signed ? 's' : 'u'}${bytes * 8}`;
const offset = (off: number) => (off < 0 ? `- ${-off}` : `+ ${off}`);
const at = (bytes: AccessBytes, base: number, off: number, signed = false) =>
  `*(${type(bytes, signed)} *)(${register(base)} ${offset(off)})`;

function operand(src: Operand, width: Width): string {
  return src.kind === 'reg' ? register(src.reg, width) : `${src.value}`;
}

/** Distance from the next slot, as assemblers write it. */
const distance = (from: number, target: number) => {
  const slots = target - from - 1;
  return `${slots < 0 ? '-' : '+'}${Math.abs(slots)}`;
};

/** How a text calls what instructions give by number: unless given, helpers by number, code by distance, maps by index. */
export interface Names {
  readonly helper?: (id: number) => string;
  /** A jump's target. */
  readonly label?: (slot: number) => string;
  /** A function's first slot. */
  readonly function?: (slot: number) => string;
  readonly map?: (index: number) => string;
}

function formatImm64(imm: Imm64, names: Names): string {
  switch (imm.kind) {
    case 'value':
      return `0x${imm.value.toString(16)} ll`;
    case 'map':
      return `map[${names.map?.(imm.map) ?? imm.map}]`;
    case 'map-value':
      return `map[${names.map?.(imm.map) ?? imm.map}] value + ${imm.offset}`;
    case 'function':
      return `function ${names.function?.(imm.target) ?? imm.target}`;
    case 'variable':
      return `variable ${imm.id}`;
  }
}

/**
 * One instruction as text, in LLVM's C-like form for BPF (`r1 = *(u32 *)(r2 + 4)`). Where LLVM and the kernel
 * differ it is the kernel's: loads and stores name whole registers. Distances count slots from the next one.
 */
export function formatInstruction(instruction: Instruction, names: Names = {}): string {
  const label = (target: number) => names.label?.(target) ?? distance(instruction.slot, target);
  switch (instruction.kind) {
    case 'alu': {
      const { op, width, dst, src } = instruction;
      return `${register(dst, width)} ${ALU[op].sign} ${operand(src, width)}`;
    }
    case 'neg': {
      const name = register(instruction.dst, instruction.width);
      return `${name} = -${name}`;
    }
    case 'movsx': {
      const { width, bits, dst, src } = instruction;
      return `${register(dst, width)} = (s${bits})${register(src, width)}`;
    }
    case 'swap': {
      const { op, bits, dst } = instruction;
      return `${register(dst)} = ${op}${bits} ${register(dst)}`;
    }
    case 'imm64':
      return `${register(instruction.dst)} = ${formatImm64(instruction.imm, names)}`;
    case 'load': {
      const { bytes, signed, dst, src, off } = instruction;
      return `${register(dst)} = ${at(bytes, src, off, signed)}`;
    }
    case 'store': {
      const { bytes, dst, off, src } = instruction;
      return `${at(bytes, dst, off)} = ${operand(src, 64)}`;
    }
    case 'atomic': {
      const { op, fetch, bytes, dst, src, off } = instruction;
      const width = bytes === 8 ? 64 : 32;
      const place = `(${type(bytes)} *)(${register(dst)} ${offset(off)})`;
      const suffix = bytes === 8 ? '_64' : '32_32';
      if (op === 'cmpxchg')
        return `${register(0, width)} = cmpxchg${suffix}(${register(dst)} ${offset(off)}, ${register(0, width)}, ${register(src, width)})`;
      if (op === 'xchg')
        return `${register(src, width)} = xchg${suffix}(${register(dst)} ${offset(off)}, ${register(src, width)})`;
      if (fetch) return `${register(src, width)} = atomic_fetch_${op}(${place}, ${register(src, width)})`;
      return `lock *${place} ${ATOMIC[op].sign} ${register(src, width)}`;
    }
    case 'load-acquire': {
      const { bytes, dst, src, off } = instruction;
      return `${register(dst)} = load_acquire((${type(bytes)} *)(${register(src)} ${offset(off)}))`;
    }
    case 'store-release': {
      const { bytes, dst, src, off } = instruction;
      return `store_release((${type(bytes)} *)(${register(dst)} ${offset(off)}), ${register(src)})`;
    }
    case 'packet-load': {
      const { bytes, mode, src, imm } = instruction;
      return `r0 = *(${type(bytes)} *)skb[${mode === 'ind' ? `${register(src)} ${offset(imm)}` : imm}]`;
    }
    case 'jump':
      return `goto ${label(instruction.target)}`;
    case 'branch': {
      const { op, width, dst, src, target } = instruction;
      return `if ${register(dst, width)} ${JUMP[op].sign} ${operand(src, width)} goto ${label(target)}`;
    }
    case 'call-helper':
      return `call ${names.helper?.(instruction.id) ?? instruction.id}`;
    case 'call-local':
      return `call ${names.function?.(instruction.target) ?? distance(instruction.slot, instruction.target)}`;
    case 'exit':
      return 'exit';
  }
}

/** A whole program, a line an instruction, slots in front. */
export function formatProgram(instructions: readonly Instruction[]): string {
  return instructions
    .map((instruction) => `${String(instruction.slot).padStart(6)}: ${formatInstruction(instruction)}`)
    .join('\n');
}
