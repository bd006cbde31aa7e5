import type { HelperUser } from '../helpers/prototypes.js';
import {
  CPU_SKB,
  CPU_XDP_MD,
  SKB_DATA,
  SKB_DATA_END,
  SKB_DATA_META,
  SKB_UAPI_BYTES,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_EGRESS_IFINDEX,
  XDP_MD_INGRESS_IFINDEX,
  XDP_MD_RX_QUEUE_INDEX,
} from '../memory/layout.js';

/** What a load of a context field gives. */
export type ContextValue =
  | 'scalar'
  /** First byte of the packet. */
  | 'packet'
  /** One past its last byte. */
  | 'packet-end'
  /** First byte of the metadata in front of it. */
  | 'packet-meta'
  /** A struct bpf_sock or NULL; here always NULL. */
  | 'socket-common-or-null';

export type ContextBytes = 1 | 2 | 4 | 8;

/** A field of a program's context, and which accesses to it the kernel lets pass. */
export interface ContextField {
  /** The kernel's name (uapi/linux/bpf.h). */
  readonly name: string;
  readonly offset: number;
  /** Bytes of one element. */
  readonly bytes: ContextBytes;
  /** Elements of an array; 1 unless given. */
  readonly count?: number;
  readonly value: ContextValue;
  /** Sizes that a load and a store may have, each at a multiple of itself and inside the field; [] for none. */
  readonly reads: readonly ContextBytes[];
  readonly writes: readonly ContextBytes[];
  /** Bytes that the kernel keeps of what is stored, where they are fewer. Here all of it reads back. */
  readonly keeps?: 1 | 2;
  /** In network byte order as the program loads it. */
  readonly isBigEndian?: true;
  /** Only programs of this attach type may touch it (enum bpf_attach_type, ProgramSpec's attach type). */
  readonly attachType?: 'XDP_DEVMAP';
}

/** The context of a program type: struct xdp_md or __sk_buff. */
export interface ContextLayout {
  /** The C type that r1 points to. */
  readonly type: string;
  /** Place in a CPU's block, bytes. */
  readonly blockOffset: number;
  /** Length of the kernel's struct: beyond it nothing may be touched. */
  readonly bytes: number;
  /** In order of offsets; what lies between them may not be touched. */
  readonly fields: readonly ContextField[];
}

const WORD = [4] as const;
const NARROW = [1, 2, 4] as const;

const pointer = (name: string, offset: number, value: ContextValue): ContextField => ({
  name,
  offset,
  bytes: 4,
  value,
  reads: WORD,
  writes: [],
});
/** Of XDP, which allows no narrow loads (net/core/filter.c, __is_valid_xdp_access). */
const xdpWord = (name: string, offset: number): ContextField => ({
  name,
  offset,
  bytes: 4,
  value: 'scalar',
  reads: WORD,
  writes: [],
});
/** Of TC: loads may be narrow (bpf_skb_is_valid_access). */
const skbWord = (name: string, offset: number): ContextField => ({
  name,
  offset,
  bytes: 4,
  value: 'scalar',
  reads: NARROW,
  writes: [],
});
/** Stores are of the whole field (tc_cls_act_is_valid_access). */
const writableWord = (name: string, offset: number): ContextField => ({
  ...skbWord(name, offset),
  writes: WORD,
});

/**
 * Contexts by program type (uapi/linux/bpf.h; who may touch what: net/core/filter.c, xdp_is_valid_access and
 * tc_cls_act_is_valid_access). Verifier, disassembler and documentation read this table.
 */
export const CONTEXTS: Readonly<Record<HelperUser, ContextLayout>> = {
  xdp: {
    type: 'struct xdp_md',
    blockOffset: CPU_XDP_MD,
    bytes: 24,
    fields: [
      pointer('data', XDP_MD_DATA, 'packet'),
      pointer('data_end', XDP_MD_DATA_END, 'packet-end'),
      pointer('data_meta', XDP_MD_DATA_META, 'packet-meta'),
      xdpWord('ingress_ifindex', XDP_MD_INGRESS_IFINDEX),
      xdpWord('rx_queue_index', XDP_MD_RX_QUEUE_INDEX),
      { ...xdpWord('egress_ifindex', XDP_MD_EGRESS_IFINDEX), attachType: 'XDP_DEVMAP' },
    ],
  },
  sched_cls: {
    type: 'struct __sk_buff',
    blockOffset: CPU_SKB,
    bytes: SKB_UAPI_BYTES,
    fields: [
      skbWord('len', 0),
      skbWord('pkt_type', 4),
      writableWord('mark', 8),
      { ...writableWord('queue_mapping', 12), keeps: 2 },
      { ...skbWord('protocol', 16), isBigEndian: true },
      skbWord('vlan_present', 20),
      skbWord('vlan_tci', 24),
      { ...skbWord('vlan_proto', 28), isBigEndian: true },
      writableWord('priority', 32),
      skbWord('ingress_ifindex', 36),
      skbWord('ifindex', 40),
      { ...writableWord('tc_index', 44), keeps: 2 },
      { ...writableWord('cb', 48), count: 5, reads: [1, 2, 4, 8], writes: [1, 2, 4, 8] },
      skbWord('hash', 68),
      { ...writableWord('tc_classid', 72), keeps: 2 },
      pointer('data', SKB_DATA, 'packet'),
      pointer('data_end', SKB_DATA_END, 'packet-end'),
      skbWord('napi_id', 84),
      pointer('data_meta', SKB_DATA_META, 'packet-meta'),
      { name: 'tstamp', offset: 152, bytes: 8, value: 'scalar', reads: [8], writes: [8] },
      skbWord('wire_len', 160),
      skbWord('gso_segs', 164),
      { name: 'sk', offset: 168, bytes: 8, value: 'socket-common-or-null', reads: [8], writes: [] },
      skbWord('gso_size', 176),
      { name: 'tstamp_type', offset: 180, bytes: 1, value: 'scalar', reads: [1], writes: [] },
      { name: 'hwtstamp', offset: 184, bytes: 8, value: 'scalar', reads: [8], writes: [] },
    ],
  },
};

/** Whose context and helpers programs of a type have; undefined where that type is none that can run here. */
export function contextUser(programType: string | undefined): HelperUser | undefined {
  switch (programType) {
    case 'xdp':
    case 'sched_cls':
      return programType;
    // An action sees what a classifier sees (net/core/filter.c: tc_cls_act_verifier_ops are of both).
    case 'sched_act':
      return 'sched_cls';
    default:
      return undefined;
  }
}

/** Bytes of a field with all its elements. */
export const fieldBytes = ({ bytes, count = 1 }: ContextField): number => bytes * count;

/** Field that a byte of the context belongs to, or undefined where none does. */
export function fieldAt(type: HelperUser, offset: number): ContextField | undefined {
  return CONTEXTS[type].fields.find(
    (field) => offset >= field.offset && offset < field.offset + fieldBytes(field),
  );
}

export function fieldByName(type: HelperUser, name: string): ContextField | undefined {
  return CONTEXTS[type].fields.find((field) => field.name === name);
}

export interface ContextAccess {
  readonly offset: number;
  readonly bytes: ContextBytes;
  readonly write: boolean;
  /** A sign-extending load (RFC 9669 §5.2): of scalars only. */
  readonly signed?: boolean;
  /** Attach type that the program was loaded for; absent for the type's own. */
  readonly attachType?: string;
}

/**
 * The field that an access touches, if the kernel lets it pass ("invalid bpf_context access" otherwise).
 * @returns undefined where it does not
 */
export function allowedAccess(type: HelperUser, access: ContextAccess): ContextField | undefined {
  const { offset, bytes, write, signed = false } = access;
  const field = fieldAt(type, offset);
  if (field === undefined || offset % bytes !== 0) return undefined;
  if (offset + bytes > field.offset + fieldBytes(field)) return undefined;
  if (!(write ? field.writes : field.reads).includes(bytes)) return undefined;
  if (signed && field.value !== 'scalar') return undefined;
  return field.attachType === undefined || field.attachType === access.attachType ? field : undefined;
}
