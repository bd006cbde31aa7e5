import { describe, expect, it } from 'vitest';
import { BPF_PRELUDE } from '../../../test/support/bpf-helpers.js';
import { compileC, missingClang } from '../../../test/support/clang.js';
import { loadObject } from './load.js';

// Global functions may not return pointers or nothing; static ones may.
const SOURCE = `${BPF_PRELUDE}
#define NOINLINE __attribute__((noinline))
__u64 seen;
__attribute__((visibility("hidden"))) NOINLINE void *hidden(struct xdp_md *ctx) { return (void *)(long)ctx->data; }
__attribute__((visibility("internal"))) NOINLINE void internal(__u32 n) { seen += n; }
NOINLINE int open_to_all(struct xdp_md *ctx) { return ctx->rx_queue_index; }
static NOINLINE int own(__u32 n) { seen ^= n; return seen; }
SEC("xdp") int program(struct xdp_md *ctx) {
  internal(open_to_all(ctx));
  return hidden(ctx) == (void *)(long)ctx->data ? own(7) & 1 : 1;
}
`;

describe.skipIf(missingClang)(
  `linkage of functions in BTF${missingClang ? ` (${missingClang})` : ''}`,
  () => {
    const object = missingClang === undefined ? loadObject(compileC(SOURCE)) : undefined;

    it.each([
      ['hidden', 0],
      ['internal', 0],
      ['own', 0],
      ['open_to_all', 1],
      ['program', 1],
    ])('%s: %d', (name, linkage) => {
      const found = object!.btf!.types.find((type) => type.kind === 'func' && type.name === name);
      expect(found).toMatchObject({ linkage });
    });
  },
);
