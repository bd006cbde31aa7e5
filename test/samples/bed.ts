import { readFileSync } from 'node:fs';
import { Machine } from '../../lb/bpf/machine/machine.js';
import type { BpfMap, MapHost, MapSpec } from '../../lb/bpf/maps/map.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import type { ObjectSpec, ProgramSpec } from '../../lb/bpf/object/spec.js';
import type { EngineName } from '../../lb/bpf/sandbox.js';
import {
  BpfError,
  type KernelMap,
  KernelMaps,
  type KernelProgram,
  loadKernelProgram,
  possibleCpus,
} from '../../lb/sys/bpf.js';
import { onOneCpu } from '../support/one-cpu.js';
import { concat, hex } from '../support/packets.js';

/** What is in the maps before a program runs. */
export interface Preparation {
  /** Entries of maps. */
  readonly prepare?: (maps: (name: string) => BpfMap, host: MapHost) => void;
  /** Programs in slots of PROG_ARRAYs, beside those that the object puts there: map → index → program. */
  readonly slots?: Readonly<Record<string, Readonly<Record<number, string>>>>;
}

/** What a program made of packets one after another. */
export interface Outcome {
  readonly verdicts: readonly number[];
  /** Metadata and packet as each run left them. */
  readonly packets: readonly string[];
  /** Content of the maps after the last run, by name; absent where it cannot be compared. */
  readonly maps: Record<string, readonly string[]>;
}

/** Bytes of an object that the Makefile builds: `acl`, `acl.O1`. */
export function sampleObject(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`build/${name}.bpf.o`, import.meta.url)));
}

const NO_KEY = new Uint8Array(0);
const u32Key = (key: number): Uint8Array => new Uint8Array(Uint32Array.of(key).buffer);
const ENTRIES: ReadonlySet<string> = new Set(['ARRAY', 'HASH', 'LRU_HASH', 'LPM_TRIE']);

/** Copies of the CPUs added up, 8 bytes at a time: the kernel's runs were on any one of them. */
function summed(value: Uint8Array, cpus: number): Uint8Array {
  const words = new BigUint64Array(value.slice().buffer);
  const stride = words.length / cpus;
  const sums = new BigUint64Array(stride);
  for (const [index, word] of words.entries()) sums[index % stride]! += word;
  return new Uint8Array(sums.buffer);
}

/** Content of a map as text, or undefined where it is not for the control plane to read. Queues are empty afterwards. */
function contentOf(map: BpfMap): readonly string[] | undefined {
  const { type } = map.spec;
  const entries: string[] = [];
  if (type === 'QUEUE' || type === 'STACK') {
    for (let value = map.lookupAndDelete(NO_KEY); value !== undefined; value = map.lookupAndDelete(NO_KEY))
      entries.push(hex(value));
    return entries;
  }
  const isPerCpu = type.includes('PERCPU');
  if (!ENTRIES.has(type) && !isPerCpu) return undefined;
  map.forEach((key, value) => {
    const shown = isPerCpu ? summed(value, map.cpus) : value;
    // Arrays are long, and mostly zero.
    if (!type.endsWith('ARRAY') || shown.some((byte) => byte !== 0))
      entries.push(`${hex(key)}=${hex(shown)}`);
  });
  return entries.sort();
}

function contents(maps: Iterable<BpfMap>): Record<string, readonly string[]> {
  const found: Record<string, readonly string[]> = {};
  for (const map of maps) {
    const content = contentOf(map);
    if (content !== undefined) found[map.spec.name] = content;
  }
  return found;
}

/** Run one program of an object over packets, in a machine of its own. */
export function runOnMachine(
  object: ObjectSpec,
  program: string,
  engine: EngineName,
  packets: readonly Uint8Array[],
  { prepare, slots = {} }: Preparation = {},
): Outcome {
  using machine = Machine.create(object, { engine });
  const runnable = machine.program(program);
  prepare?.((name) => machine.map(name).map, machine.host);
  for (const [map, programs] of Object.entries(slots))
    for (const [index, name] of Object.entries(programs)) machine.map(map).set(Number(index), name);
  const runs = packets.map((packet) => runnable.run(packet));
  return {
    verdicts: runs.map(({ returnValue }) => returnValue),
    packets: runs.map(({ metadata, packet }) => hex(concat(metadata, packet))),
    maps: contents(machine.maps.map((name) => machine.map(name).map)),
  };
}

/** As Machine does it, which follows libbpf: a perf array of no size has a slot for each CPU. */
function sized(spec: MapSpec): MapSpec {
  const isUnsized = spec.type === 'PERF_EVENT_ARRAY' && spec.maxEntries === 0;
  return isUnsized ? { ...spec, maxEntries: possibleCpus() } : spec;
}

/**
 * The same in the kernel.
 * @throws BpfError BPF_REFUSED where its verifier refuses the program, or one that is in a slot
 */
export function runInKernel(
  object: ObjectSpec,
  program: string,
  packets: readonly Uint8Array[],
  { prepare, slots = {} }: Preparation = {},
): Outcome {
  const host = new KernelMaps();
  const byName = createMaps<KernelMap>(object, host, sized);
  const maps = [...byName.values()];
  const opened: { close(): void }[] = [...maps];
  const mapOf = (name: string): KernelMap => byName.get(name) ?? fail(`no map ${name}`);
  const load = (spec: ProgramSpec): KernelProgram => {
    const loaded = loadProgram(spec, maps, object);
    opened.push(loaded);
    return loaded;
  };
  try {
    prepare?.(mapOf, {
      createMap(spec) {
        const map = host.createMap(spec);
        opened.push(map);
        return map;
      },
    });
    const loaded = load(programOf(object, program));
    const filled = [
      ...object.maps.flatMap(({ name, programs = [] }) => programs.map((slot) => ({ map: name, ...slot }))),
      ...Object.entries(slots).flatMap(([map, programs]) =>
        Object.entries(programs).map(([index, name]) => ({ map, index: Number(index), program: name })),
      ),
    ];
    for (const slot of filled) {
      const status = mapOf(slot.map).update(
        u32Key(slot.index),
        u32Key(load(programOf(object, slot.program)).fd),
      );
      if (status !== 0) fail(`slot ${slot.index} of ${slot.map}: errno ${-status}`);
    }
    const runs = onOneCpu(() => packets.map((packet) => loaded.testRun(packet)));
    const isSigned = programOf(object, program).type === 'sched_cls';
    return {
      verdicts: runs.map(({ verdict }) => (isSigned ? verdict | 0 : verdict)),
      packets: runs.map(({ packet }) => hex(packet)),
      maps: contents(maps),
    };
  } finally {
    for (const each of opened) each.close();
  }
}

/** The kernel does without types that it does not take (-O0 leaves arguments without names), as with libbpf. */
function loadProgram(
  spec: ProgramSpec,
  maps: readonly KernelMap[],
  { license, btf }: ObjectSpec,
): KernelProgram {
  try {
    return loadKernelProgram(spec, maps, license, btf);
  } catch (error) {
    if (!(error instanceof BpfError) || error.code !== 'BPF_CALL') throw error;
    return loadKernelProgram(spec, maps, license);
  }
}

function programOf(object: ObjectSpec, name: string): ProgramSpec {
  return object.programs.find((spec) => spec.name === name) ?? fail(`no program ${name}`);
}

function fail(message: string): never {
  throw new Error(message);
}
