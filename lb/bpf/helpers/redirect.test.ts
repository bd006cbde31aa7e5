import { afterAll, describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { missingClang } from '../../../test/support/clang.js';
import { HelperBed } from '../../../test/support/helper-bed.js';
import { ENGINES } from '../sandbox.js';

const SOURCE = `
XDP(of_xdp, io->out[0] = bpf_redirect(io->in[0], io->in[1]))
TC(of_tc, io->out[0] = bpf_redirect(io->in[0], io->in[1]))
`;
/** program, flags, result: XDP_REDIRECT or XDP_ABORTED, TC_ACT_REDIRECT or TC_ACT_SHOT. */
const ROWS = [
  ['of_xdp', 0, 4n],
  ['of_xdp', 1, 0n],
  ['of_tc', 0, 7n],
  ['of_tc', 1, 7n],
  ['of_tc', 2, 2n],
] as const;

describe.skipIf(missingClang)(`bpf_redirect${missingClang ? ` (skipped: ${missingClang})` : ''}`, () => {
  for (const engine of ENGINES) {
    const bed = missingClang === undefined ? new HelperBed(SOURCE, engine) : undefined;
    afterAll(() => bed?.close());
    it.each(ROWS)(`%s, flags %i, gives %i (${engine})`, (program, flags, result) => {
      const input = { in: [1, flags] };
      expect(bed!.here(program, input).out[0] ?? 0n).toBe(result);
      if (missingRoot === undefined) expect(bed!.kernel(program, input).out[0] ?? 0n).toBe(result);
    });
  }
});
