import { objectBytes } from '../lb/balancer/object.js';
import { decodeProgram } from '../lb/bpf/isa/codec.js';
import { compileProgram } from '../lb/bpf/jit/compile.js';
import type { MapSpec } from '../lb/bpf/maps/map.js';
import { ArenaMaps, mapBytes } from '../lb/bpf/maps/registry.js';
import { Arena } from '../lb/bpf/memory/arena.js';
import { createMaps } from '../lb/bpf/object/create-maps.js';
import { loadObject } from '../lb/bpf/object/load.js';
import type { ObjectSpec, ProgramSpec } from '../lb/bpf/object/spec.js';
import { checkStructure } from '../lb/bpf/verifier/structural.js';
import { KernelMaps, loadKernelProgram } from '../lb/sys/bpf.js';
import { type Comparison, interleave } from './report.js';

const SLOT_BYTES = 8;
const MAX_ENTRIES = 1024;

/** Sizes have no part in it: small maps, so that both sides have them at once. */
const shrink = (spec: MapSpec): MapSpec => ({
  ...spec,
  maxEntries: Math.min(spec.maxEntries, MAX_ENTRIES),
  ...(spec.inner === undefined ? {} : { inner: shrink(spec.inner) }),
});

/** r6 = r1; then for each copy r1 = r6; call; and exit. Copies of the balancer are functions behind. */
export function copies(program: ProgramSpec, count: number): ProgramSpec {
  const slots = program.code.length / SLOT_BYTES;
  const head = 2 + 2 * count;
  const code = new Uint8Array((head + slots * count) * SLOT_BYTES);
  const view = new DataView(code.buffer);
  const put = (slot: number, opcode: number, registers: number, imm: number) => {
    view.setUint8(slot * SLOT_BYTES, opcode);
    view.setUint8(slot * SLOT_BYTES + 1, registers);
    view.setInt32(slot * SLOT_BYTES + 4, imm, true);
  };
  put(0, 0xbf, 0x16, 0);
  for (let i = 0; i < count; i++) {
    put(1 + 2 * i, 0xbf, 0x61, 0);
    // Distance from the next slot (RFC 9669 §4.3.1).
    put(2 + 2 * i, 0x85, 0x10, head + slots * i - (3 + 2 * i));
    code.set(program.code, (head + slots * i) * SLOT_BYTES);
  }
  put(head - 1, 0x95, 0, 0);
  return { ...program, name: 'copies', code, functions: [], lines: [] };
}

function balancerOf(object: ObjectSpec): ProgramSpec {
  const [program] = object.programs;
  if (!program) throw new Error('the balancer’s object has no program');
  return program;
}

/** From the bytes of an object to code that runs: how long the change of a program takes. */
export async function benchLoad(rounds: number): Promise<Comparison[]> {
  const bytes = objectBytes('balancer');
  const object = loadObject(bytes);
  const mapsBytes = object.maps.reduce((sum, spec) => sum + mapBytes(shrink(spec), 2), 0);
  const host = new ArenaMaps(Arena.create({ workers: 1, mapsBytes, ringsBytes: 0 }));
  const infos = [...createMaps(object, host, shrink).values()].map(({ info }) => info);
  const kernelMaps = [...createMaps(object, new KernelMaps(), shrink).values()];
  const comparisons: Comparison[] = [];
  for (const count of [1, 3]) {
    const length = decodeProgram(copies(balancerOf(object), count).code).length;
    // Each module anew: V8 keeps the code of one that it has seen.
    let nonce = 0;
    const ours = () => {
      const start = performance.now();
      const program = copies(balancerOf(loadObject(bytes)), count);
      const instructions = decodeProgram(program.code);
      checkStructure(instructions);
      const { wasm } = compileProgram(instructions, infos);
      new WebAssembly.Module(withNonce(wasm, nonce++));
      return performance.now() - start;
    };
    const kernels = () => {
      const program = copies(balancerOf(object), count);
      const start = performance.now();
      loadKernelProgram(program, kernelMaps, object.license).close();
      return performance.now() - start;
    };
    const series = await interleave(
      { 'object file to machine code': ours, 'kernel, PROG_LOAD': kernels },
      rounds,
    );
    comparisons.push({
      title: `load ${length.toLocaleString('en-US')} instructions of balancer (ours: ELF, BTF, structure, JIT; the kernel’s: verifier, JIT)`,
      unit: 'ms',
      baseline: 'kernel, PROG_LOAD',
      ...(count === 3 ? { aim: 'under 100 ms' } : {}),
      series,
    });
  }
  return comparisons;
}

/** The module with a custom section that makes its bytes its own. */
function withNonce(wasm: Uint8Array, nonce: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(wasm.length + 8);
  out.set(wasm);
  // Section 0, 6 bytes long, with a name of one byte.
  out.set([0, 6, 1, 0x6e], wasm.length);
  new DataView(out.buffer).setUint32(wasm.length + 4, nonce, true);
  return out;
}
