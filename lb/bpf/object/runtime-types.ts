import { HELPERS, type HelperPrototype } from '../helpers/prototypes.js';
import { Btf, type BtfMember, type BtfType, btfReader } from './btf.js';

// The runtime's own types, for CO-RE without a target: what its contexts look like, and which helpers it has.

/** Number and byte size of a field, in the order of the struct: uapi/linux/bpf.h. */
type FieldRow = readonly [name: string, offset: number, type: FieldType];
type FieldType = 'u8' | 'u32' | 'u64' | 'pointer' | 'u32x4' | 'u32x5';

const XDP_MD: readonly FieldRow[] = [
  ['data', 0, 'u32'],
  ['data_end', 4, 'u32'],
  ['data_meta', 8, 'u32'],
  ['ingress_ifindex', 12, 'u32'],
  ['rx_queue_index', 16, 'u32'],
  ['egress_ifindex', 20, 'u32'],
];
const XDP_MD_BYTES = 24;

const SK_BUFF: readonly FieldRow[] = [
  ['len', 0, 'u32'],
  ['pkt_type', 4, 'u32'],
  ['mark', 8, 'u32'],
  ['queue_mapping', 12, 'u32'],
  ['protocol', 16, 'u32'],
  ['vlan_present', 20, 'u32'],
  ['vlan_tci', 24, 'u32'],
  ['vlan_proto', 28, 'u32'],
  ['priority', 32, 'u32'],
  ['ingress_ifindex', 36, 'u32'],
  ['ifindex', 40, 'u32'],
  ['tc_index', 44, 'u32'],
  ['cb', 48, 'u32x5'],
  ['hash', 68, 'u32'],
  ['tc_classid', 72, 'u32'],
  ['data', 76, 'u32'],
  ['data_end', 80, 'u32'],
  ['napi_id', 84, 'u32'],
  ['family', 88, 'u32'],
  ['remote_ip4', 92, 'u32'],
  ['local_ip4', 96, 'u32'],
  ['remote_ip6', 100, 'u32x4'],
  ['local_ip6', 116, 'u32x4'],
  ['remote_port', 132, 'u32'],
  ['local_port', 136, 'u32'],
  ['data_meta', 140, 'u32'],
  ['flow_keys', 144, 'pointer'],
  ['tstamp', 152, 'u64'],
  ['wire_len', 160, 'u32'],
  ['gso_segs', 164, 'u32'],
  ['sk', 168, 'pointer'],
  ['gso_size', 176, 'u32'],
  ['tstamp_type', 180, 'u8'],
  ['hwtstamp', 184, 'u64'],
];
const SK_BUFF_BYTES = 192;

/** Types that the fields are made of; the ids are their places. */
const FIELD_TYPES = [
  { kind: 'void', id: 0, at: 0, name: '' },
  { kind: 'int', id: 1, at: 0, name: 'unsigned char', sizeBytes: 1, bits: 8, bitOffset: 0, encoding: 0 },
  { kind: 'int', id: 2, at: 0, name: 'unsigned int', sizeBytes: 4, bits: 32, bitOffset: 0, encoding: 0 },
  {
    kind: 'int',
    id: 3,
    at: 0,
    name: 'unsigned long long',
    sizeBytes: 8,
    bits: 64,
    bitOffset: 0,
    encoding: 0,
  },
  { kind: 'ptr', id: 4, at: 0, name: '', type: 0 },
  { kind: 'array', id: 5, at: 0, name: '', type: 2, indexType: 2, count: 4 },
  { kind: 'array', id: 6, at: 0, name: '', type: 2, indexType: 2, count: 5 },
] as const satisfies readonly BtfType[];
const ID_OF_FIELD: Record<FieldType, number> = { u8: 1, u32: 2, u64: 3, pointer: 4, u32x4: 5, u32x5: 6 };

const members = (rows: readonly FieldRow[]): readonly BtfMember[] =>
  rows.map(([name, offset, type]) => ({
    name,
    type: ID_OF_FIELD[type],
    bitOffset: offset * 8,
    bitSize: 0,
  }));

let built: Btf | undefined;

/**
 * `struct xdp_md`, `struct __sk_buff` and `enum bpf_func_id`; the enum has the helpers that the runtime offers and no
 * others, so that `bpf_core_enum_value_exists(enum bpf_func_id, …)` tells them. It has no bytes.
 */
export function runtimeTypes(): Btf {
  if (built !== undefined) return built;
  const helpers: readonly HelperPrototype[] = HELPERS;
  const offered = helpers.filter(({ notOffered }) => notOffered === undefined);
  const first = FIELD_TYPES.length;
  const types: readonly BtfType[] = [
    ...FIELD_TYPES,
    { kind: 'struct', id: first, at: 0, name: 'xdp_md', sizeBytes: XDP_MD_BYTES, members: members(XDP_MD) },
    {
      kind: 'struct',
      id: first + 1,
      at: 0,
      name: '__sk_buff',
      sizeBytes: SK_BUFF_BYTES,
      members: members(SK_BUFF),
    },
    {
      kind: 'enum',
      id: first + 2,
      at: 0,
      name: 'bpf_func_id',
      sizeBytes: 4,
      signed: false,
      values: offered.map(({ name, id }) => ({ name: enumerator(name), value: BigInt(id) })),
    },
  ];
  built = new Btf(new Uint8Array(0), types, btfReader(new Uint8Array(1)));
  return built;
}

/** `bpf_map_lookup_elem` is `BPF_FUNC_map_lookup_elem`. */
function enumerator(helper: string): string {
  return `BPF_FUNC_${helper.replace(/^bpf_/, '')}`;
}
