import { describe, expect, it } from 'vitest';
import { BPF_PRELUDE } from '../../../test/support/bpf-helpers.js';
import { missingRoot } from '../../../test/support/capabilities.js';
import { compileC, missingClang } from '../../../test/support/clang.js';
import { loadKernelProgram } from '../../sys/bpf.js';
import { loadObject } from '../object/load.js';
import { Machine } from './machine.js';

const SKB_FIELDS = [
  'len',
  'pkt_type',
  'mark',
  'queue_mapping',
  'protocol',
  'vlan_present',
  'vlan_tci',
  'vlan_proto',
  'priority',
  'ingress_ifindex',
  'ifindex',
  'tc_index',
  'cb[0]',
  'cb[4]',
  'hash',
  'tc_classid',
  'napi_id',
  'wire_len',
  'gso_segs',
  'gso_size',
];
const XDP_FIELDS = ['ingress_ifindex', 'rx_queue_index'];
/** C that stores fields behind the Ethernet header, 4 bytes each. */
const stores = (fields: readonly string[]) =>
  fields.map((field, index) => `out[${index}] = ctx->${field};`).join(' ');
const FIRST = 16;

const SOURCE = `${BPF_PRELUDE}
struct skb { __u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority,
  ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end, napi_id, family, remote_ip4, local_ip4,
  remote_ip6[4], local_ip6[4], remote_port, local_port, data_meta; __u64 flow_keys, tstamp; __u32 wire_len, gso_segs;
  __u64 sk; __u32 gso_size; };
SEC("tc") int see_skb(struct skb *ctx) {
  __u32 *out = (void *)(long)ctx->data + ${FIRST};
  if ((void *)(out + ${SKB_FIELDS.length}) > (void *)(long)ctx->data_end) return 2;
  ${stores(SKB_FIELDS)}
  return ctx->data_meta == ctx->data ? 0 : 1;
}
SEC("xdp") int see_xdp(struct xdp_md *ctx) {
  __u32 *out = (void *)(long)ctx->data + ${FIRST};
  if ((void *)(out + ${XDP_FIELDS.length}) > (void *)(long)ctx->data_end) return 1;
  ${stores(XDP_FIELDS)}
  return ctx->data_meta == ctx->data ? 2 : 3;
}
char _license[] SEC("license") = "GPL";
`;

/** A frame of a type, to an address. */
function frame(type: readonly number[], to: readonly number[] = [2, 0, 0, 0, 0, 1]): Uint8Array {
  const bytes = new Uint8Array(150);
  bytes.set([...to, 2, 0, 0, 0, 0, 2, ...type]);
  return bytes;
}
const FRAMES: Readonly<Record<string, Uint8Array>> = {
  IPv4: frame([8, 0, 0x45]),
  IPv6: frame([0x86, 0xdd, 0x60]),
  ARP: frame([8, 6]),
  'a VLAN tag': frame([0x81, 0, 0x20, 5, 8, 0, 0x45]),
  'a length in the place of a type': frame([0, 100]),
  'raw 802.3': frame([0, 100, 255, 255]),
  broadcast: frame([8, 0, 0x45], [255, 255, 255, 255, 255, 255]),
  multicast: frame([8, 0, 0x45], [1, 0, 0x5e, 0, 0, 1]),
  'the address of the loopback interface': frame([8, 0, 0x45], [0, 0, 0, 0, 0, 0]),
};

const missing = missingClang ?? missingRoot;
describe.skipIf(missing)(
  `a run begins as the kernel's test run${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    const object = missing === undefined ? loadObject(compileC(SOURCE)) : undefined;
    const words = (packet: Uint8Array, names: readonly string[]) => {
      const view = new DataView(packet.buffer, packet.byteOffset);
      return Object.fromEntries(names.map((name, index) => [name, view.getUint32(FIRST + index * 4, true)]));
    };

    for (const [program, fields] of [
      ['see_xdp', XDP_FIELDS],
      ['see_skb', SKB_FIELDS],
    ] as const) {
      it.each(Object.keys(FRAMES))(`${program}: %s`, (name) => {
        const packet = FRAMES[name]!;
        const spec = object!.programs.find((each) => each.name === program)!;
        const kernel = loadKernelProgram(spec, [], 'GPL');
        try {
          const want = kernel.testRun(packet);
          const got = Machine.create(object!).program(program).run(packet);
          expect(words(got.packet, fields)).toEqual(words(want.packet, fields));
          expect(got.returnValue).toBe(want.verdict);
          expect(got.packet).toEqual(want.packet);
        } finally {
          kernel.close();
        }
      });
    }
  },
);
