import { afterAll, describe, expect, it } from 'vitest';
import { missingRoot, noting } from '../../../test/support/capabilities.js';
import { missingClang } from '../../../test/support/clang.js';
import { HelperBed, type HelperInput } from '../../../test/support/helper-bed.js';

/** Operations by number: C with `number` (an int), `small` (8 bits) and `wide` (64 bits). */
const OPERATIONS = {
  none: '0',
  change_tail: 'change_tail(ctx, number, wide)',
  change_head: 'change_head(ctx, number, wide)',
  adjust_room: 'adjust_room(ctx, number, small, wide)',
  change_proto: 'change_proto(ctx, number, wide)',
  vlan_push: 'vlan_push(ctx, number, wide)',
  vlan_pop: 'vlan_pop(ctx)',
  change_type: 'change_type(ctx, number)',
  set_tstamp: 'set_tstamp(ctx, wide, number)',
  ecn_set_ce: 'ecn_set_ce(ctx)',
  csum_level: 'csum_level(ctx, wide)',
  csum_update: 'csum_update(ctx, number)',
  l3_csum: 'l3_csum(ctx, number, wide & 0xffffffff, wide >> 32, small)',
  l4_csum: 'l4_csum(ctx, number, wide & 0xffffffff, wide >> 32, small)',
  load: 'load_bytes(ctx, number, io->result + 64, 16)',
  load_mac: 'load_relative(ctx, number, io->result + 64, 16, 0)',
  load_net: 'load_relative(ctx, number, io->result + 64, 16, 1)',
  load_other: 'load_relative(ctx, number, io->result + 64, 16, 2)',
  store: 'store_bytes(ctx, number, io->bytes, 16, wide)',
  pull: 'pull_data(ctx, number)',
  set_hash: 'set_hash(ctx, number)',
  get_hash: 'get_hash(ctx)',
  hash_invalid: 'hash_invalid(ctx)',
  set_tunnel: 'set_tunnel(ctx, io->bytes + (small & 31), ((number - 1) & 63) + 1, wide)',
} as const satisfies Readonly<Record<string, string>>;
type Name = keyof typeof OPERATIONS;
const NAMES = Object.keys(OPERATIONS) as Name[];

const SOURCE = `
struct skb { __u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority,
  ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end, napi_id, family, remote_ip4, local_ip4,
  remote_ip6[4], local_ip6[4], remote_port, local_port, data_meta; __u64 flow_keys, tstamp; __u32 wire_len, gso_segs;
  __u64 sk; __u32 gso_size; __u8 tstamp_type; };
static long (*change_tail)(void *, __u32, __u64) = HELPER(38);
static long (*change_head)(void *, __u32, __u64) = HELPER(43);
static long (*adjust_room)(void *, int, __u32, __u64) = HELPER(50);
static long (*change_proto)(void *, __u16, __u64) = HELPER(31);
static long (*vlan_push)(void *, __u16, __u16) = HELPER(18);
static long (*vlan_pop)(void *) = HELPER(19);
static long (*change_type)(void *, __u32) = HELPER(32);
static long (*set_tstamp)(void *, __u64, __u32) = HELPER(192);
static long (*ecn_set_ce)(void *) = HELPER(97);
static long (*csum_level)(void *, __u64) = HELPER(135);
static __s64 (*csum_update)(void *, __u32) = HELPER(40);
static long (*l3_csum)(void *, __u32, __u64, __u64, __u64) = HELPER(10);
static long (*l4_csum)(void *, __u32, __u64, __u64, __u64) = HELPER(11);
static long (*load_bytes)(void *, __u32, void *, __u32) = HELPER(26);
static long (*load_relative)(void *, __u32, void *, __u32, __u32) = HELPER(68);
static long (*store_bytes)(void *, __u32, const void *, __u32, __u64) = HELPER(9);
static long (*pull_data)(void *, __u32) = HELPER(39);
static long (*set_hash)(void *, __u32) = HELPER(48);
static __u32 (*get_hash)(void *) = HELPER(34);
static void (*hash_invalid)(void *) = HELPER(41);
static long (*set_tunnel)(void *, const void *, __u32, __u64) = HELPER(21);
static __attribute__((noinline)) long step(struct skb *ctx, struct io *io, __u32 index) {
  if (!io || index > 3) return 0;
  __u64 what = io->in[2 * index], wide = io->in[2 * index + 1];
  int number = what >> 32; __u32 small = what >> 8 & 255;
  switch (what & 255) {
    ${NAMES.map((name, index) => {
      const isVoid = name === 'hash_invalid';
      return `case ${index}: ${isVoid ? `${OPERATIONS[name]}; return 0` : `return ${OPERATIONS[name]}`};`;
    }).join('\n    ')}
  }
  return -1;
}
PROGRAM("tc", skb, run,
  for (int i = 0; i < 4; i++) io->out[i] = step(ctx, io, i);
  __u32 *left = (void *)io->result; left[0] = ctx->len; left[1] = ctx->pkt_type; left[2] = ctx->protocol;
  left[3] = ctx->vlan_present; left[4] = ctx->vlan_tci; left[5] = ctx->vlan_proto; left[6] = ctx->data_end - ctx->data;
  left[7] = ctx->data_meta - ctx->data; left[8] = ctx->tstamp; left[9] = ctx->tstamp_type)
`;

interface Operation {
  readonly name: Name;
  readonly number?: number;
  readonly small?: number;
  readonly wide?: bigint;
}

/** Sixteen bytes to store; behind them zeros and a 1, that tunnel keys can be laid over. */
const INPUT_BYTES = Uint8Array.from({ length: 64 }, (_, i) => (i < 16 ? 0xf0 + i : i === 40 ? 1 : 0));

function inputOf(operations: readonly Operation[], packet: Uint8Array): HelperInput {
  const words = operations.flatMap(({ name, number = 0, small = 0, wide = 0n }) => [
    BigInt(NAMES.indexOf(name)) | (BigInt(small) << 8n) | (BigInt.asUintN(32, BigInt(number)) << 32n),
    wide,
  ]);
  return { in: words, packet, bytes: INPUT_BYTES };
}

const filled = (bytes: number, ...head: readonly number[]) => {
  const packet = Uint8Array.from({ length: bytes }, (_, i) => (i * 29 + 7) & 255);
  packet.set(head);
  return packet;
};
const MACS = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2] as const;
const PACKETS = {
  ipv4: filled(98, ...MACS, 8, 0, 0x45, 1),
  ipv6: filled(120, ...MACS, 0x86, 0xdd, 0x60, 0x10),
  other: filled(60, ...MACS, 0x88, 0xb5),
  tagged: filled(100, ...MACS, 0x81, 0, 0x20, 5, 8, 0, 0x45),
  'tagged twice': filled(100, ...MACS, 0x88, 0xa8, 0x20, 5, 0x81, 0, 0x60, 6, 8, 0, 0x45),
} as const;
type PacketName = keyof typeof PACKETS;

const F = {
  FIXED: 1n,
  V4: 2n,
  V6: 4n,
  GRE: 8n,
  UDP: 16n,
  NO_RESET: 32n,
  ETH: 64n,
  D4: 128n,
  D6: 256n,
} as const;
const IPV4 = 0x0008;
const IPV6 = 0xdd86;
const [NET, MAC] = [0, 1];
const room = (number: number, small: number, wide = 0n): Operation => ({
  name: 'adjust_room',
  number,
  small,
  wide,
});
const op = (name: Name, number = 0, wide = 0n, small = 0): Operation => ({ name, number, wide, small });

/** A packet, operations on it, and what they return (of Linux 6.18, which the last test asks). */
const ROWS: readonly (readonly [PacketName, readonly Operation[], readonly number[]])[] = [
  ['ipv4', [op('change_tail', 98), op('change_tail', 50), op('change_tail', 120)], [0, 0, 0]],
  ['ipv4', [op('change_tail', 14), op('change_tail', 13)], [0, -22]],
  ['ipv4', [op('change_tail', 50, 1n), op('change_tail', 16385)], [-22, -22]],
  ['ipv4', [op('change_head', 0), op('change_head', 14), op('change_head', 4)], [0, 0, 0]],
  ['ipv4', [op('change_head', -1), op('change_head', 4, 1n), op('change_head', 16384)], [-22, -22, -22]],
  ['ipv4', [op('change_head', 14), op('load_net', 0), op('load_mac', 0)], [0, 0, 0]],
  ['ipv4', [op('change_head', 14), op('change_tail', 28), op('change_tail', 27)], [0, 0, -22]],
  ['ipv4', [room(20, MAC), room(-20, MAC)], [0, 0]],
  ['ipv4', [room(8, NET), room(-8, NET)], [0, 0]],
  ['ipv6', [room(8, NET), room(-8, NET)], [0, 0]],
  ['ipv4', [room(0, MAC), room(3000, MAC), room(4096, MAC)], [0, 0, -14]],
  ['ipv4', [room(20, 2), room(20, MAC, 1n << 9n), room(20, 2, 1n << 40n)], [-524, -22, -22]],
  ['other', [room(20, MAC)], [-524]],
  ['ipv4', [room(-64, MAC), room(-1, MAC)], [0, -524]],
  ['ipv4', [room(-65, MAC), room(-84, MAC)], [-524, -524]],
  ['ipv4', [room(20, MAC, F.V4), room(20, MAC, F.V4), room(-20, MAC, F.D4)], [0, -114, 0]],
  ['ipv4', [room(40, MAC, F.V6), room(-40, MAC, F.D4)], [0, 0]],
  ['ipv6', [room(20, MAC, F.V4), room(-20, MAC, F.D6)], [0, 0]],
  ['ipv4', [room(20, MAC, F.V4 | F.V6), room(28, MAC, F.V4 | F.GRE | F.UDP)], [-22, -22]],
  ['ipv4', [room(36, MAC, F.V4 | F.UDP | F.ETH | (14n << 56n))], [0]],
  ['ipv4', [room(36, MAC, F.V4 | F.ETH | (13n << 56n)), room(10, MAC, F.V4 | (14n << 56n))], [-22, -22]],
  ['ipv4', [room(10, MAC, F.GRE | F.UDP), room(10, MAC, F.ETH), room(10, MAC, 255n << 56n)], [0, 0, 0]],
  ['ipv4', [room(20, MAC, F.D4), room(-20, MAC, F.D4 | F.D6), room(-20, MAC, F.V4)], [-22, -22, -22]],
  [
    'ipv4',
    [room(-20, MAC, F.UDP), room(-20, MAC, F.ETH), room(-4, MAC, F.FIXED | F.NO_RESET)],
    [-22, -22, 0],
  ],
  ['ipv4', [room(-45, MAC, F.D6), room(-44, MAC, F.D6)], [-524, 0]],
  ['ipv4', [op('change_proto', IPV6), op('change_proto', IPV4)], [0, 0]],
  ['ipv6', [op('change_proto', IPV4), op('change_proto', IPV6)], [0, 0]],
  [
    'ipv4',
    [op('change_proto', IPV4), op('change_proto', IPV6, 1n), op('change_proto', 0)],
    [-524, -22, -524],
  ],
  ['other', [op('change_proto', IPV6)], [-524]],
  ['ipv4', [op('vlan_push', 0x0081, 0x2005n), op('vlan_pop')], [0, 0]],
  [
    'ipv4',
    [op('vlan_push', 0x0081, 5n), op('vlan_push', 0xa888, 6n), op('load_net', 0), op('vlan_pop')],
    [0, 0, 0, 0],
  ],
  [
    'ipv4',
    [op('vlan_push', 0x1234, 0xffffn), op('vlan_push', 0, 0n), op('vlan_pop'), op('vlan_pop')],
    [0, 0, 0, 0],
  ],
  ['ipv4', [op('vlan_pop')], [0]],
  ['tagged', [op('vlan_pop'), op('load_net', 0), op('vlan_pop')], [0, 0, 0]],
  ['tagged', [op('vlan_push', 0x0081, 9n), op('vlan_pop'), op('vlan_pop')], [0, 0, 0]],
  ['tagged twice', [op('vlan_pop'), op('vlan_pop'), op('vlan_pop')], [0, 0, 0]],
  ['tagged twice', [op('vlan_push', 0xa888, 9n), op('vlan_push', 0x0081, 8n), op('vlan_pop')], [0, 0, 0]],
  [
    'ipv4',
    [op('change_type', 0), op('change_type', 3), op('change_type', 4), op('change_type', -1)],
    [0, 0, -22, -22],
  ],
  [
    'ipv4',
    [op('set_tstamp', 1, 5n), op('set_tstamp', 1), op('set_tstamp', 0), op('set_tstamp', 3, 1n)],
    [0, -22, 0, -22],
  ],
  ['ipv4', [op('set_tstamp', 0, 7n), op('set_tstamp', 2, 7n), op('set_tstamp', 2)], [0, 0, -22]],
  ['other', [op('set_tstamp', 1, 5n)], [-95]],
  ['ipv4', [op('ecn_set_ce'), op('ecn_set_ce')], [1, 1]],
  ['ipv6', [op('ecn_set_ce'), op('ecn_set_ce')], [1, 1]],
  ['other', [op('ecn_set_ce')], [0]],
  ['ipv4', [op('change_tail', 33), op('ecn_set_ce'), op('change_tail', 34), op('ecn_set_ce')], [0, 0, 0, 1]],
  ['ipv4', [op('csum_level'), op('csum_level', 0, 3n), op('csum_level', 0, 4n)], [-13, 0, -22]],
  [
    'ipv4',
    [op('csum_level', 0, 1n), op('csum_level'), op('csum_level', 0, 1n), op('csum_level')],
    [0, 0, 0, 1],
  ],
  ['ipv4', [op('csum_level', 0, 1n), op('csum_level', 0, 2n), op('csum_level')], [0, 0, -13]],
  ['ipv4', [op('csum_level', 0, 2n), op('csum_level'), op('csum_update', 5)], [0, -13, -524]],
  ['ipv4', [op('csum_level', 0, 1n), room(8, MAC, F.NO_RESET), op('csum_level')], [0, 0, 0]],
  ['ipv4', [op('csum_level', 0, 1n), room(8, MAC), op('csum_level')], [0, 0, -13]],
  ['ipv4', [op('change_tail', 3600), op('change_head', 150)], [0, 0]],
  ['ipv4', [op('load', 0), op('load', 82), op('load', 83), op('load', -1)], [0, 0, -14, -14]],
  [
    'ipv4',
    [op('load_mac', 82), op('load_mac', 83), op('load_net', 68), op('load_net', 69)],
    [0, -14, 0, -14],
  ],
  ['ipv4', [op('load_other', 0), op('load_mac', 0x10000), op('load_net', -14)], [-14, -14, -14]],
  ['ipv4', [op('store', 0), op('store', 82, 1n), op('store', 83), op('store', 0, 4n)], [0, 0, -14, -22]],
  ['ipv4', [op('store', 40, 2n), op('store', -1, 0n), op('store', 0, 3n)], [0, -14, 0]],
  ['ipv4', [op('pull', 0), op('pull', 98), op('pull', 99), op('pull', -1)], [0, 0, -12, -12]],
  [
    'ipv4',
    [op('set_tunnel', 44), op('set_tunnel', 28, 1n), op('set_tunnel', 22, 30n), op('set_tunnel', 8, 31n)],
    [0, 0, 0, 0],
  ],
  [
    'ipv6',
    [op('set_tunnel', 43), op('set_tunnel', 1), op('set_tunnel', 44, 32n), op('set_tunnel', 44, 1n << 32n)],
    [-22, -22, -22, -22],
  ],
  // tunnel_label, which is of IPv6 alone, and tunnel_ext, which is reserved; not there in older forms.
  [
    'ipv6',
    [
      op('set_tunnel', 44, 0n, 16),
      op('set_tunnel', 28, 1n, 16),
      op('set_tunnel', 24, 0n, 16),
      op('set_tunnel', 44, 1n, 18),
    ],
    [-22, 0, 0, -22],
  ],
  ['ipv6', [op('set_tunnel', 24, 1n, 18), op('set_tunnel', 22, 1n, 18)], [-22, 0]],
  ['ipv4', [op('set_hash', 77), op('get_hash'), op('hash_invalid')], [0, 77, 0]],
];

const missing = missingClang;
describe.skipIf(missing)(`helpers of TC${missing ? ` (skipped: ${missing})` : ''}`, () => {
  const bed = missing === undefined ? new HelperBed(SOURCE) : undefined;
  afterAll(() => bed?.close());

  const titled = ROWS.map(([packet, operations, results]) => {
    const text = operations.map(
      ({ name, number = 0, small = 0, wide = 0n }) => `${name}(${number}, ${small}, ${wide})`,
    );
    return [`${packet}: ${text.join(', ')}`, packet, operations, results] as const;
  });
  it.each(titled)('%s', (_, packet, operations, results) => {
    const input = inputOf(operations, PACKETS[packet]);
    const here = bed!.here('run', input);
    expect(results.map((_, index) => Number(here.out[index] ?? 0n))).toEqual(results);
    if (missingRoot === undefined) expect(here).toEqual(bed!.kernel('run', input));
  });

  it('hashes both ways of a flow alike, and others otherwise', () => {
    const packet = filled(98, ...MACS, 8, 0, 0x45, 0, 0, 84, 0, 0, 0, 0, 64, 6);
    const hashOf = (change: (bytes: Uint8Array) => void) => {
      const bytes = packet.slice();
      change(bytes);
      return Number(bed!.here('run', inputOf([op('get_hash')], bytes)).out[0]);
    };
    const swap = (bytes: Uint8Array, at: number, length: number) => {
      const [a, b] = [bytes.slice(at, at + length), bytes.slice(at + length, at + 2 * length)];
      bytes.set([...b, ...a], at);
    };
    const hash = hashOf(() => {});
    expect(hash).toBeGreaterThan(0);
    expect(
      hashOf((bytes) => {
        swap(bytes, 26, 4);
        swap(bytes, 34, 2);
      }),
    ).toBe(hash);
    const flip = (at: number) => hashOf((bytes) => bytes.set([bytes[at]! ^ 64], at));
    const others = [26, 30, 23, 35, 37].map(flip);
    expect(new Set([hash, ...others]).size).toBe(6);
    // Neither the payload nor a fragment's ports belong to the flow.
    expect(flip(60)).toBe(hash);
    const fragment = (port: number) => hashOf((bytes) => bytes.set([0x20, 0], 20) ?? bytes.set([port], 35));
    expect(fragment(1)).toBe(fragment(2));
  });

  it.skipIf(missingRoot)(
    `random operations one after the other, as the kernel does them${noting(missingRoot)}`,
    () => {
      let seed = 20261121;
      const random = (below: number) => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        return Math.floor((seed / 2 ** 32) * below);
      };
      const flags = [0n, 0n, 0n, F.FIXED, F.V4, F.V6, F.GRE | F.V4, F.D4, F.D6, F.V4 | F.ETH | (14n << 56n)];
      // Linux writes the congestion mark of a packet with a tag inside into that tag.
      const hasTag = (packet: PacketName, operations: readonly Operation[]) =>
        packet.startsWith('tagged') || operations.some(({ name }) => name === 'vlan_push');
      const names = NAMES.filter((each) => each !== 'get_hash');
      const operation = (): Operation => {
        const name = names[random(names.length)]!;
        switch (name) {
          // Little, so that four of them fit Linux's headroom: it loses track of the least length where it makes more.
          case 'change_head':
            return op(name, random(15));
          case 'adjust_room':
            return op(name, random(28) - 14, flags[random(flags.length)]!, random(2));
          case 'change_proto':
            return op(name, [IPV4, IPV6][random(2)]!);
          case 'vlan_push':
            return op(name, [0x0081, 0xa888][random(2)]!, BigInt(random(65536)));
          case 'l3_csum':
          case 'l4_csum':
            return op(name, 2 * random(40), BigInt(random(65536)) << 32n, 2 * random(3));
          case 'csum_level':
            return op(name, 0, BigInt(random(5)));
          case 'store':
            return op(name, random(110), BigInt(random(4)));
          default:
            return op(name, random(140));
        }
      };
      const packets = Object.keys(PACKETS) as PacketName[];
      for (let round = 0; round < 1500; round++) {
        const packet = packets[random(packets.length)]!;
        const drawn = Array.from({ length: 4 }, operation);
        const operations = hasTag(packet, drawn) ? drawn.filter(({ name }) => name !== 'ecn_set_ce') : drawn;
        const input = inputOf(operations, PACKETS[packet]);
        const about = `round ${round}: ${packet} ${operations.map(({ name, number, small, wide }) => `${name}(${number}, ${small}, ${wide})`).join(', ')}`;
        expect(bed!.here('run', input), about).toEqual(bed!.kernel('run', input));
      }
    },
  );

  it.each([10, 11] as const)('checksums after any change (helper %i)', (id) => {
    const name = id === 10 ? 'l3_csum' : 'l4_csum';
    const packet = PACKETS.ipv4.slice();
    const view = new DataView(packet.buffer);
    let seed = id;
    const random = () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const edges = [0, 0xffff, 0xffffffff, 0xffff0000, 1];
      return seed % 4 === 0 ? edges[(seed >>> 8) % edges.length]! : seed;
    };
    const flags = id === 10 ? [0, 2, 4, 1, 16] : [0, 2, 4, 0x12, 0x14, 0x22, 0x24, 0x30, 0x62, 0x60, 0x90, 1];
    for (let round = 0; round < 200; round++) {
      view.setUint16(24, random(), true);
      const small = flags[round % flags.length]!;
      const from = (small & 15) === 0 && round % 24 !== 0 ? 0n : BigInt(random());
      const offset = round % 50 === 49 ? 97 : 24;
      const input = inputOf([op(name, offset, from | (BigInt(random()) << 32n), small)], packet);
      const here = bed!.here('run', input);
      if (missingRoot === undefined)
        expect(here, `seed ${id}, round ${round}`).toEqual(bed!.kernel('run', input));
      expect(Number(here.out[0] ?? 0n)).toBe(
        small === 1 ||
          (id === 10 && small === 16) ||
          ((small & 15) === 0 && from !== 0n && !(id === 11 && small === 0x30))
          ? -22
          : offset === 97
            ? -14
            : 0,
      );
    }
  });
});
