import { encodeProgram } from '../lb/bpf/isa/codec.js';
import type { Instruction, Operand } from '../lb/bpf/isa/instruction.js';
import { compileProgram } from '../lb/bpf/jit/compile.js';
import type { MapSpec } from '../lb/bpf/maps/map.js';
import { ArenaMaps, mapBytes } from '../lb/bpf/maps/registry.js';
import { Arena } from '../lb/bpf/memory/arena.js';
import type { ProgramSpec } from '../lb/bpf/object/spec.js';
import { admitProgram } from '../lb/bpf/verifier/admit.js';
import { KernelMaps, loadKernelProgram } from '../lb/sys/bpf.js';
import { withNonce } from './jit.js';
import { type Comparison, interleave, type Plan, type Series } from './report.js';

const SIZES = [100, 1000, 10_000, 100_000] as const;
/** In a quick run. */
const QUICK_MOST = 10_000;
/** From here on a round takes seconds. */
const LARGE = 100_000;
const LARGE_ROUNDS = 3;
const WARM_UP_MS = 500;
const KERNEL = 'kernel, PROG_LOAD';
const STEPS = ['verified', 'verified, in WebAssembly', 'verified, in machine code'] as const;
const LICENSE = 'GPL';
const PACKET_BYTES = 64;

const MAP: MapSpec = {
  name: 'numbers',
  type: 'ARRAY',
  keySize: 4,
  valueSize: 4,
  maxEntries: 4,
  flags: 0,
};

const reg = (r: number): Operand => ({ kind: 'reg', reg: r });
const imm = (value: number): Operand => ({ kind: 'imm', value });

/** An instruction without its place. */
type Placeless = Instruction extends infer Each
  ? Each extends Instruction
    ? Omit<Each, 'slot'>
    : never
  : never;

/** Slots of a unit, as `unit` writes it. */
const UNIT_SLOTS = 16;

/** A byte of the packet is worked into r7, and with it an element of the map: as a program of tables does. */
function unit(number: number, slot: number): Placeless[] {
  const alu = (op: 'mov' | 'add' | 'mul' | 'xor' | 'and' | 'rsh', dst: number, src: Operand): Placeless => ({
    kind: 'alu',
    op,
    width: 64,
    dst,
    src,
  });
  return [
    { kind: 'load', bytes: 1, signed: false, dst: 1, src: 6, off: number % PACKET_BYTES },
    alu('add', 7, reg(1)),
    alu('mul', 7, imm(0x10001 + 2 * number)),
    alu('xor', 7, imm(number)),
    alu('mov', 2, reg(7)),
    alu('and', 2, imm(MAP.maxEntries - 1)),
    { kind: 'store', bytes: 4, dst: 10, off: -4, src: reg(2) },
    { kind: 'imm64', dst: 1, imm: { kind: 'map', map: 0 } },
    alu('mov', 2, reg(10)),
    alu('add', 2, imm(-4)),
    { kind: 'call-helper', id: 1 },
    { kind: 'branch', op: 'jeq', width: 64, dst: 0, src: imm(0), target: slot + 15 },
    { kind: 'load', bytes: 4, signed: false, dst: 1, src: 0, off: 0 },
    alu('add', 7, reg(1)),
    alu('rsh', 7, imm(1)),
  ];
}

const slotsOf = (instruction: Placeless): number => (instruction.kind === 'imm64' ? 2 : 1);

/** A program of about that many instructions: one check of the packet's length, and units one after the other. */
export function programOf(size: number): ProgramSpec {
  const units = Math.max(1, Math.round((size - 10) / UNIT_SLOTS));
  const instructions: Instruction[] = [];
  let slot = 0;
  const add = (...list: readonly Placeless[]) => {
    for (const each of list) {
      instructions.push({ ...each, slot });
      slot += slotsOf(each);
    }
  };
  add(
    { kind: 'load', bytes: 4, signed: false, dst: 6, src: 1, off: 0 },
    { kind: 'load', bytes: 4, signed: false, dst: 3, src: 1, off: 4 },
    { kind: 'alu', op: 'mov', width: 64, dst: 7, src: imm(0) },
    { kind: 'alu', op: 'mov', width: 64, dst: 2, src: reg(6) },
    { kind: 'alu', op: 'add', width: 64, dst: 2, src: imm(PACKET_BYTES) },
    // Out of reach of a branch from a large program's start: past the end that is here.
    { kind: 'branch', op: 'jle', width: 64, dst: 2, src: reg(3), target: 8 },
    { kind: 'alu', op: 'mov', width: 64, dst: 0, src: imm(1) },
    { kind: 'exit' },
  );
  for (let number = 0; number < units; number++) add(...unit(number, slot));
  add(
    { kind: 'alu', op: 'mov', width: 64, dst: 0, src: reg(7) },
    { kind: 'alu', op: 'and', width: 64, dst: 0, src: imm(1) },
    { kind: 'alu', op: 'add', width: 64, dst: 0, src: imm(1) },
    { kind: 'exit' },
  );
  return {
    name: 'units',
    section: 'xdp',
    type: 'xdp',
    code: encodeProgram(instructions),
    functions: [{ name: 'units', start: 0 }],
    lines: [],
  };
}

const ms = (run: () => unknown): number => {
  const start = performance.now();
  run();
  return performance.now() - start;
};

/**
 * How long programs take from their instructions to code that runs, from 100 instructions to 100,000: verified, compiled
 * to WebAssembly, and that to machine code; and the kernel's load, which is its verifier and its JIT. The last row tells
 * whether the time grows with the size alone.
 */
export async function benchSizes({ rounds, isQuick }: Plan): Promise<Comparison[]> {
  const arena = Arena.create({ workers: 1, mapsBytes: mapBytes(MAP, 2), ringsBytes: 0 });
  const infos = [new ArenaMaps(arena).createMap(MAP).info];
  const kernelMap = new KernelMaps().createMap(MAP);
  let nonce = 0;
  const comparisons: Comparison[] = [];
  const perInstruction: Series[] = [];
  try {
    for (const size of SIZES.filter((each) => !isQuick || each <= QUICK_MOST)) {
      const program = programOf(size);
      const object = { maps: [MAP], license: LICENSE };
      const steps: Readonly<Record<(typeof STEPS)[number], number[]>> = {
        verified: [],
        'verified, in WebAssembly': [],
        'verified, in machine code': [],
      };
      const ours = () => {
        const start = performance.now();
        const instructions = admitProgram(program, object, { type: 'xdp', maps: [MAP] });
        steps.verified.push(performance.now() - start);
        const { wasm } = compileProgram(instructions, infos);
        steps['verified, in WebAssembly'].push(performance.now() - start);
        new WebAssembly.Module(withNonce(wasm, nonce++));
        const all = performance.now() - start;
        steps['verified, in machine code'].push(all);
        return all;
      };
      const kernels = () => ms(() => loadKernelProgram(program, [kernelMap], LICENSE).close());
      const some = size >= LARGE ? Math.min(rounds, LARGE_ROUNDS) : rounds;
      // Warm: the JIT of JavaScript has seen the verifier and the compiler do some work.
      const cold = performance.now();
      do ours();
      while (performance.now() - cold < WARM_UP_MS);
      for (const name of STEPS) steps[name].length = 0;
      const [kernel] = await interleave({ [KERNEL]: kernels, ours }, some);
      const series = STEPS.map((name) => ({ name, rounds: steps[name] }));
      const instructions = program.code.length / 8;
      comparisons.push({
        title: `A program of ${instructions.toLocaleString('en-US')} instructions, from its bytes`,
        unit: 'ms',
        baseline: KERNEL,
        series: [...(kernel ? [kernel] : []), ...series],
      });
      for (const { name, rounds: values } of [...(kernel ? [kernel] : []), ...series.slice(-1)]) {
        const each = values.map((value) => (value * 1e6) / instructions);
        perInstruction.push({ name: `${size.toLocaleString('en-US')}: ${name}`, rounds: each });
      }
    }
  } finally {
    kernelMap.close();
  }
  return [
    ...comparisons,
    {
      title: 'The same by the instruction: linear is the same for all sizes',
      unit: 'ns an instruction',
      baseline: perInstruction.at(-1)?.name ?? '',
      series: perInstruction,
    },
  ];
}
