import { afterAll, describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { missingClang } from '../../../test/support/clang.js';
import { HelperBed } from '../../../test/support/helper-bed.js';
import { instantiateRuntime } from '../maps/runtime.js';
import { Arena } from '../memory/arena.js';
import { CPU_CLOCK_NS, CPU_SCRATCH, DIR_COOKIE_SECRET, DIRECTORY_OFFSET } from '../memory/layout.js';

const MINUTE = 60_000_000_000n;
const EACCES = 13n;
const EINVAL = 22n;
const U32 = 0xffffffffn;

type Family = 'ipv4' | 'ipv6';
const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];
const IP_BYTES = { ipv4: 20, ipv6: 40 } as const;

interface Fields {
  readonly seq?: number;
  readonly ack?: number;
  readonly options?: readonly number[];
  /** Change one byte of the IP header or of the ports. */
  readonly flip?: number;
}

/** IP header and TCP header, one after the other. */
function headers(family: Family, { seq = 1000, ack = 0, options = [], flip = -1 }: Fields = {}): Uint8Array {
  const ip = IP_BYTES[family];
  const bytes = new Uint8Array(ip + 20 + options.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < ip; i++) bytes[i] = i * 7;
  view.setUint16(ip, 40000);
  view.setUint16(ip + 2, 443);
  view.setUint32(ip + 4, seq);
  view.setUint32(ip + 8, ack);
  view.setUint8(ip + 12, ((20 + options.length) / 4) << 4);
  bytes.set(options, ip + 20);
  if (flip >= 0) bytes[flip]! ^= 1;
  return bytes;
}

/** The runtime's helpers on memory of their own. */
class Bed {
  readonly arena = Arena.create({ workers: 2, mapsBytes: 4096, ringsBytes: 0 });
  readonly #helper = instantiateRuntime(this.arena.memory, 0).exports;

  at(timeNs: bigint): this {
    this.arena.u64[(this.arena.block(0) + CPU_CLOCK_NS) / 8] = timeNs;
    return this;
  }

  make(family: Family, fields?: Fields, length?: number): bigint {
    const [ip, tcp, bytes] = this.#place(family, fields);
    return this.#helper[`bpf_tcp_raw_gen_syncookie_${family}`](ip, tcp, BigInt(length ?? bytes));
  }

  check(family: Family, fields: Fields): bigint {
    const [ip, tcp] = this.#place(family, fields);
    return this.#helper[`bpf_tcp_raw_check_syncookie_${family}`](ip, tcp);
  }

  #place(family: Family, fields: Fields = {}): [bigint, bigint, number] {
    const at = this.arena.block(0) + CPU_SCRATCH;
    const bytes = headers(family, fields);
    this.arena.u8.set(bytes, at);
    return [BigInt(at), BigInt(at + IP_BYTES[family]), bytes.length - IP_BYTES[family]];
  }
}

const mss = (size: number) => [2, 4, size >> 8, size & 255];
/** Options of a SYN, and the segment size that the cookie says (IPv4, IPv6). */
const OPTIONS: readonly (readonly [options: readonly number[], ipv4: number, ipv6: number])[] = [
  [[], 536, 1220],
  [mss(0), 536, 1220],
  [mss(100), 536, 1220],
  [mss(536), 536, 1220],
  [mss(1299), 536, 1220],
  [mss(1300), 1300, 1220],
  [mss(1420), 1300, 1420],
  [mss(1439), 1300, 1420],
  [mss(1440), 1440, 1440],
  [mss(1459), 1440, 1440],
  [mss(1460), 1460, 1440],
  [mss(8939), 1460, 1440],
  [mss(8940), 1460, 8940],
  [mss(65535), 1460, 8940],
  [[1, 1, 3, 3, 7, 1, 1, 1, ...mss(1460)], 1460, 1440],
  [[...mss(1460), ...mss(1300)], 1300, 1220],
  [[0, 0, 0, 0, ...mss(1460)], 536, 1220],
  [[5, 0, 1, 1, ...mss(1460)], 536, 1220],
  [[5, 1, 1, 1, ...mss(1460)], 536, 1220],
  [[5, 60, 1, 1, ...mss(1460)], 536, 1220],
  [[2, 3, 5, 1, ...mss(1460)], 1460, 1440],
  [[1, 1, 1, 2], 536, 1220],
];
const sizeOf = (cookie: bigint) => Number(cookie >> 32n);

const rotl = (word: bigint, by: bigint) => BigInt.asUintN(64, (word << by) | (word >> (64n - by)));
/** SipHash-2-4 of whole words, written down from the paper's figure 2.1. */
function sipHash(key: readonly [bigint, bigint], message: readonly bigint[]): bigint {
  let [v0, v1] = [key[0] ^ 0x736f6d6570736575n, key[1] ^ 0x646f72616e646f6dn];
  let [v2, v3] = [key[0] ^ 0x6c7967656e657261n, key[1] ^ 0x7465646279746573n];
  const add = (a: bigint, b: bigint) => BigInt.asUintN(64, a + b);
  const rounds = (count: number) => {
    for (let i = 0; i < count; i++) {
      [v0, v2] = [add(v0, v1), add(v2, v3)];
      [v1, v3] = [rotl(v1, 13n) ^ v0, rotl(v3, 16n) ^ v2];
      v0 = rotl(v0, 32n);
      [v2, v0] = [add(v2, v1), add(v0, v3)];
      [v1, v3] = [rotl(v1, 17n) ^ v2, rotl(v3, 21n) ^ v0];
      v2 = rotl(v2, 32n);
    }
  };
  for (const word of [...message, BigInt(message.length * 8) << 56n]) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  v2 ^= 0xffn;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

it('the hash in the test is SipHash-2-4', () => {
  // Vectors of the reference implementation: key 00 01 … 0f, messages of 0 and of 8 bytes 00 01 ….
  const key = [0x0706050403020100n, 0x0f0e0d0c0b0a0908n] as const;
  expect(sipHash(key, [])).toBe(0x726fdb47dd0e0e31n);
  expect(sipHash(key, [0x0706050403020100n])).toBe(0x93f5f5799a932462n);
});

it.each(FAMILIES)(
  'a cookie of %s is made of hashes of addresses, ports and minute with the arena’s secret',
  (family) => {
    const bed = new Bed().at(5n * MINUTE);
    const word = (DIRECTORY_OFFSET + DIR_COOKIE_SECRET) / 8;
    const key = [bed.arena.u64[word]!, bed.arena.u64[word + 1]!] as const;
    expect(key[0]).not.toBe(key[1]);
    const bytes = headers(family);
    const view = new DataView(bytes.buffer);
    const addresses = Array.from({ length: family === 'ipv4' ? 1 : 4 }, (_, i) =>
      view.getBigUint64((family === 'ipv4' ? 12 : 8) + 8 * i, true),
    );
    const ports = BigInt(view.getUint32(IP_BYTES[family], true));
    const hash = (variant: bigint, minute: bigint) =>
      sipHash(key, [...addresses, ports | (variant << 32n), minute]) & U32;
    // 536 and 1220 have index 0; the SYN's sequence number is 1000.
    const cookie = (hash(0n, 0n) + 1000n + (5n << 24n) + (hash(1n, 5n) & 0xffffffn)) & U32;
    expect(bed.make(family) & U32).toBe(cookie);
  },
);

describe.each(FAMILIES)('%s', (family) => {
  const ackOf = (cookie: bigint, seq = 1000): Fields => ({
    seq: (seq + 1) >>> 0,
    ack: Number((cookie + 1n) & U32),
  });

  it.each(OPTIONS)('options %j', (options, ipv4, ipv6) => {
    expect(sizeOf(new Bed().make(family, { options }))).toBe(family === 'ipv4' ? ipv4 : ipv6);
  });

  it('a header that is not as long as it says is refused', () => {
    const bed = new Bed();
    expect(bed.make(family, {}, 19)).toBe(-EINVAL);
    expect(bed.make(family, {}, 24)).toBe(-EINVAL);
    expect(bed.make(family, { options: mss(1460) }, 20)).toBe(-EINVAL);
    expect(bed.make(family, {}, 20)).toBeGreaterThan(0n);
  });

  it('an ACK of the cookie is good in its minute and in the next', () => {
    const bed = new Bed();
    for (let minute = 0n; minute < 600n; minute += 37n) {
      const options = OPTIONS[Number(minute) % OPTIONS.length]![0];
      const seq = Number((minute * 0x01234567n) & U32);
      const ack = ackOf(bed.at(minute * MINUTE + 59n * 1_000_000_000n).make(family, { seq, options }), seq);
      expect(bed.check(family, ack)).toBe(0n);
      expect(bed.at((minute + 1n) * MINUTE).check(family, ack)).toBe(0n);
      expect(bed.at((minute + 2n) * MINUTE - 1n).check(family, ack)).toBe(0n);
      expect(bed.at((minute + 2n) * MINUTE).check(family, ack)).toBe(-EACCES);
      expect(bed.at(minute * MINUTE - 1n).check(family, ack)).toBe(-EACCES);
    }
  });

  it('nothing but the cookie of that flow and sequence number is good', () => {
    const bed = new Bed().at(7n * MINUTE);
    const ack = ackOf(bed.make(family));
    expect(bed.check(family, ack)).toBe(0n);
    const first = family === 'ipv4' ? 12 : 8;
    for (let flip = first; flip < IP_BYTES[family] + 4; flip++)
      expect(bed.check(family, { ...ack, flip }), `byte ${flip}`).toBe(-EACCES);
    expect(bed.check(family, { ...ack, seq: ack.seq! + 16 })).toBe(-EACCES);
    for (let bit = 0; bit < 32; bit++) {
      // The lowest bits are the segment size's index: another one is as good.
      if (bit < 2) continue;
      expect(bed.check(family, { ...ack, ack: (ack.ack! ^ (1 << bit)) >>> 0 }), `bit ${bit}`).toBe(-EACCES);
    }
    expect(new Bed().at(7n * MINUTE).check(family, ack)).toBe(-EACCES);
  });
});

const SOURCE = `
static __s64 (*gen4)(void *, void *, __u32) = HELPER(204);
static __s64 (*gen6)(void *, void *, __u32) = HELPER(205);
static long (*check4)(void *, void *) = HELPER(206);
static long (*check6)(void *, void *) = HELPER(207);
XDP(ipv4, __u64 length = io->in[0] & 127; io->out[0] = gen4(io->bytes, io->bytes + 20, length))
XDP(ipv6, __u64 length = io->in[0] & 127; io->out[0] = gen6(io->bytes, io->bytes + 40, length))
XDP(ack_ipv4, io->out[0] = check4(io->bytes, io->bytes + 20))
XDP(ack_ipv6, io->out[0] = check6(io->bytes, io->bytes + 40))
`;
const missing = missingClang ?? missingRoot;
describe.skipIf(missing)(`in the kernel${missing ? ` (skipped: ${missing})` : ''}`, () => {
  const bed = missing === undefined ? new HelperBed(SOURCE) : undefined;
  afterAll(() => bed?.close());
  const ask = (family: Family, fields: Fields, length?: number): bigint => {
    const bytes = headers(family, fields);
    return bed!.kernel(family, { bytes, in: [length ?? bytes.length - IP_BYTES[family]] }).out[0] ?? 0n;
  };

  it.each(FAMILIES)('%s: the same segment sizes and refusals, and its own cookies go round', (family) => {
    const ours = new Bed();
    for (const [options] of OPTIONS)
      expect(sizeOf(ours.make(family, { options })), `${options}`).toBe(sizeOf(ask(family, { options })));
    for (const length of [0, 19, 20, 24]) {
      const [a, b] = [ours.make(family, {}, length), ask(family, {}, length)];
      expect(a < 0n ? a : 0n).toBe(b < 0n ? b : 0n);
    }
    const cookie = ask(family, {});
    const check = (fields: Fields) =>
      bed!.kernel(`ack_${family}`, { bytes: headers(family, fields) }).out[0] ?? 0n;
    expect(check({ seq: 1001, ack: Number((cookie + 1n) & U32) })).toBe(0n);
    expect(check({ seq: 1001, ack: Number((cookie + 17n) & U32) })).toBe(-EACCES);
  });
});
