import { afterAll, describe, expect, it } from 'vitest';
import { missingRoot, noting } from '../../../test/support/capabilities.js';
import { missingClang } from '../../../test/support/clang.js';
import { HelperBed } from '../../../test/support/helper-bed.js';
import { ERRNO } from '../maps/map.js';
import { ERANGE } from './uapi.js';

const { EINVAL } = ERRNO;

const SOURCE = `
static long (*strtol)(const char *, __u64, __u64, __s64 *) = HELPER(105);
static long (*strtoul)(const char *, __u64, __u64, __u64 *) = HELPER(106);
static long (*compare)(const char *, __u32, const char *) = HELPER(182);
#define NUMBER(parse, type) type number = 99; __u64 length = io->in[0] & 127; \\
  if (length < 1) length = 1; \\
  io->out[0] = parse(io->bytes, length, io->in[1], &number); io->out[1] = number
XDP(signed_number, NUMBER(strtol, __s64))
XDP(unsigned_number, NUMBER(strtoul, __u64))
XDP(same, __u64 length = io->in[0] & 127; if (length < 1) length = 1; io->out[0] = compare(io->bytes, length, "waggle"))
`;

const long = (digits: number) => '7'.repeat(digits);

/** text, flags, result, number; the length is the text's. */
type Row = readonly [text: string, flags: number, result: number, number: bigint];
const SIGNED: readonly Row[] = [
  ['42', 0, 2, 42n],
  ['42 and more', 0, 2, 42n],
  ['  \t\n42', 0, 6, 42n],
  ['-42', 10, 3, -42n],
  ['- 42', 10, -EINVAL, 0n],
  ['--42', 10, -EINVAL, 0n],
  ['+42', 10, -EINVAL, 0n],
  ['0x2a', 0, 4, 42n],
  ['0X2A', 16, 4, 42n],
  ['2a', 16, 2, 42n],
  ['0xg', 0, 1, 0n],
  ['0xg', 16, -EINVAL, 0n],
  ['0x', 0, 1, 0n],
  ['0x', 16, -EINVAL, 0n],
  ['052', 0, 3, 42n],
  ['052', 10, 3, 52n],
  ['08', 0, 1, 0n],
  ['0x10', 8, 1, 0n],
  ['-', 0, -EINVAL, 0n],
  ['   ', 0, -EINVAL, 0n],
  ['text', 0, -EINVAL, 0n],
  ['42', 2, -EINVAL, 0n],
  ['42', 32, -EINVAL, 0n],
  ['9223372036854775807', 10, 19, 9223372036854775807n],
  ['9223372036854775808', 10, -ERANGE, 0n],
  ['-9223372036854775808', 10, 20, -9223372036854775808n],
  ['-9223372036854775809', 10, -ERANGE, 0n],
  ['18446744073709551616', 10, -ERANGE, 0n],
  ['-0', 10, 2, 0n],
  [`${' '.repeat(70)}42`, 10, 72, 42n],
  [`${'0'.repeat(62)}42`, 10, 63, 4n],
  [`${'0'.repeat(63)}42`, 10, 63, 0n],
  [long(25), 10, -ERANGE, 0n],
  ['1\u00002', 10, 1, 1n],
];
const UNSIGNED: readonly Row[] = [
  ['18446744073709551615', 10, 20, -1n],
  ['18446744073709551616', 10, -ERANGE, 0n],
  ['0xffffffffffffffff', 0, 18, -1n],
  ['01777777777777777777777', 0, 23, -1n],
  ['02000000000000000000000', 0, -ERANGE, 0n],
  ['-1', 10, -EINVAL, 0n],
  ['-0', 10, -EINVAL, 0n],
  ['7 ', 10, 1, 7n],
];
/** text, length that is compared with "waggle", result. */
const COMPARED: readonly (readonly [text: string, length: number, result: number])[] = [
  ['waggle', 6, 0],
  ['waggle', 100, 0],
  ['waggles', 6, 0],
  ['waggles', 7, 1],
  ['wagg', 4, 0],
  ['wagg', 5, -1],
  ['waggla', 6, -1],
  ['wazzle', 6, 1],
  ['\u00ff', 1, 1],
  ['', 3, -1],
];

describe.skipIf(missingClang)(
  `bpf_strtol, bpf_strtoul, bpf_strncmp${missingClang ? ` (${missingClang})` : ''}`,
  () => {
    const bed = missingClang === undefined ? new HelperBed(SOURCE) : undefined;
    afterAll(() => bed?.close());

    const numbers = [
      ...SIGNED.map((row) => ['signed_number', ...row] as const),
      ...UNSIGNED.map((row) => ['unsigned_number', ...row] as const),
    ];
    for (const where of ['here', 'kernel'] as const) {
      const lacking = where === 'kernel' ? missingRoot : undefined;
      describe.skipIf(lacking)(`${where}${noting(lacking)}`, () => {
        it.each(numbers)('%s of %j, flags %i', (program, text, flags, result, number) => {
          const { out } = bed![where](program, {
            bytes: text,
            in: [new TextEncoder().encode(text).length, flags],
          });
          expect([out[0], out[1] ?? 0n]).toEqual([BigInt(result), number]);
        });

        it.each(COMPARED)('"waggle" and %j up to %i', (text, length, result) => {
          const { out } = bed![where]('same', {
            bytes: Uint8Array.from(text, (c) => c.charCodeAt(0)),
            in: [length],
          });
          expect(out[0] ?? 0n).toBe(BigInt(result));
        });
      });
    }
  },
);
