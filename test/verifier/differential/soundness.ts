import { MachineError } from '../../../lb/bpf/machine/fault.js';
import { Machine } from '../../../lb/bpf/machine/machine.js';
import type { ArenaMap } from '../../../lb/bpf/maps/registry.js';
import type { Random } from '../../conformance/generate.js';
import type { Candidate } from './scene.js';
import { LongRun, UnsafeError, Watch } from './watch.js';

const MAX_ENTRIES = 1024;
const FEW_KEYS = 8;
const PACKET_LENGTHS = [14, 15, 20, 33, 34, 60, 64, 100, 300, 1500] as const;
/** Types whose content is plain bytes. */
const PLAIN = /^(PERCPU_)?(ARRAY|HASH)$|^LRU_(PERCPU_)?HASH$/;

/**
 * Run an accepted program on packets and maps of random content, each instruction watched.
 * @returns what it did that no proved program does; undefined where it did nothing of the kind
 */
export function findUnsafe(candidate: Candidate, random: Random, runs: number): string | undefined {
  const { scene, type, code, functions } = candidate;
  let machine: Machine | undefined;
  const watch = new Watch(
    () => machine!.regions(machine!.program('p')),
    () => machine!.host.all,
  );
  const program = { name: 'p', section: type, type, code, functions, lines: [] };
  const maps = scene.maps.map((map) => ({
    ...map,
    ...(map.type !== 'RINGBUF' && { maxEntries: Math.min(map.maxEntries, MAX_ENTRIES) }),
  }));
  machine = Machine.create(
    {
      license: scene.license,
      programs: [program],
      maps,
      globals: [],
      ...(scene.btf !== undefined && { btf: scene.btf }),
    },
    { engine: 'interpreter', verify: false, onStep: watch.step },
  );
  try {
    for (let left = runs; left > 0; left--) {
      for (const map of machine.host.all) fill(map, random);
      watch.start();
      const packet = Uint8Array.from({ length: random.pick(PACKET_LENGTHS) }, () => byte(random));
      machine.program('p').run(packet);
    }
    return undefined;
  } catch (error) {
    if (error instanceof LongRun || isNotOffered(error)) return undefined;
    if (error instanceof UnsafeError) return error.message;
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } finally {
    machine.close();
  }
}

/** What the verifier knows of, as the kernel's programs have it, and programs here cannot have. */
const isNotOffered = (error: unknown) =>
  error instanceof MachineError && error.fault.code === 'MACHINE_LOAD' && /not offered/.test(error.message);

/** Small numbers and extremes more often than others. */
function byte(random: Random): number {
  return random.pick([() => random.below(256), () => 0, () => 0xff, () => random.below(16)])();
}

/** Random values; the hashes get a few of the lowest keys. */
function fill(map: ArenaMap, random: Random): void {
  const { spec } = map;
  if (!PLAIN.test(spec.type) || spec.frozen === true) return;
  for (let index = 0; index < Math.min(spec.maxEntries, FEW_KEYS); index++) {
    const key = new Uint8Array(spec.keySize);
    if (spec.keySize > 0) key[0] = index;
    if (!spec.type.endsWith('ARRAY') && random.below(2) === 0) map.delete(key);
    else
      map.update(
        key,
        Uint8Array.from({ length: map.valueBytes }, () => byte(random)),
      );
  }
}
