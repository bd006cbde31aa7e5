import { dynptrName } from './dynptr-slots.js';
import { formatRanges, formatSigned, formatUnsigned } from './format-scalar.js';
import type { Touched } from './log.js';
import { baseType, PLUS_CONSTANT, type Register, TYPE, typeName } from './register.js';
import { isDynptr, isSpill, KIND, KIND_LETTERS, kindAt, SLOT_SIZE } from './stack-slot.js';
import type { Frame, Reference } from './state.js';

const signed = (value: number) => formatSigned(BigInt(value));

const HAS_MAP: ReadonlySet<number> = new Set([TYPE.MAP, TYPE.MAP_KEY, TYPE.MAP_VALUE]);

/**
 * A register as the kernel's log has it (Linux 6.18, kernel/bpf/log.c, print_reg_state).
 * @param frame of the function that has it
 */
export function formatRegister(register: Register, frame: number, isPrecise = false): string {
  const { type, id, off } = register;
  const base = baseType(type);
  const isConst = register.isConst();
  const mark = type === TYPE.SCALAR && isPrecise ? 'P' : '';
  const value = BigInt.asIntN(64, register.constValue());
  if (type === TYPE.SCALAR && isConst) return mark + formatSigned(value);
  let text = mark + typeName(type);
  if (type === TYPE.STACK) {
    if (register.place !== frame) text += `[${register.place}]`;
    if (isConst) return text + formatSigned(value + BigInt(off));
  }
  const parts: string[] = [];
  if (id !== 0) {
    const delta = (id & PLUS_CONSTANT) !== 0 ? `${off < 0 ? '' : '+'}${off}` : '';
    parts.push(`id=${register.root}${delta}`);
  }
  if (register.reference !== 0) parts.push(`ref_obj_id=${register.reference}`);
  if (HAS_MAP.has(base) && register.map !== undefined) {
    const { name, keySize, valueSize } = register.map;
    if (name !== '') parts.push(`map=${name}`);
    parts.push(`ks=${keySize},vs=${valueSize}`);
  }
  if (type !== TYPE.SCALAR && off !== 0) parts.push(`off=${signed(off)}`);
  if (base === TYPE.PACKET || base === TYPE.PACKET_META)
    parts.push(`r=${formatUnsigned(BigInt.asUintN(64, BigInt(register.extent)))}`);
  if (base === TYPE.MEMORY) parts.push(`sz=${signed(register.extent)}`);
  if (base === TYPE.DYNPTR) parts.push(`type=${dynptrName(register.place)}`);
  if (!isConst) parts.push(...formatRanges(register));
  else if (value !== 0n) parts.push(`imm=${formatSigned(value)}`);
  return `${text}(${parts.join(',')})`;
}

/** Kinds of a slot's bytes from the highest address down, up to the register that it keeps. */
function letters(kinds: number, upTo: number): string {
  let text = '';
  for (let byte = 0; byte < SLOT_SIZE; byte++) {
    const kind = kindAt(kinds, byte);
    if (kind === upTo) break;
    text += KIND_LETTERS[kind];
  }
  return text;
}

const hasBit = (lo: number, hi: number, index: number) =>
  ((index < 32 ? lo : hi) & (1 << (index & 31))) !== 0;

/** What is known in a frame: ` R1=ctx() R10=fp0 fp-8=scalar()`; with a mark where it is not the outermost. */
export function formatFrame(frame: Frame, references: readonly Reference[], touched: Touched): string {
  let text = frame.index > 0 ? ` frame${frame.index}:` : '';
  for (const [index, register] of frame.registers.entries()) {
    if (register.type === TYPE.NOT_INIT || (touched.registers & (1 << index)) === 0) continue;
    text += ` R${index}=${formatRegister(register, frame.index, frame.isPreciseRegister(index))}`;
  }
  for (let slot = 0; slot < frame.kinds.length; slot++) {
    const kinds = frame.kinds[slot]!;
    if (kinds === 0) continue;
    if (!hasBit(touched.slotsLo, touched.slotsHi, slot)) continue;
    const kept = frame.kept[slot];
    if (isSpill(kinds) && kept !== undefined) {
      const register = formatRegister(kept, frame.index, frame.isPreciseSlot(slot));
      text += ` fp${-(slot + 1) * SLOT_SIZE}=${letters(kinds, KIND.SPILL)}${register}`;
    } else if (isDynptr(kinds)) {
      // The two slots of one: the lower address has the rest of it.
      slot += 1;
      text += ` fp${-(slot + 1) * SLOT_SIZE}=${formatDynptr(frame.kept[slot])}`;
    } else text += ` fp${-(slot + 1) * SLOT_SIZE}=${letters(kinds, -1)}`;
  }
  const held = references.filter(({ id }) => id !== 0);
  if (held.length > 0) text += ` refs=${held.map(({ id }) => id).join(',')}`;
  if (frame.callback !== undefined) text += ' cb';
  return text;
}

function formatDynptr(register: Register | undefined): string {
  if (register === undefined) return 'dynptr_?()';
  const parts: string[] = [];
  if (register.id !== 0) parts.push(`id=${register.id}`);
  if (register.reference !== 0) parts.push(`ref_id=${register.reference}`);
  return `dynptr_${dynptrName(register.place)}(${parts.join(',')})`;
}
