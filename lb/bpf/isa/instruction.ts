import type { AluName, AtomicName, JumpName } from './opcodes.js';

/** Second operand: a register (0–10) or the sign-extended 32-bit immediate. */
export type Operand =
  | { readonly kind: 'reg'; readonly reg: number }
  | { readonly kind: 'imm'; readonly value: number };

export type Width = 32 | 64;
export type AccessBytes = 1 | 2 | 4 | 8;

/** What an LD_IMM64 loads (RFC 9669 §5.4, src_reg). Map references are by index or descriptor, see ProgramSpec. */
export type Imm64 =
  | { readonly kind: 'value'; readonly value: bigint }
  | { readonly kind: 'map'; readonly map: number }
  | { readonly kind: 'map-value'; readonly map: number; readonly offset: number }
  | { readonly kind: 'function'; readonly target: number }
  | { readonly kind: 'variable'; readonly id: number };

/**
 * A decoded instruction. `slot` is its place in 8-byte slots (an LD_IMM64 takes two); jump and call
 * targets are absolute slots. Offsets (`off`) are signed 16-bit.
 */
export type Instruction = { readonly slot: number } & (
  | {
      readonly kind: 'alu';
      readonly op: AluName;
      readonly width: Width;
      readonly dst: number;
      readonly src: Operand;
    }
  | { readonly kind: 'neg'; readonly width: Width; readonly dst: number }
  | {
      readonly kind: 'movsx';
      readonly width: Width;
      readonly bits: 8 | 16 | 32;
      readonly dst: number;
      readonly src: number;
    }
  | {
      readonly kind: 'swap';
      readonly op: 'le' | 'be' | 'bswap';
      readonly bits: 16 | 32 | 64;
      readonly dst: number;
    }
  | { readonly kind: 'imm64'; readonly dst: number; readonly imm: Imm64 }
  | {
      readonly kind: 'load';
      readonly bytes: AccessBytes;
      readonly signed: boolean;
      readonly dst: number;
      readonly src: number;
      readonly off: number;
    }
  | {
      readonly kind: 'store';
      readonly bytes: AccessBytes;
      readonly dst: number;
      readonly off: number;
      readonly src: Operand;
    }
  | {
      readonly kind: 'atomic';
      readonly op: AtomicName;
      readonly fetch: boolean;
      readonly bytes: 4 | 8;
      readonly dst: number;
      readonly src: number;
      readonly off: number;
    }
  | {
      readonly kind: 'load-acquire';
      readonly bytes: AccessBytes;
      readonly dst: number;
      readonly src: number;
      readonly off: number;
    }
  | {
      readonly kind: 'store-release';
      readonly bytes: AccessBytes;
      readonly dst: number;
      readonly src: number;
      readonly off: number;
    }
  | {
      readonly kind: 'packet-load';
      readonly bytes: 1 | 2 | 4;
      readonly mode: 'abs' | 'ind';
      readonly src: number;
      readonly imm: number;
    }
  | { readonly kind: 'jump'; readonly target: number }
  | {
      readonly kind: 'branch';
      readonly op: JumpName;
      readonly width: Width;
      readonly dst: number;
      readonly src: Operand;
      readonly target: number;
    }
  | { readonly kind: 'call-helper'; readonly id: number }
  | { readonly kind: 'call-local'; readonly target: number }
  | { readonly kind: 'exit' }
);

export type InstructionKind = Instruction['kind'];
/** The instruction of one kind. */
export type Of<K extends InstructionKind> = Extract<Instruction, { kind: K }>;

/** First slot of the function that an instruction calls, or hands on to be called. */
export function calledFunction(instruction: Instruction): number | undefined {
  if (instruction.kind === 'call-local') return instruction.target;
  return instruction.kind === 'imm64' && instruction.imm.kind === 'function'
    ? instruction.imm.target
    : undefined;
}
