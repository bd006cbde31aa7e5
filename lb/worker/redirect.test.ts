import { beforeEach, describe, expect, it } from 'vitest';
import { assemble } from '../../test/support/assembler.js';
import { numbered, RedirectBed } from '../../test/support/redirect-bed.js';
import { compileProgram } from '../bpf/jit/compile.js';
import { MMSG_CAPACITY } from '../bpf/memory/layout.js';

const IFINDEX = 7;
const [BROADCAST, EXCLUDE_INGRESS] = [8n, 16n];
const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const module = (code: string) => new WebAssembly.Module(compileProgram(assemble(code), []).wasm);

describe('XDP_REDIRECT', () => {
  let bed: RedirectBed;
  /** Run the pump on one frame; gives what leaves, by interface. */
  const outcome = () => {
    bed.put(numbered(1));
    const count = bed.pump.run(64);
    const devices = bed.devices(count);
    bed.pump.release();
    return devices;
  };

  beforeEach(() => {
    bed = new RedirectBed();
  });

  it('sends a frame by the interface that bpf_redirect names, and the next one by its own again', () => {
    bed.steps = [(helpers) => helpers.bpf_redirect(9n, 0n), () => 3n];
    bed.put(numbered(1));
    bed.put(numbered(2));
    expect(bed.pump.run(64)).toBe(2);
    expect(bed.devices(2)).toEqual([9, undefined]);
    bed.pump.countSent(0, 2);
    expect(bed.counters()).toMatchObject({
      redirected: 1,
      redirected_bytes: numbered(1).length,
      transmitted: 1,
      transmitted_bytes: numbered(2).length,
    });
  });

  it('uses a way once', () => {
    bed.steps = [(helpers) => helpers.bpf_redirect(9n, 0n), () => 4n];
    bed.put(numbered(1));
    bed.put(numbered(2));
    expect(bed.pump.run(64)).toBe(1);
    expect(bed.counters()).toMatchObject({ redirect_no_target: 1 });
  });

  it.each(['DEVMAP', 'DEVMAP_HASH'] as const)('goes where the element of a %s says', (type) => {
    const map = bed.createMap(type, 8);
    map.update(u32(3), u32(12, 0));
    bed.steps = [(helpers) => helpers.bpf_redirect_map(BigInt(map.info.descriptor), 3n, 0n)];
    expect(outcome()).toEqual([12]);
  });

  it('to a socket is counted', () => {
    const map = bed.createMap('XSKMAP', 4);
    map.update(u32(0), u32(64));
    bed.steps = [(helpers) => helpers.bpf_redirect_map(BigInt(map.info.descriptor), 0n, 0n)];
    expect(outcome()).toEqual([]);
    expect(bed.counters()).toMatchObject({ redirect_unsupported: 1 });
  });

  it.each(['DEVMAP', 'DEVMAP_HASH'] as const)('to all of a %s leaves the ingress out where asked', (type) => {
    const map = bed.createMap(type, 8);
    for (const [key, device] of [
      [0, 12],
      [3, IFINDEX],
      [5, 14],
    ] as const)
      map.update(u32(key), u32(device, 0));
    const all = (flags: bigint) => {
      bed.steps = [(helpers) => helpers.bpf_redirect_map(BigInt(map.info.descriptor), 0n, flags)];
      return outcome().sort();
    };
    expect(all(BROADCAST)).toEqual([12, 14, IFINDEX]);
    expect(all(BROADCAST | EXCLUDE_INGRESS)).toEqual([12, 14]);
  });

  it('to all of a map that has none is counted', () => {
    const map = bed.createMap('DEVMAP', 8);
    bed.steps = [(helpers) => helpers.bpf_redirect_map(BigInt(map.info.descriptor), 0n, BROADCAST)];
    expect(outcome()).toEqual([]);
    expect(bed.counters()).toMatchObject({ redirect_no_target: 1 });
  });

  it('to all fills the message array, and leaves room for the rest of the round', () => {
    const map = bed.createMap('DEVMAP', MMSG_CAPACITY);
    for (let i = 0; i < MMSG_CAPACITY; i++) map.update(u32(i), u32(100 + i, 0));
    bed.steps = [
      (helpers) => helpers.bpf_redirect_map(BigInt(map.info.descriptor), 0n, BROADCAST),
      ...Array.from({ length: 7 }, () => () => 3n),
    ];
    for (let i = 0; i < 8; i++) bed.put(numbered(i));
    expect(bed.pump.run(8)).toBe(MMSG_CAPACITY);
    expect(bed.devices(MMSG_CAPACITY).slice(-8)).toEqual([
      100 + MMSG_CAPACITY - 8,
      ...Array.from({ length: 7 }, () => undefined),
    ]);
    expect(bed.counters()).toMatchObject({ redirect_overflow: 7 });
  });

  describe('with a program of the element', () => {
    const toElement = (code: string | undefined, broadcast = false) => {
      const map = bed.createMap('DEVMAP', 8);
      const number = bed.addProgram(code === undefined ? undefined : module(code));
      map.update(u32(3), u32(12, number));
      const flags = broadcast ? BROADCAST : 0n;
      bed.steps = [(helpers) => helpers.bpf_redirect_map(BigInt(map.info.descriptor), 3n, flags)];
      return outcome();
    };

    it.each([
      ['XDP_PASS', 'r0 = 2\nexit', [12], {}],
      ['XDP_DROP', 'r0 = 1\nexit', [], { dropped: 1 }],
      ['XDP_ABORTED', 'r0 = 0\nexit', [], { aborted: 1 }],
      ['XDP_TX', 'r0 = 3\nexit', [], { invalid_verdict: 1 }],
      ['XDP_REDIRECT', 'r0 = 4\nexit', [], { invalid_verdict: 1 }],
    ] as const)('does as its verdict %s says', (_, code, devices, counted) => {
      expect(toElement(code)).toEqual(devices);
      expect(bed.counters()).toEqual({
        received: 1,
        received_bytes: numbered(1).length,
        batches: 1,
        program_runs: 1,
        ...counted,
      });
    });

    it('shows it the interface by which the frame leaves', () => {
      const code = (device: number) => `
        r2 = *(u32 *)(r1 + 20)
        r0 = 1
        if r2 != ${device} goto end
        r0 = 2
      end:
        exit`;
      expect(toElement(code(12))).toEqual([12]);
      expect(toElement(code(13))).toEqual([]);
    });

    it('sends what it left of the frame', () => {
      expect(toElement('r2 = *(u32 *)(r1 + 0)\nr3 = 0x5a\n*(u8 *)(r2 + 0) = r3\nr0 = 2\nexit')).toEqual([12]);
      expect(bed.sent(0)[0]).toBe(0x5a);
    });

    it('that this thread does not have sends nothing', () => {
      expect(toElement(undefined)).toEqual([]);
      expect(bed.counters()).toMatchObject({ redirect_no_target: 1 });
    });

    it('to all is counted as not done', () => {
      expect(toElement('r0 = 2\nexit', true)).toEqual([]);
      expect(bed.counters()).toMatchObject({ redirect_unsupported: 1 });
    });
  });
});
