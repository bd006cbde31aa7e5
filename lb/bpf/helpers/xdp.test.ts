import { afterAll, describe, expect, it } from 'vitest';
import { missingRoot, noting } from '../../../test/support/capabilities.js';
import { missingClang } from '../../../test/support/clang.js';
import { HelperBed } from '../../../test/support/helper-bed.js';
import { hex } from '../../../test/support/packets.js';
import { ERRNO } from '../maps/map.js';
import { EACCES, EFAULT } from '../maps/uapi.js';

const { EINVAL } = ERRNO;

const SOURCE = `
static long (*adjust_head)(struct xdp_md *, int) = HELPER(44);
static long (*adjust_meta)(struct xdp_md *, int) = HELPER(54);
static long (*adjust_tail)(struct xdp_md *, int) = HELPER(65);
static __u64 (*buff_len)(struct xdp_md *) = HELPER(188);
static long (*load_bytes)(struct xdp_md *, __u32, void *, __u32) = HELPER(189);
static long (*store_bytes)(struct xdp_md *, __u32, const void *, __u32) = HELPER(190);
#define PLACE io->out[3] = ctx->data - ctx->data_meta; io->out[4] = ctx->data_end - ctx->data
XDP(head, io->out[0] = adjust_head(ctx, io->in[0]); PLACE)
XDP(tail, io->out[0] = adjust_tail(ctx, io->in[0]); PLACE)
XDP(meta, io->out[0] = adjust_meta(ctx, io->in[0]); io->out[1] = adjust_meta(ctx, io->in[1]);
  io->out[2] = adjust_head(ctx, io->in[2]); PLACE)
XDP(length, io->out[0] = buff_len(ctx); adjust_tail(ctx, io->in[0]); adjust_head(ctx, io->in[1]); io->out[1] = buff_len(ctx))
#define LENGTH __u64 bytes = io->in[1] & 511; if (bytes < 1) bytes = 1
XDP(load, LENGTH; io->out[0] = load_bytes(ctx, io->in[0], io->result, bytes))
XDP(store, LENGTH; io->out[0] = store_bytes(ctx, io->in[0], io->bytes, bytes))
`;

const PACKET_BYTES = 64;
type Row = readonly [program: string, input: readonly number[], out: readonly number[]];
/** out: results, bytes of metadata, bytes of the packet. */
const ROWS: readonly Row[] = [
  ['head', [0], [0, 0, 0, 0, 64]],
  ['head', [-216], [0, 0, 0, 0, 280]],
  ['head', [-217], [-EINVAL, 0, 0, 0, 64]],
  ['head', [50], [0, 0, 0, 0, 14]],
  ['head', [51], [-EINVAL, 0, 0, 0, 64]],
  ['tail', [-50], [0, 0, 0, 0, 14]],
  ['tail', [-51], [-EINVAL, 0, 0, 0, 64]],
  ['tail', [100], [0, 0, 0, 0, 164]],
  ['tail', [3456], [0, 0, 0, 0, 3520]],
  ['tail', [3457], [-EINVAL, 0, 0, 0, 64]],
  ['meta', [-4], [0, 0, 0, 4, 64]],
  ['meta', [-32], [0, 0, 0, 32, 64]],
  ['meta', [-3], [-EACCES, 0, 0, 0, 64]],
  ['meta', [4], [-EINVAL, 0, 0, 0, 64]],
  ['meta', [-216], [0, 0, 0, 216, 64]],
  ['meta', [-220], [-EINVAL, 0, 0, 0, 64]],
  ['meta', [-217], [-EINVAL, 0, 0, 0, 64]],
  ['meta', [-8, 4], [0, 0, 0, 4, 64]],
  ['meta', [-8, 8], [0, 0, 0, 0, 64]],
  ['meta', [-8, 12], [0, -EINVAL, 0, 8, 64]],
  ['meta', [-8, -8], [0, 0, 0, 16, 64]],
  ['meta', [-8, 0, -100], [0, 0, 0, 8, 164]],
  ['meta', [-8, 0, -208], [0, 0, 0, 8, 272]],
  ['meta', [-8, 0, -209], [0, 0, -EINVAL, 8, 64]],
  ['meta', [-8, 0, 20], [0, 0, 0, 8, 44]],
  ['length', [0, 0], [64, 64]],
  ['length', [10, 30], [64, 44]],
];
/** offset, length, result. */
const PIECES: readonly (readonly [offset: number, bytes: number, result: number])[] = [
  [0, 64, 0],
  [10, 54, 0],
  [10, 55, -EINVAL],
  [63, 1, 0],
  [64, 1, -EINVAL],
  [65, 1, -EINVAL],
  [0xffff, 1, -EINVAL],
  [0x10000, 1, -EFAULT],
  [-1, 1, -EFAULT],
  [0, 511, -EINVAL],
];

describe.skipIf(missingClang)(`helpers of XDP${missingClang ? ` (skipped: ${missingClang})` : ''}`, () => {
  const bed = missingClang === undefined ? new HelperBed(SOURCE) : undefined;
  afterAll(() => bed?.close());
  const packet = Uint8Array.from({ length: PACKET_BYTES }, (_, i) => (i * 37) & 255);
  const bytes = Uint8Array.from({ length: 512 }, (_, i) => 255 - (i & 127));

  for (const where of ['here', 'kernel'] as const) {
    const missing = where === 'kernel' ? missingRoot : undefined;
    describe.skipIf(missing)(`${where}${noting(missing)}`, () => {
      it.each(ROWS)('%s %j gives %j', (program, input, out) => {
        const got = bed![where](program, { in: input, packet });
        expect(Array.from(out, (_, index) => Number(got.out[index] ?? 0))).toEqual(out);
      });

      it.each(PIECES)('bytes from %i, %i of them: %i', (offset, length, result) => {
        const input = { in: [offset, length], packet, bytes };
        const loaded = bed![where]('load', input);
        const stored = bed![where]('store', input);
        expect([loaded.out[0] ?? 0n, stored.out[0] ?? 0n]).toEqual([BigInt(result), BigInt(result)]);
        const [first, last] = result === 0 ? [offset, offset + length] : [0, 0];
        expect(hex(loaded.result.subarray(0, last - first))).toBe(hex(packet.subarray(first, last)));
        expect(loaded.result.subarray(last - first).every((byte) => byte === 0)).toBe(true);
        const changed = packet.slice();
        changed.set(bytes.subarray(0, last - first), first);
        expect(stored.packet).toBe(hex(changed));
      });
    });
  }

  it.skipIf(missingRoot)(`bytes that the packet gains are those of the kernel${noting(missingRoot)}`, () => {
    for (const [program, by] of [
      ['head', -100],
      ['head', 20],
      ['tail', 100],
      ['tail', -20],
    ] as const) {
      const input = { in: [by], packet };
      expect(bed!.here(program, input).packet).toBe(bed!.kernel(program, input).packet);
    }
  });
});
