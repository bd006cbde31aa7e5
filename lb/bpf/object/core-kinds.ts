import { ObjectError, type ObjectFault } from './fault.js';

/** What a CO-RE relocation asks of the target's types. */
export type CoreSubject = 'field' | 'type' | 'enumerator';

interface CoreKindRow {
  readonly name: string;
  readonly subject: CoreSubject;
  /** The instruction must hold the local value; where not, the compiler may have put anything there. */
  readonly isChecked: boolean;
  /** What a target without the thing gives; absent: no value, the instruction is poisoned. */
  readonly absent?: bigint;
}

/**
 * Kinds of relocation by number (enum bpf_core_relo_kind of uapi/linux/bpf.h; Linux
 * Documentation/bpf/llvm_reloc.rst, "CO-RE Relocations").
 */
export const CORE_KINDS = {
  0: { name: 'byte offset', subject: 'field', isChecked: true },
  1: { name: 'byte size', subject: 'field', isChecked: true },
  2: { name: 'existence', subject: 'field', isChecked: true, absent: 0n },
  3: { name: 'signedness', subject: 'field', isChecked: true },
  4: { name: 'left shift', subject: 'field', isChecked: true },
  5: { name: 'right shift', subject: 'field', isChecked: true },
  6: { name: 'local id', subject: 'type', isChecked: false },
  7: { name: 'target id', subject: 'type', isChecked: false, absent: 0n },
  8: { name: 'existence', subject: 'type', isChecked: true, absent: 0n },
  9: { name: 'size', subject: 'type', isChecked: true, absent: 0n },
  10: { name: 'existence', subject: 'enumerator', isChecked: true, absent: 0n },
  11: { name: 'value', subject: 'enumerator', isChecked: true },
  12: { name: 'match', subject: 'type', isChecked: true, absent: 0n },
} as const satisfies Record<number, CoreKindRow>;
export type CoreKind = keyof typeof CORE_KINDS;

/** The row of a kind, with the optional parts that `as const` leaves out of the union. */
export function coreKindRow(kind: CoreKind): CoreKindRow {
  return CORE_KINDS[kind];
}

export function isCoreKind(kind: number): kind is CoreKind {
  return Object.hasOwn(CORE_KINDS, kind);
}

export interface CoreFault extends ObjectFault {
  readonly code: 'CORE_RECORD' | 'CORE_AMBIGUOUS' | 'CORE_INSTRUCTION' | 'CORE_FIELD' | 'CORE_LIMIT';
  readonly stage: 'core';
}
/** A CO-RE relocation is damaged, does not fit its instruction, or has several answers in the target. */
export class CoreError extends ObjectError<CoreFault> {}

/** Instruction that a relocation is for: where its errors stand. */
export interface CorePlace {
  readonly section: string;
  /** Bytes. */
  readonly offset: number;
}

export function coreFail(code: CoreFault['code'], { section, offset }: CorePlace, message: string): never {
  throw new CoreError({ code, stage: 'core', section, offset }, message);
}

/** Steps of comparison that one relocation may take: a damaged type can contain itself many times over. */
const MAX_STEPS = 200_000;

/** Counts the steps of one relocation; raises CORE_LIMIT when there are too many. */
export class CoreBudget {
  readonly place: CorePlace;
  #left = MAX_STEPS;

  constructor(place: CorePlace) {
    this.place = place;
  }

  spend(steps = 1): void {
    this.#left -= steps;
    if (this.#left < 0)
      coreFail('CORE_LIMIT', this.place, `types are compared for more than ${MAX_STEPS} steps`);
  }
}
