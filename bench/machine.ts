import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';

/** What figures were taken on: without it they mean nothing. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** The hypervisor's or the board's own name; undefined where the machine does not say. */
  readonly model: string | undefined;
  readonly kernel: string;
  /** Mitigations of the CPU's faults that the kernel has in force, by the fault: they slow the kernel's side. */
  readonly mitigations: Readonly<Record<string, string>>;
  readonly node: string;
  readonly v8: string;
  /** As git describes it: `-dirty` where the tree had changes. */
  readonly commit: string;
}

const FAULTS = ['spectre_v1', 'spectre_v2', 'spec_rstack_overflow', 'retbleed', 'meltdown'] as const;
const VULNERABILITIES = '/sys/devices/system/cpu/vulnerabilities';
const PRODUCT = '/sys/class/dmi/id/product_name';

function commitOf(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    // An installed package has no repository; the figures are still worth having.
    return 'no-commit';
  }
}

export function machineHere(): Machine {
  const mitigations = FAULTS.filter((fault) => existsSync(`${VULNERABILITIES}/${fault}`)).map((fault) => [
    fault,
    readFileSync(`${VULNERABILITIES}/${fault}`, 'utf8').trim(),
  ]);
  return {
    cpu: /model name\s*:\s*(.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? process.arch,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    model: existsSync(PRODUCT) ? readFileSync(PRODUCT, 'utf8').trim() : undefined,
    kernel: execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim(),
    mitigations: Object.fromEntries(mitigations),
    node: process.versions.node,
    v8: process.versions.v8,
    commit: commitOf(),
  };
}

/** In two lines. */
export function formatMachine({ cpu, cores, memoryBytes, model, kernel, node, v8, commit }: Machine): string {
  const memory = `${(memoryBytes / 2 ** 30).toFixed(0)} GiB`;
  const where = model === undefined ? '' : `, ${model}`;
  return `${cores} cores of ${cpu}, ${memory}${where}\nNode ${node}, V8 ${v8}, Linux ${kernel}, commit ${commit}`;
}

/** Memory that can be had without taking it from anybody, bytes (MemAvailable). */
export function availableMemoryBytes(): number {
  const kib = /^MemAvailable:\s*(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  return Number(kib ?? 0) * 1024;
}
