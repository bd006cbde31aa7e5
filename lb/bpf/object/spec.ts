import type { MapSpec } from '../maps/map.js';
import type { Btf } from './btf.js';
import type { ObjectError } from './fault.js';
import type { ProgramType, SectionType } from './section-types.js';

export { POISON_HELPER } from '../isa/opcodes.js';
export { ATTACH_TYPES, type AttachType, type ProgramType, type SectionType } from './section-types.js';

/** A function of a linked program: where it starts, in 8-byte slots. */
export interface FunctionSpec {
  readonly name: string;
  readonly start: number;
  /** BTF id of its FUNC; absent without BTF (struct bpf_func_info). */
  readonly typeId?: number;
}

/** Source line of the instructions from `slot` on, up to the next entry (BTF.ext). */
export interface LineSpec {
  readonly slot: number;
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly column: number;
  /** Offsets of `file` and `text` in the BTF string section (struct bpf_line_info). */
  readonly fileOffset: number;
  readonly textOffset: number;
}

/**
 * One program, linked: its entry function first, then each function that it reaches, calls pc-relative.
 * LD_IMM64 with src_reg 1 (map) or 2 (map value) carries in `imm` the *index* of the map in
 * `ObjectSpec.maps`; for src_reg 2 the second slot's imm is the offset in the value. Whoever runs the
 * program puts a file descriptor or an arena offset in its place.
 */
export interface ProgramSpec extends SectionType {
  readonly name: string;
  readonly section: string;
  /** By the section's name; 'unspec' where that says nothing, for the user to choose. */
  readonly type: ProgramType;
  /** 8 bytes a slot, little endian (RFC 9669 §3). */
  readonly code: Uint8Array;
  readonly functions: readonly FunctionSpec[];
  readonly lines: readonly LineSpec[];
  /**
   * CO-RE relocations that found nothing to match, and calls of weak kernel functions: the instruction was replaced by
   * a call of a helper that does not exist (`POISON_HELPER`), which is refused unless no path leads there. A 64-bit
   * immediate becomes two such calls and has two entries.
   */
  readonly poisoned?: readonly { readonly slot: number; readonly why: string }[];
}

/** A global variable of .data, .bss, .rodata (or a section named after one of them). */
export interface GlobalSpec {
  readonly name: string;
  /** Name of the map that holds its section. */
  readonly map: string;
  /** Place in the map's one value, bytes. */
  readonly offset: number;
  readonly bytes: number;
  /** BTF id of its type; absent without BTF. */
  readonly typeId?: number;
}

/** A program that cannot be linked; the others of its object can. */
export interface RefusedProgram {
  readonly name: string;
  readonly section: string;
  readonly error: ObjectError;
}

/** What an object file holds; plain and immutable. */
export interface ObjectSpec {
  readonly license: string;
  /** Those that could be linked, in the order of the file. */
  readonly programs: readonly ProgramSpec[];
  /** Those that could not, and why; absent where there are none. */
  readonly refused?: readonly RefusedProgram[];
  /**
   * Those of `.maps` in the order of their offsets, those of legacy `maps` sections, then the data sections in the order
   * of the file, then `.common` and `.kconfig`.
   */
  readonly maps: readonly MapSpec[];
  readonly globals: readonly GlobalSpec[];
  /** Types of the object; `btf.bytes` is what BPF_BTF_LOAD takes. Absent where the object has none. */
  readonly btf?: Btf;
}
