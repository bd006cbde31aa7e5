import type { HelperUser } from '../helpers/prototypes.js';
import type { Instruction } from '../isa/instruction.js';
import type { MapSpec, MapTypeName } from '../maps/map.js';
import type { Btf } from '../object/btf.js';
import type { FunctionSpec, LineSpec, ProgramType } from '../object/spec.js';
import type { VerifyFault } from './refusal.js';

/** A map as far as a proof goes. Map references in instructions are by index among them. */
export interface VerifierMap {
  readonly name: string;
  readonly type: MapTypeName;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Template of the inner maps of a map of maps. */
  readonly inner?: VerifierMap;
  /** Content of a map that programs cannot write and that is frozen: what is loaded from it is constant. */
  readonly constants?: Uint8Array;
  /** Offset of the value's `struct bpf_spin_lock`, known from the map's BTF. */
  readonly lockOffset?: number;
  /** Other fields of the value that programs may not touch (bpf_timer and the like), by the name of their type. */
  readonly specialFields?: readonly { readonly type: string; readonly offset: number }[];
  /** Whether its key and value have types, which bpf_spin_lock asks for. */
  readonly hasTypes?: boolean;
}

const RDONLY_PROG = 128;
/** Maps whose values programs can read but not write, whatever their flags. */
const READ_ONLY: ReadonlySet<MapTypeName> = new Set(['DEVMAP', 'DEVMAP_HASH']);

/** What a proof needs of a map that an object file describes. */
export function verifierMapOf(spec: MapSpec): VerifierMap {
  const { name, type, keySize, valueSize, maxEntries, flags, inner, lockOffset, specialFields } = spec;
  const isConstant = spec.frozen === true && (flags & RDONLY_PROG) !== 0 && spec.initial !== undefined;
  return {
    name,
    type,
    keySize,
    valueSize,
    maxEntries,
    flags: READ_ONLY.has(type) ? flags | RDONLY_PROG : flags,
    ...(inner !== undefined && { inner: verifierMapOf(inner) }),
    ...(isConstant && { constants: spec.initial }),
    ...(lockOffset !== undefined && { lockOffset }),
    ...(specialFields !== undefined && { specialFields }),
    hasTypes: spec.valueTypeId !== undefined || lockOffset !== undefined,
  };
}

/** Flags of BPF_PROG_LOAD that change what is proved (uapi/linux/bpf.h, prog_flags). */
export const PROGRAM_FLAGS = {
  /** Loads and stores must be aligned, in the packet too. */
  STRICT_ALIGNMENT: 1,
  ANY_ALIGNMENT: 2,
  /** Keep a state at every place where paths may meet: for tests. */
  TEST_STATE_FREQ: 8,
} as const;

export interface VerifyOptions {
  readonly type: ProgramType;
  /** Attach type that the program is loaded for; absent for the type's own. */
  readonly attachType?: string;
  readonly maps?: readonly VerifierMap[];
  /** Functions, the entry among them; with type ids they tell static from global ones. */
  readonly functions?: readonly FunctionSpec[];
  /** Source lines, ascending by slot. */
  readonly lines?: readonly LineSpec[];
  readonly btf?: Btf;
  /** Under a licence that is compatible with the GPL: true unless given. */
  readonly gpl?: boolean;
  /** See PROGRAM_FLAGS. */
  readonly flags?: number;
  /** Prove as for a loader without CAP_PERFMON: no pointer may leak, the stack is written before it is read. */
  readonly unprivileged?: boolean;
  /** 0: no log; 1: the path that fails; 2: every path, and how precision was found. */
  readonly log?: 0 | 1 | 2;
  /** CPUs that bpf_get_smp_processor_id tells apart; without it nothing is known of its result. */
  readonly cpus?: number;
  /** Instructions walked at most; the kernel's 1,000,000 unless given. */
  readonly limit?: number;
}

export interface VerifyInput extends VerifyOptions {
  readonly instructions: readonly Instruction[];
  /** Instructions that are no BPF, by slot, with the kernel's message: refused where a path leads there. */
  readonly wrong?: ReadonlyMap<number, string>;
}

/** What loads and stores go through. */
export type MemoryName = 'context' | 'stack' | 'packet' | 'map-key' | 'map-value' | 'memory' | 'socket';

/** Where a load or store can go, on all paths: no check is needed for it at run time. */
export interface AccessFact {
  readonly memory: MemoryName;
  /** Least and greatest offset of its first byte in the memory; in the stack from the frame's end, in the packet from where it was loaded. */
  readonly min: number;
  readonly max: number;
}

/** What the proof found of one instruction, on all paths. */
export interface SlotFacts {
  /** Helper calls: the map that its map argument always is, by index; absent where it differs. */
  readonly map?: number;
  /** Helper calls: the key of a lookup in an array, where it is always the same. */
  readonly key?: number;
  /** Loads and stores; absent where paths go through different memory. */
  readonly access?: AccessFact;
  /** Conditional jumps that always go the same way: whether that is to their target. */
  readonly taken?: boolean;
}

export interface Accepted {
  readonly accepted: true;
  /** Instructions walked, on all paths together. */
  readonly processed: number;
  /** States kept, in all and at once. */
  readonly states: number;
  readonly peakStates: number;
  /** Most states that were looked through at one instruction. */
  readonly statesPerInstruction: number;
  /** Bytes of stack of the deepest chain of calls, as the functions' frames are rounded. */
  readonly stackDepth: number;
  readonly log: string;
  /** By slot. */
  readonly facts: ReadonlyMap<number, SlotFacts>;
  /** Slots that no path leads to: constants rule them out. */
  readonly dead: readonly number[];
}

export interface Refused {
  readonly accepted: false;
  readonly fault: VerifyFault;
  /** The kernel's message; where it has several lines they are joined by ' | '. */
  readonly message: string;
  /** The errno that BPF_PROG_LOAD fails with: 'EACCES'. */
  readonly errno: string;
  /** For people: what is wrong, at which line, and what usually mends it. */
  readonly explanation: string;
  /** Source line, where the object has them. */
  readonly line?: LineSpec;
  readonly log: string;
  readonly processed: number;
  readonly states: number;
}

export type VerifyResult = Accepted | Refused;

/** Whose helpers and context programs of the type have. */
export type ContextUser = HelperUser;
