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
import { withNonce } from './jit.js';
import { type Comparison, interleave } from './report.js';

const MAX_ENTRIES = 1024;
const PAGE_BYTES = 4096;

/** Sizes have no part in it: small maps, so that both sides have them at once. */
export function shrink(spec: MapSpec): MapSpec {
  const { type, maxEntries, inner } = spec;
  const entries =
    type === 'RINGBUF'
      ? PAGE_BYTES
      : Math.min(Math.max(maxEntries, type === 'PERF_EVENT_ARRAY' ? 1 : 0), MAX_ENTRIES);
  return { ...spec, maxEntries: entries, ...(inner === undefined ? {} : { inner: shrink(inner) }) };
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
  const length = decodeProgram(balancerOf(object).code).length;
  // Each module anew: V8 keeps the code of one that it has seen.
  let nonce = 0;
  const ours = () => {
    const start = performance.now();
    const instructions = decodeProgram(balancerOf(loadObject(bytes)).code);
    checkStructure(instructions);
    const { wasm } = compileProgram(instructions, infos);
    new WebAssembly.Module(withNonce(wasm, nonce++));
    return performance.now() - start;
  };
  const kernels = () => {
    const start = performance.now();
    loadKernelProgram(balancerOf(object), kernelMaps, object.license, object.btf).close();
    return performance.now() - start;
  };
  return [
    {
      title: `load the balancer, ${length.toLocaleString('en-US')} instructions (ours: ELF, BTF, structure, JIT; the kernel’s: verifier, JIT)`,
      unit: 'ms',
      baseline: 'kernel, PROG_LOAD',
      aim: { of: 'median', most: 100, series: ['object file to machine code'] },
      series: await interleave({ 'object file to machine code': ours, 'kernel, PROG_LOAD': kernels }, rounds),
    },
  ];
}
