import { helperById } from '../helpers/prototypes.js';
import type { AccessBytes, Operand, Width } from '../isa/instruction.js';
import { ALU, ATOMIC, JUMP } from '../isa/opcodes.js';
import type { Step } from './program.js';

const register = (number: number, width: Width) => `${width === 64 ? 'r' : 'w'}${number}`;
const relative = (off: number) => `${off < 0 ? '' : '+'}${off}`;
const type = (bytes: AccessBytes, signed = false) => `${signed ? 's' : 'u'}${bytes * 8}`;
const at = (bytes: AccessBytes, base: number, off: number, signed = false) =>
  `*(${type(bytes, signed)} *)(r${base} ${relative(off)})`;
const hex = (value: number) => `0x${(value >>> 0).toString(16)}`;
const operand = (src: Operand, width: Width) =>
  src.kind === 'reg' ? register(src.reg, width) : `${src.value}`;

/** A helper as the kernel's log names it: `bpf_map_lookup_elem#1`. */
export const helperText = (id: number): string => `${helperById(id)?.name ?? 'unknown'}#${id}`;

/** Distance of a jump, from the next slot on. */
const distance = (slot: number, target: number) => relative(target - slot - 1);
const isShort = (slot: number, target: number) => Math.abs(target - slot - 1) <= 0x7fff;

/** An instruction as the kernel's log has it (Linux 6.18, kernel/bpf/disasm.c), without slot and opcode. */
export function stepText(step: Step): string {
  switch (step.kind) {
    case 'alu': {
      const { op, width, dst, src } = step;
      return `${register(dst, width)} ${ALU[op].sign} ${operand(src, width)}`;
    }
    case 'neg': {
      const name = register(step.dst, step.width);
      return `${name} = -${name}`;
    }
    case 'movsx':
      return `${register(step.dst, step.width)} = (s${step.bits})${register(step.src, step.width)}`;
    case 'swap':
      return `r${step.dst} = ${step.op}${step.bits} r${step.dst}`;
    case 'imm64': {
      const { imm } = step;
      // The kernel shows its address of a map, or 0 to those who may not know.
      if (imm.kind === 'value') return `r${step.dst} = 0x${imm.value.toString(16)}`;
      return `r${step.dst} = 0x${imm.kind === 'function' ? (imm.target - step.slot - 1).toString(16) : '0'}`;
    }
    case 'load':
      return `r${step.dst} = ${at(step.bytes, step.src, step.off, step.signed)}`;
    case 'store':
      return `${at(step.bytes, step.dst, step.off)} = ${operand(step.src, 64)}`;
    case 'atomic': {
      const { op, fetch, bytes, dst, src, off } = step;
      const wide = bytes === 8 ? '64' : '';
      const place = `(${type(bytes)} *)(r${dst} ${relative(off)})`;
      if (op === 'cmpxchg') return `r0 = atomic${wide}_cmpxchg(${place}, r0, r${src})`;
      if (op === 'xchg') return `r${src} = atomic${wide}_xchg(${place}, r${src})`;
      if (fetch) return `r${src} = atomic${wide}_fetch_${op}(${place}, r${src})`;
      return `lock *${place} ${ATOMIC[op].sign} r${src}`;
    }
    case 'load-acquire':
      return `r${step.dst} = load_acquire((${type(step.bytes)} *)(r${step.src} ${relative(step.off)}))`;
    case 'store-release':
      return `store_release((${type(step.bytes)} *)(r${step.dst} ${relative(step.off)}), r${step.src})`;
    case 'packet-load': {
      const place = step.mode === 'ind' ? `r${step.src} + ${step.imm}` : `${step.imm}`;
      return `r0 = *(${type(step.bytes)} *)skb[${place}]`;
    }
    case 'jump':
      return `${isShort(step.slot, step.target) ? 'goto' : 'gotol'} pc${distance(step.slot, step.target)}`;
    case 'branch': {
      const { op, width, dst, src, slot, target } = step;
      const right = src.kind === 'reg' ? register(src.reg, width) : hex(src.value);
      return `if ${register(dst, width)} ${JUMP[op].sign} ${right} goto pc${distance(slot, target)}`;
    }
    case 'call-helper':
      return `call ${helperText(step.id)}`;
    case 'call-local':
      return `call pc${distance(step.slot, step.target)}`;
    case 'exit':
      return 'exit';
  }
}
