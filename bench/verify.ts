import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { objectBytes } from '../lb/balancer/object.js';
import {
  type BalancerOptions,
  OPTION_CONSTANTS,
  OPTION_NAMES,
  optionOf,
  withOptions,
} from '../lb/balancer/options.js';
import { createMaps } from '../lb/bpf/object/create-maps.js';
import { loadObject } from '../lb/bpf/object/load.js';
import type { ObjectSpec, ProgramSpec } from '../lb/bpf/object/spec.js';
import { verifyOptionsOf } from '../lb/bpf/verifier/admit.js';
import { verifyCode } from '../lb/bpf/verifier/verify-code.js';
import { KernelMaps, possibleCpus } from '../lb/sys/bpf.js';
import { BpfAttr, bpfCall } from '../lb/sys/bpf-call.js';
import { KernelTypes } from '../lb/sys/bpf-types.js';
import { closeFd } from '../lb/sys/syscall.js';
import { shrink } from './load.js';
import { type Comparison, interleave, type Plan, type Series } from './report.js';

const KERNEL = 'kernel, bpf_check';
const OURS = 'ours';
const TYPES: Readonly<Record<string, number>> = { xdp: 6, sched_cls: 3 };
const ATTACH_XDP = 37;
const LD_IMM64 = 0x18;
const SLOT_BYTES = 8;
/** log_level BPF_LOG_STATS: numbers at the end, and no log of the way there. */
const STATISTICS = 4;
const LOG_BYTES = 4096;
const NS_PER_MS = 1e6;
const NS_PER_US = 1e3;
/** Objects of other shapes than the balancer's, where the repository is there. */
const FOLDERS = ['../test/samples/build/', '../../test/samples/build/'] as const;

/** What a verification took. */
interface Cost {
  readonly ns: number;
  /** Instructions walked. */
  readonly processed: number;
}

/** A program that both accept, with the maps that it names in the kernel. */
interface Subject {
  readonly ours: () => Cost;
  readonly kernel: () => Cost | undefined;
  readonly close: () => void;
}

/** How long it takes to prove a program, and what one instruction of it costs, beside the kernel's verifier. */
export async function benchVerify({ rounds, isQuick }: Plan): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const [title, options] of Object.entries(isQuick ? AS_SHIPPED : variants())) {
    const object = withOptions(loadObject(objectBytes('balancer')), options);
    const [balancer] = object.programs;
    if (balancer === undefined) throw new Error('the balancer’s object has no program');
    const subject = subjectOf(object, balancer);
    try {
      comparisons.push(...(await compare(title, balancer.code.length / SLOT_BYTES, [subject], rounds)));
    } finally {
      subject.close();
    }
  }
  const others = isQuick ? [] : otherSubjects();
  if (others.length > 0)
    comparisons.push(
      ...(await compare(`${others.length} programs of other objects`, undefined, others, rounds)),
    );
  for (const { close } of others) close();
  return comparisons;
}

const AS_SHIPPED: Readonly<Record<string, BalancerOptions>> = { 'the balancer': {} };

/** The balancer without any option, as it is shipped, with each option turned over, and with all of them at once. */
function variants(): Readonly<Record<string, BalancerOptions>> {
  const object = loadObject(objectBytes('balancer'));
  const switches = OPTION_NAMES.filter((option) =>
    object.globals.some(({ name, bytes }) => name === OPTION_CONSTANTS[option] && bytes === 1),
  );
  const toggled = switches.map((name) => {
    const isOn = optionOf(object, name) !== 0;
    return [`the balancer ${isOn ? 'without' : 'with'} ${name}`, { [name]: !isOn }] as const;
  });
  const all = (isOn: boolean): BalancerOptions => Object.fromEntries(switches.map((name) => [name, isOn]));
  return {
    'the balancer, options off': all(false),
    ...AS_SHIPPED,
    ...Object.fromEntries(toggled),
    // What `simulate` rules out is to be proved as well.
    'the balancer, options on': { ...all(true), simulate: false, dropSampleRate: 100 },
  };
}

/** Two tables: the time of all, and of one instruction. */
async function compare(
  title: string,
  slots: number | undefined,
  subjects: readonly Subject[],
  rounds: number,
): Promise<Comparison[]> {
  const sum = (costs: readonly (Cost | undefined)[]): Cost => ({
    ns: costs.reduce((total, cost) => total + (cost?.ns ?? 0), 0),
    processed: costs.reduce((total, cost) => total + (cost?.processed ?? 0), 0),
  });
  const ours = () => sum(subjects.map((subject) => subject.ours()));
  const kernel = () => sum(subjects.map((subject) => subject.kernel()));
  const { processed } = ours();
  const kernels = kernel().processed;
  // The JIT of JavaScript has seen the verifier before it is timed, as it has in a process that runs.
  ours();
  const series = await interleave({ [OURS]: () => ours().ns, [KERNEL]: () => kernel().ns }, rounds);
  const walked =
    processed === kernels
      ? `${count(processed)} walked`
      : `${count(processed)} walked, the kernel ${count(kernels)}`;
  const size = slots === undefined ? '' : `${count(slots)} instructions, `;
  const scaled = (divisor: Readonly<Record<string, number>>): Series[] =>
    series.map(({ name, rounds: values }) => ({ name, rounds: values.map((ns) => ns / divisor[name]!) }));
  return [
    {
      title: `verify ${title} (${size}${walked})`,
      unit: 'ms',
      baseline: KERNEL,
      ...(slots !== undefined && { aim: { of: 'median', most: 200, series: [OURS] } }),
      series: scaled({ [OURS]: NS_PER_MS, [KERNEL]: NS_PER_MS }),
    },
    {
      title: `verify ${title}: an instruction walked`,
      unit: 'ns',
      baseline: KERNEL,
      series: scaled({ [OURS]: processed, [KERNEL]: kernels }),
    },
  ];
}

const count = (value: number) => value.toLocaleString('en-US');

/** XDP and TC programs that both verifiers accept. */
function otherSubjects(): Subject[] {
  const folder = FOLDERS.map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url));
  const files =
    folder === undefined
      ? []
      : readdirSync(folder)
          .filter((name) => name.endsWith('.o'))
          .sort();
  const found: Subject[] = [];
  for (const file of files) {
    let object: ObjectSpec;
    try {
      object = loadObject(new Uint8Array(readFileSync(new URL(file, folder))));
    } catch {
      // Objects that are to be refused are there too.
      continue;
    }
    for (const program of object.programs) {
      const subject = accepted(object, program);
      if (subject !== undefined) found.push(subject);
    }
  }
  return found;
}

function accepted(object: ObjectSpec, program: ProgramSpec): Subject | undefined {
  if (TYPES[program.type] === undefined || program.poisoned !== undefined) return undefined;
  if (!verifyCode(program.code, verifyOptionsOf(program, object)).accepted) return undefined;
  let subject: Subject | undefined;
  try {
    subject = subjectOf(object, program);
    if (subject.kernel() !== undefined) return subject;
  } catch {
    // A map that this kernel does not make: nothing to compare with.
  }
  subject?.close();
  return undefined;
}

function subjectOf(object: Omit<ObjectSpec, 'btf'> & Pick<ObjectSpec, 'btf'>, program: ProgramSpec): Subject {
  const options = { ...verifyOptionsOf(program, object), cpus: possibleCpus() };
  const maps = [...createMaps(object, new KernelMaps(), shrink).values()];
  const types = object.btf === undefined ? undefined : new KernelTypes(object.btf);
  const code = withDescriptors(
    program.code,
    maps.map(({ fd }) => fd),
  );
  return {
    ours: () => {
      const start = process.hrtime.bigint();
      const { accepted: isAccepted, processed } = verifyCode(program.code, options);
      const ns = Number(process.hrtime.bigint() - start);
      if (!isAccepted) throw new Error(`program ${program.name} is refused`);
      return { ns, processed };
    },
    kernel: () => kernelCost(program, code, types, object.license),
    close: () => {
      types?.close();
      for (const map of maps) map.close();
    },
  };
}

/** As the kernel takes it of itself; undefined where it refuses the program. */
function kernelCost(
  program: ProgramSpec,
  code: Uint8Array,
  types: KernelTypes | undefined,
  license: string,
): Cost | undefined {
  const log = new Uint8Array(LOG_BYTES);
  const attr = new BpfAttr(128)
    .u32(0, TYPES[program.type]!)
    .u32(4, code.length / SLOT_BYTES)
    .pointer(8, code)
    .pointer(16, new TextEncoder().encode(`${license}\0`))
    .u32(24, STATISTICS)
    .u32(28, log.length)
    .pointer(32, log)
    .u32(68, program.type === 'xdp' ? ATTACH_XDP : 0);
  types?.describe(attr, program);
  const fd = bpfCall('PROG_LOAD', attr);
  if (fd < 0) return undefined;
  closeFd(fd);
  const text = new TextDecoder().decode(log.subarray(0, log.indexOf(0)));
  const us = /verification time (\d+) usec/.exec(text)?.[1];
  const processed = /processed (\d+) insns/.exec(text)?.[1];
  if (us === undefined || processed === undefined) throw new Error(`the kernel says no numbers: ${text}`);
  return { ns: Number(us) * NS_PER_US, processed: Number(processed) };
}

/** The code with file descriptors where it has indices of maps. */
function withDescriptors(code: Uint8Array, descriptors: readonly number[]): Uint8Array {
  const bytes = Uint8Array.from(code);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
    if (view.getUint8(at) !== LD_IMM64) continue;
    const source = view.getUint8(at + 1) >> 4;
    const descriptor = descriptors[view.getInt32(at + 4, true)];
    if ((source === 1 || source === 2) && descriptor !== undefined) view.setInt32(at + 4, descriptor, true);
    at += SLOT_BYTES;
  }
  return bytes;
}
