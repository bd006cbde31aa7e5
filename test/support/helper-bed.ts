import { Machine } from '../../lb/bpf/machine/index.js';
import type { BpfMap } from '../../lb/bpf/maps/map.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import { loadObject } from '../../lb/bpf/object/load.js';
import type { ObjectSpec } from '../../lb/bpf/object/spec.js';
import type { EngineName } from '../../lb/bpf/sandbox.js';
import { type KernelMap, KernelMaps, type KernelProgram, loadKernelProgram } from '../../lb/sys/bpf.js';
import { BPF_PRELUDE } from './bpf-helpers.js';
import { compileC } from './clang.js';
import { onOneCpu } from './one-cpu.js';
import { hex } from './packets.js';

const KEY = new Uint8Array(4);
const WORDS = 8;
const BYTES = 512;
const VALUE_BYTES = 2 * 8 * WORDS + 2 * BYTES;

/**
 * In front of the C of a test. A program takes numbers and bytes from `io->in` and `io->bytes`, and leaves its results
 * in `io->out` and `io->result`.
 */
const PRELUDE = `${BPF_PRELUDE}
typedef long long __s64; typedef int __s32;
struct io { __u64 in[${WORDS}]; char bytes[${BYTES}]; __s64 out[${WORDS}]; char result[${BYTES}]; };
struct { __uint(type, 2); __uint(max_entries, 1); __type(key, __u32); __type(value, struct io); } ios SEC(".maps");
#define HELPER(id) (void *)id
#define PROGRAM(type, context, name, ...) SEC(type) int name(struct context *ctx) { \\
  __u32 zero = 0; struct io *io = bpf_map_lookup_elem(&ios, &zero); if (!io) return -1; __VA_ARGS__; return 0; }
#define XDP(name, ...) PROGRAM("xdp", xdp_md, name, __VA_ARGS__)
#define TC(name, ...) PROGRAM("tc", __sk_buff, name, __VA_ARGS__)
char _license[] SEC("license") = "GPL";
`;

export interface HelperInput {
  readonly in?: readonly (number | bigint)[];
  readonly bytes?: Uint8Array | string;
  readonly packet?: Uint8Array;
}

export interface HelperOutput {
  /** The words of `out`, signed, up to the last that is not 0. */
  readonly out: readonly bigint[];
  readonly result: Uint8Array;
  readonly packet: string;
}

/** An Ethernet frame of a type that nobody looks into, every byte another. */
const PACKET = Uint8Array.from({ length: 64 }, (_, i) => (i === 12 ? 0x88 : i === 13 ? 0xb5 : i + 1));

function mapValue(input: HelperInput): Uint8Array {
  const value = new Uint8Array(VALUE_BYTES);
  const words = new BigInt64Array(value.buffer, 0, WORDS);
  for (const [index, word] of (input.in ?? []).entries()) words[index] = BigInt.asIntN(64, BigInt(word));
  const { bytes = '' } = input;
  value.set(typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes, 8 * WORDS);
  return value;
}

function outputOf(map: BpfMap, packet: Uint8Array): HelperOutput {
  const value = map.lookup(KEY)!;
  const out = [...new BigInt64Array(value.slice(8 * WORDS + BYTES, 2 * 8 * WORDS + BYTES).buffer)];
  while (out.at(-1) === 0n) out.pop();
  return { out, result: value.slice(2 * 8 * WORDS + BYTES), packet: hex(packet) };
}

/** C programs that call helpers, run here and in the kernel. */
export class HelperBed {
  readonly machine: Machine;
  readonly #object: ObjectSpec;
  readonly #kernel = new Map<string, KernelProgram>();
  #maps: KernelMap[] | undefined;

  constructor(source: string, engine: EngineName = 'jit') {
    this.#object = loadObject(compileC(PRELUDE + source));
    this.machine = Machine.create(this.#object, { engine });
  }

  here(program: string, input: HelperInput = {}): HelperOutput {
    const { map } = this.machine.map('ios');
    map.update(KEY, mapValue(input));
    const { packet } = this.machine.program(program).run(input.packet ?? PACKET);
    return outputOf(map, packet);
  }

  /** @throws BpfError where the kernel refuses the program or does not run it */
  kernel(program: string, input: HelperInput = {}): HelperOutput {
    this.#maps ??= [...createMaps(this.#object, new KernelMaps()).values()];
    const map = this.#maps[this.#object.maps.findIndex(({ name }) => name === 'ios')]!;
    map.update(KEY, mapValue(input));
    const loaded = this.#program(program, this.#maps);
    const { packet } = onOneCpu(() => loaded.testRun(input.packet ?? PACKET));
    return outputOf(map, packet);
  }

  #program(name: string, maps: readonly KernelMap[]): KernelProgram {
    const known = this.#kernel.get(name);
    if (known !== undefined) return known;
    const spec = this.#object.programs.find((each) => each.name === name)!;
    const loaded = loadKernelProgram(spec, maps, 'GPL', this.#object.btf);
    this.#kernel.set(name, loaded);
    return loaded;
  }

  close(): void {
    for (const each of [...this.#kernel.values(), ...(this.#maps ?? [])]) each.close();
    this.machine.close();
  }
}
