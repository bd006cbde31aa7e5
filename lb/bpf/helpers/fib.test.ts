import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { missingClang } from '../../../test/support/clang.js';
import { HelperBed } from '../../../test/support/helper-bed.js';
import { addVeth, enterNamespace, sh } from '../../../test/support/namespace.js';
import { caught } from '../../../test/support/objects.js';
import { hex } from '../../../test/support/packets.js';
import { parseIp } from '../../net/address.js';
import { Fib, FibError, type Link, type Neighbour, type Route } from './fib.js';

const SOURCE = `
static long (*fib_lookup)(void *, void *, int, __u32) = HELPER(69);
static long (*check_mtu)(void *, __u32, __u32 *, __s32, __u64) = HELPER(163);
struct fib { char bytes[64]; };
#define LOOKUP struct fib fib; __builtin_memcpy(&fib, io->bytes, 64); \\
  io->out[0] = fib_lookup(ctx, &fib, 64, io->in[0]); __builtin_memcpy(io->result, &fib, 64)
#define MTU __u32 mtu = io->in[1]; io->out[0] = check_mtu(ctx, io->in[0], &mtu, io->in[2], io->in[3]); io->out[1] = mtu
XDP(look, LOOKUP)
TC(look_tc, LOOKUP)
XDP(look_short, struct fib fib = {}; fib.bytes[0] = 2; io->out[0] = fib_lookup(ctx, &fib, 63, 0))
XDP(mtu, MTU)
TC(mtu_tc, MTU)
`;

/** Interfaces, by the number that they get; the network of rows and of the kernel's namespace. */
const NAMES = ['in0', 'out0', 'out1', 'off0'] as const;
type Name = (typeof NAMES)[number];
const MTU: Readonly<Record<Name, number>> = { in0: 1600, out0: 1500, out1: 1300, off0: 1500 };
const macOf = (name: Name) => Uint8Array.of(2, 0, 0, 0, 0, NAMES.indexOf(name));
const ip = (text: string) => parseIp(text).bytes;

/** destination, how, what is said by ip-route(8), source of the host's own packets. */
const ROUTES: readonly (readonly [to: string, how: string, by?: Name, source?: string])[] = [
  ['192.0.2.0/24', 'via 10.0.1.9 metric 77', 'out0', '10.0.1.1'],
  ['192.0.2.128/25', 'via 10.0.2.9', 'out1', '10.0.2.1'],
  ['198.51.100.0/24', 'mtu lock 1400', 'out0', '10.0.1.1'],
  ['192.0.3.0/24', 'via fd00:1::9', 'out0', '10.0.1.1'],
  ['203.0.113.0/26', 'blackhole'],
  ['203.0.113.64/26', 'unreachable'],
  ['203.0.113.128/26', 'prohibit'],
  ['2001:db8:1::/48', 'via fd00:1::9 metric 77', 'out0', 'fd00:1::1'],
  ['2001:db8:1:8000::/49', 'via fd00:2::9', 'out1', 'fd00:2::1'],
  ['2001:db8:2::/48', '', 'out0', 'fd00:1::1'],
  ['2001:db8:3::/48', 'blackhole'],
  ['2001:db8:4::/48', 'unreachable'],
  ['2001:db8:5::/48', 'prohibit'],
];
const ADDRESSES: Readonly<Partial<Record<Name, readonly [string, string]>>> = {
  in0: ['10.0.0.1', 'fd00:0::1'],
  out0: ['10.0.1.1', 'fd00:1::1'],
  out1: ['10.0.2.1', 'fd00:2::1'],
};
const NEIGHBOURS: readonly (readonly [address: string, by: Name])[] = [
  ['10.0.1.9', 'out0'],
  ['10.0.2.9', 'out1'],
  ['fd00:1::9', 'out0'],
  ['fd00:2::9', 'out1'],
  ['198.51.100.7', 'out0'],
  ['2001:db8:2::7', 'out0'],
];
const neighbourMac = (index: number) => Uint8Array.of(6, 0, 0, 0, 1, index);

/** The routes as Linux keeps them: to the interfaces' own networks and addresses as well. */
function routesOf(numbers: Readonly<Record<Name, number>>): Route[] {
  const routes = ROUTES.map(([to, how, by, source]): Route => {
    const [address, bits] = to.split('/');
    const kind = (['blackhole', 'unreachable', 'prohibit'] as const).find((each) => how.startsWith(each));
    const word = (name: string) => new RegExp(`${name} (\\S+)`).exec(how)?.[1];
    const gateway = word('via');
    // Linux gives IPv6 routes this metric where it is told none.
    const metric = Number(word('metric') ?? (address!.includes(':') ? 1024 : 0));
    return {
      address: ip(address!),
      bits: Number(bits),
      metric,
      mtu: Number(word('mtu lock') ?? 0),
      ...(kind && { kind }),
      ...(by && { ifindex: numbers[by] }),
      ...(gateway && { gateway: ip(gateway) }),
      ...(source && { source: ip(source) }),
    };
  });
  for (const [name, addresses] of Object.entries(ADDRESSES)) {
    for (const address of addresses) {
      const bytes = ip(address);
      const isIpv6 = bytes.length === 16;
      const ifindex = numbers[name as Name];
      const [bits, metric] = isIpv6 ? [64, 256] : [24, 0];
      routes.push(
        { address: bytes, bits: 8 * bytes.length, kind: 'local' },
        { address: bytes, bits, ifindex, metric, source: bytes },
      );
      if (!isIpv6) routes.push({ address: bytes.with(3, 255), bits: 32, kind: 'local' });
    }
  }
  return routes;
}

const linksOf = (numbers: Readonly<Record<Name, number>>): Link[] =>
  NAMES.map((name) => ({
    ifindex: numbers[name],
    mac: macOf(name),
    mtu: MTU[name],
    forwards: name !== 'off0',
  }));
const neighboursOf = (numbers: Readonly<Record<Name, number>>): Neighbour[] =>
  NEIGHBOURS.map(([address, by], index) => ({
    ifindex: numbers[by],
    address: ip(address),
    mac: neighbourMac(index),
  }));

const F = { DIRECT: 1, OUTPUT: 2, SKIP: 4, TBID: 8, SRC: 16, MARK: 32 } as const;
const R = { OK: 0, BLACKHOLE: 1, UNREACHABLE: 2, PROHIBIT: 3, NOT: 4, OFF: 5, NO_NEIGH: 7, FRAG: 8 } as const;

interface Question {
  readonly to: string;
  readonly flags?: number;
  readonly length?: number;
  readonly by?: Name;
  readonly from?: string;
  readonly table?: number;
  readonly family?: number;
}

const QUESTIONS: readonly (readonly [Question, number])[] = [
  [{ to: '192.0.2.1' }, R.OK],
  [{ to: '192.0.2.127' }, R.OK],
  [{ to: '192.0.2.128' }, R.OK],
  [{ to: '192.0.2.1', length: 1500 }, R.OK],
  [{ to: '192.0.2.1', length: 1501 }, R.FRAG],
  [{ to: '192.0.2.200', length: 1301 }, R.FRAG],
  [{ to: '198.51.100.7', length: 1400 }, R.OK],
  [{ to: '198.51.100.7', length: 1401 }, R.FRAG],
  [{ to: '198.51.100.8' }, R.NO_NEIGH],
  [{ to: '198.51.100.8', flags: F.SKIP }, R.OK],
  [{ to: '192.0.2.1', flags: F.SRC, from: '0.0.0.0' }, R.OK],
  [{ to: '192.0.3.1' }, R.OK],
  [{ to: '192.0.3.1', flags: F.SKIP }, R.OK],
  [{ to: '203.0.113.1' }, R.BLACKHOLE],
  [{ to: '203.0.113.65' }, R.UNREACHABLE],
  [{ to: '203.0.113.129' }, R.PROHIBIT],
  [{ to: '203.0.113.200' }, R.NOT],
  [{ to: '10.0.0.1' }, R.NOT],
  [{ to: '10.0.1.255' }, R.NOT],
  [{ to: '10.0.1.9' }, R.OK],
  [{ to: '10.0.1.10' }, R.NO_NEIGH],
  [{ to: '192.0.2.1', by: 'off0' }, R.OFF],
  [{ to: '192.0.2.1', flags: F.DIRECT }, R.OK],
  [{ to: '192.0.2.1', flags: F.DIRECT | F.TBID, table: 254 }, R.OK],
  [{ to: '192.0.2.1', flags: F.DIRECT | F.TBID, table: 77 }, R.NOT],
  [{ to: '192.0.2.1', flags: F.TBID, table: 77 }, R.OK],
  [{ to: '192.0.2.200', flags: F.OUTPUT, by: 'out0' }, R.OK],
  [{ to: '192.0.2.200', flags: F.OUTPUT, by: 'out1' }, R.OK],
  [{ to: '198.51.100.7', flags: F.OUTPUT, by: 'out1' }, R.NOT],
  [{ to: '192.0.2.1', flags: F.MARK }, R.OK],
  [{ to: '192.0.2.1', flags: 64 }, -22],
  [{ to: '192.0.2.1', family: 7 }, -97],
  [{ to: '2001:db8:1::1' }, R.OK],
  [{ to: '2001:db8:1:8000::1' }, R.OK],
  [{ to: '2001:db8:1::1', length: 1501 }, R.FRAG],
  [{ to: '2001:db8:2::7', length: 1500 }, R.OK],
  [{ to: '2001:db8:2::7', length: 1501 }, R.FRAG],
  [{ to: '2001:db8:2::8' }, R.NO_NEIGH],
  [{ to: '2001:db8:2::8', flags: F.SKIP }, R.OK],
  [{ to: '2001:db8:1::1', flags: F.SRC, from: '::' }, R.OK],
  [{ to: '2001:db8:3::1' }, R.BLACKHOLE],
  [{ to: '2001:db8:4::1' }, R.UNREACHABLE],
  [{ to: '2001:db8:5::1' }, R.PROHIBIT],
  [{ to: '2001:db8:6::1' }, R.NOT],
  [{ to: 'fd00:0::1' }, R.NOT],
  [{ to: 'fe80::1' }, R.NOT],
  [{ to: 'ff02::1' }, R.NOT],
  [{ to: '::1' }, R.NOT],
  [{ to: '2001:db8:1::1', from: 'fe80::1' }, R.NOT],
  [{ to: '2001:db8:1::1', by: 'off0' }, R.OFF],
  [{ to: '2001:db8:1::1', flags: F.DIRECT | F.TBID, table: 254 }, R.OK],
  [{ to: '2001:db8:1::1', flags: F.DIRECT | F.TBID, table: 77 }, R.NOT],
  [{ to: '2001:db8:1:8000::1', flags: F.OUTPUT, by: 'out0' }, R.OK],
];

/** struct bpf_fib_lookup. */
function parametersOf(question: Question, numbers: Readonly<Record<Name, number>>): Uint8Array {
  const { to, by = 'in0', length = 0, table = 0 } = question;
  const destination = ip(to);
  const isIpv6 = destination.length === 16;
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  bytes[0] = question.family ?? (isIpv6 ? 10 : 2);
  bytes[1] = 6;
  view.setUint16(2, 40000);
  view.setUint16(4, 80);
  view.setUint16(6, length, true);
  view.setUint32(8, numbers[by], true);
  bytes.set(ip(question.from ?? (isIpv6 ? '2001:db8:9::9' : '192.0.9.9')), 16);
  bytes.set(destination, 32);
  view.setUint32(48, table, true);
  return bytes;
}

describe.skipIf(missingClang)(
  `bpf_fib_lookup and bpf_check_mtu${missingClang ? ` (skipped: ${missingClang})` : ''}`,
  () => {
    const bed = missingClang === undefined ? new HelperBed(SOURCE) : undefined;
    let numbers: Record<Name, number> = { in0: 2, out0: 3, out1: 4, off0: 5 };
    let fib: Fib | undefined;

    it('without a table nothing is forwarded, and no interface is known', () => {
      const bytes = parametersOf({ to: '192.0.2.1' }, numbers);
      expect(bed!.here('look', { bytes }).out[0]).toBe(BigInt(R.NOT));
      expect(bed!.here('mtu', { in: [0, 0, 0, 0] }).out[0]).toBe(-19n);
    });

    describe('a network', () => {
      beforeAll(() => {
        if (missingRoot === undefined) {
          enterNamespace();
          const link = (name: Name) =>
            addVeth(name, `${name}p`, {
              mac: [...macOf(name)].map((b) => b.toString(16).padStart(2, '0')).join(':'),
              mtu: MTU[name],
            }).index;
          numbers = { in0: link('in0'), out0: link('out0'), out1: link('out1'), off0: link('off0') };
          writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
          writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
          writeFileSync('/proc/sys/net/ipv4/conf/off0/forwarding', '0');
          writeFileSync('/proc/sys/net/ipv6/conf/off0/forwarding', '0');
          for (const [name, [ipv4, ipv6]] of Object.entries(ADDRESSES)) {
            sh(`ip address add ${ipv4}/24 dev ${name}`);
            sh(`ip address add ${ipv6}/64 dev ${name} nodad`);
          }
          for (const [to, how, by] of ROUTES) {
            const via = to.includes(':') ? how : how.replace('via fd', 'via inet6 fd');
            const line = by === undefined ? `${how} ${to}` : `${to} ${via} dev ${by}`;
            sh(`ip route add ${line.replace('  ', ' ')}`);
          }
          for (const [index, [address, by]] of NEIGHBOURS.entries()) {
            const mac = [...neighbourMac(index)].map((byte) => byte.toString(16)).join(':');
            sh(`ip neigh add ${address} lladdr ${mac} dev ${by} nud permanent`);
          }
        }
        fib = new Fib(bed!.machine.host);
        fib.setLinks(linksOf(numbers));
        fib.setRoutes(routesOf(numbers));
        fib.setNeighbours(neighboursOf(numbers));
      });
      afterAll(() => bed?.close());

      for (const program of ['look', 'look_tc'] as const) {
        it.each(QUESTIONS)(`${program} %j gives %i`, (question, answer) => {
          const input = { bytes: parametersOf(question, numbers), in: [question.flags ?? 0] };
          const here = bed!.here(program, input);
          expect(Number(here.out[0] ?? 0n)).toBe(answer);
          if (missingRoot !== undefined) return;
          const there = bed!.kernel(program, input);
          expect([there.out[0] ?? 0n, hex(there.result.subarray(0, 64))]).toEqual([
            here.out[0] ?? 0n,
            hex(here.result.subarray(0, 64)),
          ]);
        });
      }

      it('an interface that is not there is ENODEV, fewer bytes than the struct EINVAL', () => {
        const bytes = parametersOf({ to: '192.0.2.1' }, { ...numbers, in0: 99 });
        for (const where of missingRoot === undefined ? (['here', 'kernel'] as const) : (['here'] as const)) {
          expect(bed![where]('look', { bytes }).out[0]).toBe(-19n);
          expect(bed![where]('look_short').out[0]).toBe(-22n);
        }
      });

      it('a TC program’s own packet is checked where it says no length', () => {
        for (const [length, answer] of [
          [1318, R.OK],
          [1319, R.FRAG],
        ] as const) {
          const packet = new Uint8Array(length).fill(8);
          const input = { bytes: parametersOf({ to: '192.0.2.200' }, numbers), packet };
          const here = bed!.here('look_tc', input);
          expect(Number(here.out[0] ?? 0n)).toBe(answer);
          if (missingRoot === undefined) expect(bed!.kernel('look_tc', input).result).toEqual(here.result);
        }
      });

      it('a route without a source has none to give', () => {
        fib!.setRoutes([{ address: ip('192.0.2.0'), bits: 24, ifindex: numbers.out0 }]);
        const bytes = parametersOf({ to: '192.0.2.1' }, numbers);
        expect(bed!.here('look', { bytes, in: [F.SRC | F.SKIP] }).out[0]).toBe(9n);
        fib!.setRoutes(routesOf(numbers));
      });

      /** interface, length in, difference, flags, bytes of the packet; result and MTU. */
      const MTUS: readonly (readonly [
        string,
        Name | number,
        number,
        number,
        number,
        number,
        number,
        number,
      ])[] = [
        ['mtu', 'out0', 0, 0, 0, 1514, 0, 1500],
        ['mtu', 'out0', 0, 0, 0, 1515, 1, 1500],
        ['mtu', 'out0', 0, 1, 0, 1514, 1, 1500],
        ['mtu', 'out0', 0, -1, 0, 1515, 0, 1500],
        ['mtu', 'out1', 1300, 0, 0, 64, 0, 1300],
        ['mtu', 'out1', 1301, 0, 0, 64, 1, 1300],
        ['mtu', 'out1', 1200, 101, 0, 64, 1, 1300],
        ['mtu', 99, 5, 0, 0, 64, -19, 5],
        ['mtu', 'out0', 5, 0, 1, 64, -22, 5],
        ['mtu_tc', 'out0', 0, 0, 0, 1514, 0, 1500],
        ['mtu_tc', 'out0', 0, 1, 0, 1514, 1, 1500],
        ['mtu_tc', 'out0', 1501, 0, 0, 64, 1, 1500],
        ['mtu_tc', 'out0', 0, 0, 1, 64, 0, 1500],
        ['mtu_tc', 'out0', 0, 4, 1, 64, -22, 0],
        ['mtu_tc', 'out0', 4, 0, 1, 64, -22, 4],
        ['mtu_tc', 'out0', 4, 0, 2, 64, -22, 4],
      ];
      it.each(MTUS)(
        '%s of %s: %i and %i, flags %i, packet of %i bytes',
        (program, link, length, by, flags, bytes, result, mtu) => {
          const packet = new Uint8Array(bytes).fill(8);
          const input = { in: [typeof link === 'number' ? link : numbers[link], length, by, flags], packet };
          for (const where of missingRoot === undefined
            ? (['here', 'kernel'] as const)
            : (['here'] as const)) {
            const { out } = bed![where](program, input);
            expect([where, Number(out[0] ?? 0n), Number(out[1] ?? 0n)]).toEqual([where, result, mtu]);
          }
        },
      );

      it('routes, links and neighbours that are not named any more are gone', () => {
        const ask = () =>
          Number(bed!.here('look', { bytes: parametersOf({ to: '192.0.2.1' }, numbers) }).out[0] ?? 0n);
        expect(ask()).toBe(R.OK);
        fib!.setNeighbours(neighboursOf(numbers).slice(1));
        expect(ask()).toBe(R.NO_NEIGH);
        fib!.setRoutes(routesOf(numbers).slice(1));
        expect(ask()).toBe(R.NOT);
        fib!.setLinks(linksOf(numbers).slice(1));
        expect(ask()).toBe(-19);
      });

      it.each<[string, () => void, string]>([
        [
          'an address of 5 bytes',
          () => fib!.setRoutes([{ address: new Uint8Array(5), bits: 0 }]),
          'FIB_ADDRESS',
        ],
        [
          'a prefix longer than the address',
          () => fib!.setRoutes([{ address: ip('1.2.3.4'), bits: 33 }]),
          'FIB_ADDRESS',
        ],
        [
          'a gateway of 3 bytes',
          () => fib!.setRoutes([{ address: ip('1.2.3.4'), bits: 8, gateway: new Uint8Array(3) }]),
          'FIB_ADDRESS',
        ],
        [
          'a MAC address of 5 bytes',
          () => fib!.setLinks([{ ifindex: 1, mac: new Uint8Array(5), mtu: 1500 }]),
          'FIB_MAC',
        ],
        [
          'more links than there is room for',
          () =>
            fib!.setLinks(
              Array.from({ length: 300 }, (_, ifindex) => ({ ifindex, mac: macOf('in0'), mtu: 1500 })),
            ),
          'FIB_FULL',
        ],
      ])('%s is refused', (_, run, code) => {
        const error = caught(run);
        expect(error).toBeInstanceOf(FibError);
        expect((error as FibError).fault.code).toBe(code);
      });

      it('bits beyond a prefix do not matter', () => {
        fib!.setLinks(linksOf(numbers));
        fib!.setNeighbours(neighboursOf(numbers));
        fib!.setRoutes([
          { address: ip('192.0.2.77'), bits: 25, ifindex: numbers.out0, gateway: ip('10.0.1.9') },
        ]);
        const ask = (to: string) =>
          Number(bed!.here('look', { bytes: parametersOf({ to }, numbers) }).out[0] ?? 0n);
        expect([ask('192.0.2.1'), ask('192.0.2.127'), ask('192.0.2.128')]).toEqual([R.OK, R.OK, R.NOT]);
      });
    });
  },
);
