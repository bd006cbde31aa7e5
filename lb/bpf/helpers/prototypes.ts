import { ELSEWHERE_HELPERS } from './table-elsewhere.js';
import { GENERAL_HELPERS } from './table-general.js';
import { KERNEL_HELPERS } from './table-kernel.js';
import { MAP_HELPERS } from './table-maps.js';
import { PACKET_HELPERS } from './table-packet.js';

/** Memory of a fixed length, bytes. `write`: the helper fills it, so that it need not be initialised; `both`: it must. */
export interface FixedMemory {
  readonly kind: 'fixed-memory';
  readonly bytes: number;
  readonly access: 'read' | 'write' | 'both';
  /** The kernel wants it aligned to its length (MEM_ALIGNED). */
  readonly aligned?: true;
}

/**
 * What a helper takes, as the verifier must prove it (the kernel's enum bpf_arg_type). A `*size*` argument
 * is the length in bytes of the memory argument before it.
 */
export type ArgumentKind =
  /** Any initialised register. */
  | 'anything'
  /** The register as it is: the helper may look at it, or at what it points to, and nobody checks it. */
  | 'unchecked'
  /** A number, no pointer. */
  | 'scalar'
  | 'context'
  | 'context-or-null'
  | 'map'
  /** keySize readable bytes of the map argument's map; the same for a value. */
  | 'map-key'
  | 'map-value'
  /** valueSize bytes that the helper fills. */
  | 'map-value-write'
  /** Readable memory; `…-or-null`: or NULL together with a size of 0. */
  | 'memory'
  | 'memory-or-null'
  /** Memory that the helper fills: need not be initialised (PTR_TO_UNINIT_MEM). */
  | 'memory-write'
  | 'memory-write-or-null'
  /** Memory that the helper reads and writes: must be initialised. */
  | 'memory-update'
  | FixedMemory
  | 'size'
  | 'size-or-zero'
  /** A constant: length of the memory that the helper returns. */
  | 'alloc-size'
  /** NUL-terminated string in a frozen read-only map. */
  | 'constant-string'
  /** A BPF function of the program (callback). */
  | 'function'
  /** Pointer to the stack, or NULL: context of a callback. */
  | 'stack-or-null'
  | 'spin-lock'
  | 'timer'
  /** A record of bpf_ringbuf_reserve, given back by the call. */
  | 'record-release'
  /** struct bpf_dynptr on the stack: any that is initialised; one that the call makes; a ring buffer's, given back. */
  | 'dynptr'
  | 'dynptr-new-ringbuf'
  | 'dynptr-new-local'
  | 'dynptr-release-ringbuf'
  | 'socket-common'
  | 'socket-release'
  /** A kernel object by BTF, which programs of the offered types cannot have: refused. */
  | 'kernel-object';

/** What r0 holds afterwards. */
export type ResultKind =
  | 'integer'
  | 'void'
  | 'map-value-or-null'
  | 'record-or-null'
  | 'dynptr-memory-or-null'
  | 'socket-or-null'
  | 'socket-common-or-null'
  | 'tcp-socket-or-null'
  | 'kernel-object';

/** Program types that programs here can have. */
export type HelperUser = 'xdp' | 'sched_cls';

export interface HelperPrototype {
  /** Number in a call instruction's imm (uapi/linux/bpf.h, __BPF_FUNC_MAPPER). */
  readonly id: number;
  /** The kernel's name; the runtime module exports the body under it. */
  readonly name: string;
  /** r1 to r5, as many as the helper takes; [] where no program here can call it. */
  readonly args: readonly ArgumentKind[];
  readonly result: ResultKind;
  /** Types of programs that the kernel lets call it (of those here). */
  readonly users: readonly HelperUser[];
  /** Why programs cannot have it here, in a few words; absent where they can. */
  readonly notOffered?: string;
  /** Packet pointers that the program holds are stale afterwards. */
  readonly movesPacket?: true;
  /** Memory arguments may be in the packet (the kernel's pkt_access). */
  readonly packetMemory?: true;
  /** Only programs under a GPL-compatible licence may call it. */
  readonly gplOnly?: true;
  /** Types whose programs get another body than the one of the helper's name. */
  readonly bodies?: Readonly<Partial<Record<HelperUser, string>>>;
  /** The JIT writes the call out in place and the interpreter has a body of its own: runtime.wasm has none. */
  readonly builtin?: true;
}

/** Every helper of the kernel, by id (bpf-helpers(7)): interpreter, JIT, verifier, disassembler and documentation read it. */
export const HELPERS: readonly HelperRow[] = (
  [...MAP_HELPERS, ...GENERAL_HELPERS, ...PACKET_HELPERS, ...KERNEL_HELPERS, ...ELSEWHERE_HELPERS] as const
).toSorted((a, b) => a.id - b.id);

type Offered =
  | (typeof MAP_HELPERS)[number]
  | (typeof GENERAL_HELPERS)[number]
  | (typeof PACKET_HELPERS)[number];

/** Those that programs can call here; but for the `builtin` ones, runtime.wasm exports a body under each name. */
export type HelperName = Offered['name'];

/** Exports of runtime.wasm that are bodies of helpers. */
export type HelperBodyName = HelperName | 'bpf_skb_redirect';

/** A helper that programs can call here. */
export interface OfferedHelper extends HelperPrototype {
  readonly name: HelperName;
  readonly notOffered?: never;
  readonly bodies?: Readonly<Partial<Record<HelperUser, HelperBodyName>>>;
}

/** A helper that is known by name alone. */
export interface KnownHelper extends HelperPrototype {
  readonly notOffered: string;
}

export type HelperRow = OfferedHelper | KnownHelper;

const byId: ReadonlyMap<number, HelperRow> = new Map(HELPERS.map((row) => [row.id, row]));

/** The helper of a call's imm, offered or not; undefined where the kernel has none either. */
export function helperById(id: number): HelperRow | undefined {
  return byId.get(id);
}

/** The export of runtime.wasm that a program of a type calls. */
export function bodyName({ name, bodies }: OfferedHelper, user: HelperUser): HelperBodyName {
  return bodies?.[user] ?? name;
}

/** A helper as documentation lists it. */
export interface HelperDescription {
  readonly id: number;
  readonly name: string;
  readonly users: readonly HelperUser[];
  readonly offered: boolean;
  /** Why it is not offered; '' where it is. */
  readonly why: string;
}

/** All helpers, by id. */
export function describeHelpers(): HelperDescription[] {
  return HELPERS.map(({ id, name, users, notOffered }) => ({
    id,
    name,
    users,
    offered: notOffered === undefined,
    why: notOffered ?? '',
  }));
}
