import { expect, it } from 'vitest';
import { decodeProgram } from '../../lb/bpf/isa/codec.js';
import { Machine } from '../../lb/bpf/machine/index.js';
import type { BpfMap } from '../../lb/bpf/maps/map.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import type { ObjectSpec } from '../../lb/bpf/object/spec.js';
import { type KernelMap, KernelMaps, loadKernelProgram } from '../../lb/sys/bpf.js';
import { missingRoot } from '../support/capabilities.js';
import { Coverage } from '../support/coverage.js';
import { onOneCpu } from '../support/one-cpu.js';

export interface CompanionRun {
  /** An XDP verdict, or a TC action as 32 unsigned bits. */
  readonly verdict: number;
  readonly frame: Uint8Array;
  /** skb->mark as the program left it. */
  readonly mark: number;
  /** Interface that the packet is to leave by; the kernel's test runs do not tell. */
  readonly ifindex?: number;
  /** struct bpf_tunnel_key that the packet was given; the kernel's test runs do not tell. */
  readonly tunnel?: { readonly key: Uint8Array; readonly flags: number };
}

/** One program of an object on one engine, with the object's maps. */
export interface CompanionBed {
  readonly maps: ReadonlyMap<string, BpfMap>;
  run(frame: Uint8Array, mark?: number): CompanionRun;
  close(): void;
}

export interface CompanionEngine {
  readonly name: 'interpreter' | 'jit' | 'kernel';
  /** Why it cannot run here. */
  readonly missing?: string;
  make(object: ObjectSpec, program: string): CompanionBed;
}

/** What the interpreter has executed of each program, in all beds of a test file. */
const covered = new Map<string, Coverage>();
function coverageOf(program: string): Coverage {
  const known = covered.get(program) ?? new Coverage();
  covered.set(program, known);
  return known;
}

/** To be called last in a test file: nearly every instruction that can be reached was executed by its cases. */
export function expectCoverage(object: ObjectSpec, program: string): void {
  it(`the cases reach 98 % of the instructions of ${program}`, () => {
    const spec = object.programs.find(({ name }) => name === program);
    if (spec === undefined) throw new Error(`no program ${program}`);
    const { executed, reachable, missed } = coverageOf(program).report(spec, decodeProgram(spec.code));
    expect(executed / reachable, JSON.stringify(missed)).toBeGreaterThanOrEqual(0.98);
  });
}

function machineBed(engine: 'interpreter' | 'jit', object: ObjectSpec, program: string): CompanionBed {
  const coverage = coverageOf(program);
  const steps = engine === 'interpreter' ? { onStep: coverage.onStep } : {};
  const machine = Machine.create(object, { engine, ...steps });
  const runnable = machine.program(program);
  return {
    maps: new Map(machine.maps.map((name) => [name, machine.map(name).map])),
    run(frame, mark = 0) {
      const fields = runnable.type === 'sched_cls' ? { mark } : {};
      const { returnValue, packet, fields: left, redirect, tunnel } = runnable.run(frame, { fields });
      return {
        verdict: returnValue >>> 0,
        frame: packet,
        mark: Number(left.mark ?? 0),
        ...(redirect === undefined ? {} : { ifindex: redirect.target }),
        ...(tunnel === undefined ? {} : { tunnel }),
      };
    },
    close: () => machine.close(),
  };
}

function kernelBed(object: ObjectSpec, name: string): CompanionBed {
  const maps = createMaps<KernelMap>(object, new KernelMaps());
  const spec = object.programs.find((each) => each.name === name);
  if (spec === undefined) throw new Error(`no program ${name}`);
  const program = loadKernelProgram(spec, [...maps.values()], object.license, object.btf);
  return {
    maps,
    run(frame, mark = 0) {
      const { verdict, packet, mark: left } = onOneCpu(() => program.testRun(frame, 1, mark));
      return { verdict, frame: packet, mark: left };
    },
    close() {
      program.close();
      for (const map of maps.values()) map.close();
    },
  };
}

/** Every engine that runs the programs. */
export const ENGINES: readonly CompanionEngine[] = [
  { name: 'interpreter', make: (object, program) => machineBed('interpreter', object, program) },
  { name: 'jit', make: (object, program) => machineBed('jit', object, program) },
  { name: 'kernel', ...(missingRoot === undefined ? {} : { missing: missingRoot }), make: kernelBed },
];

/** Title of a case that may have to be skipped. */
export const titleOf = (name: string, missing: string | undefined): string =>
  missing === undefined ? name : `${name} (skipped: ${missing})`;
