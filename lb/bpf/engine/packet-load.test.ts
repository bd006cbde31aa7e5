import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { PACKET, runHere, runInKernel, type Scenario } from '../../../test/support/control-bed.js';
import { SKF_LL_OFF, SKF_NET_OFF } from '../context/packet-load.js';

const view = new DataView(PACKET.buffer);
const u8 = (at: number) => view.getUint8(at);
const u16 = (at: number) => view.getUint16(at);
const u32 = (at: number) => view.getUint32(at) | 0;
const tc = (text: string): Scenario => ({ type: 'sched_cls', programs: { a: text } });
/** What is not 0 afterwards was not cut short. */
const load = (what: string, before = '') => tc(`r6 = r1\n${before}\nr0 = *(${what}]\nr0 += 0\nexit`);

const rows: readonly (readonly [string, Scenario, number])[] = [
  ['LD_ABS of a byte', load('u8 *)skb[0'), u8(0)],
  ['LD_ABS of two bytes, in network order', load('u16 *)skb[12'), 0x0800],
  ['LD_ABS of four bytes, in network order', load('u32 *)skb[26'), u32(26)],
  ['LD_ABS of four bytes above 2^31 is no failure', load('u32 *)skb[60'), u32(60)],
  ['LD_ABS at an odd place', load('u16 *)skb[15'), u16(15)],
  ['LD_ABS of the last byte', load('u8 *)skb[63'), u8(63)],
  ['LD_IND: the register and the constant', load('u16 *)skb[r7 + 10', 'r7 = 20'), u16(30)],
  ['LD_IND: a negative constant', load('u8 *)skb[r7 - 10', 'r7 = 20'), u8(10)],
  ['LD_IND: the sum has 32 bits', load('u8 *)skb[r7 + 10', 'r7 = 0x100000001 ll'), u8(11)],
  ['LD_ABS from the link layer’s header', load(`u16 *)skb[${SKF_LL_OFF + 12}`), 0x0800],
  ['LD_ABS from the network header', load(`u8 *)skb[${SKF_NET_OFF + 9}`), u8(23)],
  ['LD_IND from the network header', load(`u32 *)skb[r7 + 4`, `r7 = ${SKF_NET_OFF}`), u32(18)],
  ['LD_IND from the link layer’s header', load(`u8 *)skb[r7 + 4`, `r7 = ${SKF_LL_OFF}`), u8(4)],
  ...(
    [
      ['past the end', 'u8 *)skb[64', ''],
      ['half past the end', 'u32 *)skb[61', ''],
      ['far past the end', `u8 *)skb[${2 ** 31 - 1}`, ''],
      ['in front of the packet', 'u8 *)skb[-1', ''],
      ['past the end, from the network header', `u16 *)skb[${SKF_NET_OFF + 49}`, ''],
      ['an offset that means nothing', `u8 *)skb[${SKF_LL_OFF - 1}`, ''],
      ['LD_IND past the end', 'u8 *)skb[r7 + 4', 'r7 = 60'],
      ['LD_IND in front of the packet', 'u8 *)skb[r7 + 4', 'r7 = -5'],
      ['LD_IND, an offset that means nothing', 'u8 *)skb[r7 + 0', `r7 = ${-(2 ** 31)}`],
    ] as const
  ).map(([name, what, before]): readonly [string, Scenario, number] => [
    `ends the program with 0: ${name}`,
    tc(`r6 = r1\nr0 = 5\n${before}\nr0 = *(${what}]\nr0 = 7\nexit`),
    0,
  ]),
  [
    'in a callee: what fails ends the callee',
    tc('r6 = r1\ncall f\nr0 += 100\nexit\nf:\nr6 = r1\nr0 = *(u8 *)skb[64]\nr0 = 7\nexit'),
    100,
  ],
  [
    'in a callee: what is there is loaded',
    tc('r6 = r1\ncall f\nr0 += 100\nexit\nf:\nr6 = r1\nr0 = *(u8 *)skb[1]\nr0 += 7\nexit'),
    109,
  ],
  [
    'r7 to r9 and the frame stay',
    tc(
      'r6 = r1\nr7 = 1\nr8 = 20\nr9 = 300\n*(u64 *)(r10 - 8) = 4000\nr0 = *(u8 *)skb[9]\nr0 = r7\nr0 += r8\nr0 += r9\nr1 = *(u64 *)(r10 - 8)\nr0 += r1\nexit',
    ),
    4321,
  ],
  [
    'two in one program, in a loop',
    tc(
      'r6 = r1\nr7 = 0\nr8 = 0\nagain:\nr0 = *(u8 *)skb[r7 + 0]\nr8 += r0\nr0 = *(u16 *)skb[r7 + 1]\nr8 += r0\nr7 += 1\nif r7 < 5 goto again\nr0 = r8\nexit',
    ),
    [0, 1, 2, 3, 4].reduce((sum, at) => sum + u8(at) + u16(at + 1), 0),
  ],
];

for (const engine of ['interpreter', 'jit'] as const) {
  describe(`loads of a socket buffer: ${engine}`, () => {
    for (const [name, scenario, r0] of rows) it(name, () => expect(runHere(engine, scenario).r0).toBe(r0));
  });
}

describe(`loads of a socket buffer: the kernel${missingRoot === undefined ? '' : ` (${missingRoot})`}`, () => {
  for (const [name, scenario, r0] of rows)
    it.skipIf(missingRoot !== undefined)(name, () => expect(runInKernel(scenario).r0).toBe(r0));
});
