import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { BALANCER_PROGRAM, type BalancerOptions, objectBytes } from './balancer/object.js';
import { loadObject } from './bpf/object/load.js';
import type { ObjectSpec } from './bpf/object/spec.js';
import { liveMaps, programOf } from './datapath-program.js';
import type { ProgramStatus } from './inspector.js';
import { type KernelMap, KernelMaps, type KernelProgram, loadKernelProgram } from './sys/bpf.js';

/** An object file as it was read. */
export interface ReadObject {
  readonly spec: ObjectSpec;
  /** SHA-256 of the file, hexadecimal digits. */
  readonly sha256: string;
}

/** @param bytes undefined: the object that is shipped */
export function readObject(bytes: Uint8Array = objectBytes('balancer')): ReadObject {
  return { spec: loadObject(bytes), sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** A program that the kernel runs, with the maps that are its own: constants that differ from those before. */
export interface Loaded {
  readonly object: ReadObject;
  /** That it runs with. */
  readonly options: BalancerOptions;
  readonly program: KernelProgram;
  readonly constants: readonly KernelMap[];
  readonly status: Omit<ProgramStatus, 'runs' | 'runNs'>;
}

/**
 * Load a balancer's program over maps that are there.
 * @param spec the object with its options set
 * @throws DatapathError, BpfError with the kernel's log where it refuses the program
 */
export function load(
  object: ReadObject,
  options: BalancerOptions,
  spec: ObjectSpec,
  maps: ReadonlyMap<string, KernelMap>,
): Loaded {
  const start = performance.now();
  const { spec: entry } = programOf(spec);
  const host = new KernelMaps();
  const constants: KernelMap[] = [];
  try {
    const live = liveMaps(spec, maps, (own) => {
      const map = host.createMap(own);
      constants.push(map);
      return map;
    });
    const program = loadKernelProgram(entry, live, spec.license, spec.btf);
    const status = {
      name: BALANCER_PROGRAM,
      type: 'xdp',
      engine: 'kernel',
      instructions: entry.code.length / 8,
      codeBytes: fdNumber(program.fd, 'xlated_prog_len') ?? entry.code.length,
      loadedAtMs: Date.now(),
      loadUs: Math.round((performance.now() - start) * 1000),
      maps: spec.maps.map(({ name }) => name),
    } as const;
    return { object, options, program, constants, status };
  } catch (error) {
    closeAll(constants);
    throw error;
  }
}

export function unload({ program, constants }: Loaded): void {
  program.close();
  closeAll(constants);
}

export function closeAll(maps: Iterable<KernelMap>): void {
  for (const map of maps) map.close();
}

/** A number that the kernel tells of a descriptor; undefined where it does not. */
function fdNumber(fd: number, name: string): number | undefined {
  const found = new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
  return found === null ? undefined : Number(found[1]);
}

/** Number and memory of a map. */
export function infoOf({ fd }: KernelMap): { readonly id: number; readonly memoryBytes: number } {
  return { id: fdNumber(fd, 'map_id') ?? 0, memoryBytes: fdNumber(fd, 'memlock') ?? 0 };
}
