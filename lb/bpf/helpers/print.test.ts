import { afterAll, describe, expect, it } from 'vitest';
import { missingRoot, noting } from '../../../test/support/capabilities.js';
import { missingClang } from '../../../test/support/clang.js';
import { HelperBed } from '../../../test/support/helper-bed.js';
import { readTraceLog } from './trace-log.js';

/** Format, arguments in C, and the text. */
type Row = readonly [format: string, args: readonly string[], text: string];
const BYTES = new Uint8Array([192, 0, 2, 1, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, ...new Array(11).fill(0), 0x1f]);
const TEXT = 32;
const LONG = 64;

const ROWS: readonly Row[] = [
  ['plain', [], 'plain'],
  ['100%%', [], '100%'],
  ['%d %i %u', ['-1', '-2', '-3'], '-1 -2 4294967293'],
  ['%x %X', ['0xbeef', '0xbeef'], 'beef BEEF'],
  ['%d', ['0x100000001ull'], '1'],
  ['%ld %lld', ['-1ll', '0x7fffffffffffffffll'], '-1 9223372036854775807'],
  ['%lu %llu', ['-1ll', '10000000000ull'], '18446744073709551615 10000000000'],
  ['%lx %llX', ['-1ll', '0xabcdefull'], 'ffffffffffffffff ABCDEF'],
  ['%ld', ['-0x7fffffffffffffffll - 1'], '-9223372036854775808'],
  ['[%5d][%-5d][%05d][%+d][% d]', ['42', '42', '42', '42', '42'], '[   42][42   ][00042][+42][ 42]'],
  ['[%5d][%-5d][%05d][%+d][% d]', ['-42', '-42', '-42', '-42', '-42'], '[  -42][-42  ][-0042][-42][-42]'],
  ['[%+5u][%-05d][%0+6d][% 06d][%+ d]', ['7', '7', '7', '7', '7'], '[    7][7    ][+00007][ 00007][+7]'],
  ['[%08x][%-8x|][%3lx]', ['0xabc', '0xabc', '0xabcdef'], '[00000abc][abc     |][abcdef]'],
  ['%d%d%d%d%d%d%d%d%d%d%d%d', [...'123456789012'], '123456789012'],
  ['%c%c', ["'w'", "'a'"], 'wa'],
  ['[%3c][%-3c]', ["'w'", "'a'"], '[  w][a  ]'],
  ['%s', [`(long)&io->bytes[${TEXT}]`], 'waggle'],
  ['[%10s][%-10s][%2s]', new Array(3).fill(`(long)&io->bytes[${TEXT}]`), '[    waggle][waggle    ][waggle]'],
  ['%s.', ['0'], '.'],
  ['[%4s]', ['0'], '[    ]'],
  ['%pks', [`(long)&io->bytes[${TEXT}]`], 'waggle'],
  ['%pus.', ['0'], '.'],
  ['%pI4', ['(long)&io->bytes[0]'], '192.0.2.1'],
  ['%pi4', ['(long)&io->bytes[0]'], '192.000.002.001'],
  ['%pI6', ['(long)&io->bytes[8]'], '2001:0db8:0000:0000:0000:0000:0000:001f'],
  ['%pi6', ['(long)&io->bytes[8]'], '20010db800000000000000000000001f'],
  ['[%20pI4]', ['(long)&io->bytes[0]'], '[192.0.2.1]'],
  ['%pI4, %pI4:%d', ['(long)&io->bytes[0]', '0', '80'], '192.0.2.1, 0.0.0.0:80'],
  ['%pI4abc%d', ['(long)&io->bytes[0]', '7'], '192.0.2.17'],
  ['%p', ['0'], '0000000000000000'],
  ['%p,%d', ['0', '9'], '0000000000000000,9'],
  ['%px', ['0x1234ull'], '0000000000001234'],
  ['[%20px][%-20px]', ['0x1234ull', '0x1234ull'], '[                1234][1234                ]'],
  ['%pxyz%d', ['0x1234ull', '5'], '00000000000012345'],
  ['%ps %pS %pB', ['0x12ull', '0x34ull', '0x56ull'], '0x12 0x34 0x56'],
  ['tab\\tline\\n', [], 'tab\tline\n'],
  ['%s', [`(long)&io->bytes[${LONG}]`], 'x'.repeat(447)],
  ['%s%s', [`(long)&io->bytes[${LONG}]`, `(long)&io->bytes[${LONG}]`], 'x'.repeat(447 + 63)],
];

/** Room for the text, and what is returned and left there of "12345". */
const ROOMS: readonly (readonly [size: number, text: string])[] = [
  [0, ''],
  [1, ''],
  [2, '1'],
  [5, '1234'],
  [6, '12345'],
  [7, '12345'],
];

/** Formats that bpf_trace_printk takes while it runs, or not: the kernel's verifier does not look at them. */
const PRINTED: readonly (readonly [format: string, result: number])[] = [
  ['three %d %d %d', 11],
  ['four %d %d %d %d', -22],
  ['%d', 1],
  ['%', -22],
  ['%q', -22],
  ['%ll', -22],
  ['%lld', 1],
  ['%llld', -22],
  ['%hd', -22],
  ['%f', -22],
  ['%n', -22],
  ['%5-d', -22],
  ['%#x', -22],
  ['%.3d', -22],
  ['%*d', -22],
  ['%pa', -22],
  ['%pI5', -22],
  ['%pI', -22],
  ['%p', 16],
  ['%p!', 17],
  ['%sx', -22],
  ['%s!', 1],
  ['%pksx', -22],
  ['%5%', -22],
  ['%c', 1],
  ['\u0007', -22],
  ['\u00e9', 1],
  ['\u007f', -22],
  ['%s\u00e9', -22],
  ['%s\u00a1', 1],
  ['%s\u00a0', 1],
  ['', 0],
  ['%2000d', 2000],
];

const quoted = (text: string) => JSON.stringify(text).replaceAll('\\\\', '\\');
const source = () => `
static long (*print)(char *, __u32, const char *, const __u64 *, __u32) = HELPER(165);
static long (*trace)(const char *, __u32, __u64, __u64, __u64) = HELPER(6);
static long (*vtrace)(const char *, __u32, const void *, __u32) = HELPER(177);
${ROWS.map(
  ([format, args], index) => `XDP(row${index}, static const char format[] = ${quoted(format)};
  __u64 args[] = { ${args.join(', ') || '0'} };
  io->out[0] = print(io->result, 512, format, args, ${8 * args.length}))`,
).join('\n')}
${ROOMS.map(
  ([size], index) => `XDP(room${index}, static const char format[] = "%d"; __u64 args[] = { 12345 };
  io->out[0] = print(io->result, ${size}, format, args, 8))`,
).join('\n')}
XDP(uneven, static const char format[] = "%d"; __u64 args[] = { 1 }; io->out[0] = vtrace(format, 3, args, 7))
XDP(thirteen, static const char format[] = "%d"; __u64 args[13] = {}; io->out[0] = vtrace(format, 3, args, 104))
XDP(none, static const char format[] = "%d"; io->out[0] = vtrace(format, 3, 0, 0))
XDP(more, static const char format[] = "x%d"; __u64 args[2] = {5, 6}; io->out[0] = vtrace(format, 4, args, 16))
XDP(printk, __u64 size = io->in[0] & 255; if (size < 1) size = 1; io->out[0] = trace(io->bytes, size, 0, 0, 0))
XDP(of_stack, volatile char text[8]; __u64 letters = io->in[0];
  for (int i = 0; i < 8; i++) text[i] = letters >> (8 * i);
  static const char format[] = "%s, %d"; io->out[0] = trace(format, 7, (long)text, io->in[1], 0))
`;

describe.skipIf(missingClang)(`printing${missingClang ? ` (skipped: ${missingClang})` : ''}`, () => {
  const bed = missingClang === undefined ? new HelperBed(source()) : undefined;
  afterAll(() => bed?.close());
  const bytes = new Uint8Array(512);
  bytes.set(BYTES);
  bytes.set(new TextEncoder().encode('waggle'), TEXT);
  bytes.fill(0x78, LONG);
  const textOf = (result: Uint8Array) =>
    new TextDecoder('latin1').decode(result.subarray(0, result.indexOf(0)));

  for (const where of ['here', 'kernel'] as const) {
    const missing = where === 'kernel' ? missingRoot : undefined;
    describe.skipIf(missing)(`${where}${noting(missing)}`, () => {
      it.each(ROWS.map(([format, , text], index) => [format, text, index] as const))(
        'bpf_snprintf %j',
        (_, text, index) => {
          // The last byte stays 0, which ends the longest text.
          const { out, result } = bed![where](`row${index}`, { bytes: bytes.with(511, 0) });
          expect(textOf(result)).toBe(text);
          expect(out[0]).toBe(BigInt(text.length + 1));
        },
      );

      it.each(ROOMS.map(([size, text], index) => [size, text, index] as const))(
        'bpf_snprintf into %i bytes counts what does not fit',
        (_, text, index) => {
          const { out, result } = bed![where](`room${index}`);
          expect([out[0], textOf(result)]).toEqual([6n, text]);
        },
      );

      it.each(PRINTED)('bpf_trace_printk %j gives %i', (format, gives) => {
        const text = Uint8Array.from(`${format}\0`, (c) => c.charCodeAt(0));
        const { out } = bed![where]('printk', { bytes: text, in: [text.length] });
        expect(out[0] ?? 0n).toBe(BigInt(gives));
      });

      it('a format without a NUL in its length is refused', () => {
        expect(bed![where]('printk', { bytes: 'waggle', in: [6] }).out[0]).toBe(-22n);
        expect(bed![where]('printk', { bytes: 'waggle', in: [7] }).out[0]).toBe(6n);
      });

      it('bpf_trace_printk reads a text of the stack, which no argument of a known length points to', () => {
        // "waggle" and two NULs.
        expect(bed![where]('of_stack', { in: [0x656c67676177, 42] }).out[0]).toBe(10n);
        if (where === 'kernel') return;
        const lines: string[] = [];
        readTraceLog(bed!.machine.host.arena, 0, ({ text }) => lines.push(text));
        expect(lines.at(-1)).toBe('waggle, 42');
      });

      it.each([
        ['uneven', -22n],
        ['thirteen', -22n],
        ['none', -22n],
        ['more', 2n],
      ] as const)('bpf_trace_vprintk, %s arguments', (program, gives) => {
        expect(bed![where](program).out[0]).toBe(gives);
      });
    });
  }
});
