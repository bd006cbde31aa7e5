/** The balancer's maps without a program, in the arena and in the kernel, for tests of what is written to them. */
import { afterEach, beforeEach, describe, it } from 'vitest';
import { balancerObject } from '../../lb/balancer/object.js';
import { withOptions } from '../../lb/balancer/options.js';
import { RING_SIZE, U32 } from '../../lb/balancer/schema.js';
import { sizedObject } from '../../lb/balancer/sizes.js';
import { encode } from '../../lb/balancer/structs.js';
import { BalancerTables, TablesError } from '../../lb/balancer/tables.js';
import type { BpfMap, MapHost } from '../../lb/bpf/maps/map.js';
import { ArenaMaps, mapBytes } from '../../lb/bpf/maps/registry.js';
import { Arena } from '../../lb/bpf/memory/arena.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import { KernelMaps } from '../../lb/sys/bpf.js';
import { missingRoot } from './capabilities.js';

/** Few rings: all of them would take 256 MiB of the kernel. */
export const TABLES_RINGS = 3;
const SPARE_BYTES = 8 * 2 ** 20;
/** Workers of the arena; its maps have one CPU more, for the control plane. */
const WORKERS = 2;
/** What every option needs is there. */
const ALL_OPTIONS = {
  tcpServerIds: true,
  udpFlowMigration: true,
  sourceRouting: true,
  prefixVips: true,
  globalLru: true,
  ipipDecap: true,
  eventsEnabled: true,
} as const;
const object = sizedObject(withOptions(balancerObject(), ALL_OPTIONS), {
  ch_rings: TABLES_RINGS * RING_SIZE,
  server_id_map: 64,
  lpm_src_v4: 64,
  lpm_src_v6: 64,
  fallback_glru: 64,
  events: 4096,
});

const HOSTS: readonly { readonly name: string; readonly missing?: string; readonly make: () => MapHost }[] = [
  {
    name: 'arena',
    make: () => {
      const mapsBytes = object.maps.reduce((sum, spec) => sum + mapBytes(spec, WORKERS + 1), SPARE_BYTES);
      return new ArenaMaps(Arena.create({ workers: WORKERS, mapsBytes, ringsBytes: 0 }));
    },
  },
  {
    name: 'kernel',
    ...(missingRoot === undefined ? {} : { missing: missingRoot }),
    make: () => new KernelMaps(),
  },
];

/** Fresh maps for each test. */
export interface TablesBed {
  readonly host: MapHost;
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly tables: BalancerTables;
  /** A value in hexadecimal digits, or undefined where there is none. */
  read(map: string, key: Uint8Array): string | undefined;
  /** Give every CPU's copy of a row the same bytes. */
  fill(map: string, index: number, copy: Uint8Array): void;
}

export const u32 = (value: number): Uint8Array => encode(U32, { value });
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function makeBed(host: MapHost, maps: Map<string, BpfMap>): TablesBed {
  const mapOf = (name: string): BpfMap => {
    const map = maps.get(name);
    if (map === undefined) throw new Error(`no map ${name}`);
    return map;
  };
  return {
    host,
    maps,
    tables: new BalancerTables(maps, { host }),
    read(name, key) {
      const value = mapOf(name).lookup(key);
      return value === undefined ? undefined : hex(value);
    },
    fill(name, index, copy) {
      const map = mapOf(name);
      const copies = new Uint8Array(map.valueBytes);
      for (let cpu = 0; cpu < map.cpus; cpu++) copies.set(copy, (cpu * copies.length) / map.cpus);
      const status = map.update(u32(index), copies);
      if (status !== 0) throw new Error(`${name}: ${status}`);
    },
  };
}

/** Run tests over maps of the arena and of the kernel; `bed` is a test's own. */
export function describeTables(
  subject: string,
  tests: (test: (rule: string, run: (bed: TablesBed) => void) => void) => void,
): void {
  describe.each(HOSTS)(`${subject}, maps of the $name`, ({ missing, make }) => {
    let bed: TablesBed | undefined;
    beforeEach(() => {
      if (missing !== undefined) return;
      const host = make();
      bed = makeBed(host, createMaps(object, host));
    });
    afterEach(() => {
      bed?.tables.close();
      for (const map of bed?.maps.values() ?? []) map.close();
      bed = undefined;
    });
    tests((rule, run) => {
      it.skipIf(missing !== undefined)(missing === undefined ? rule : `${rule} (skipped: ${missing})`, () => {
        if (bed !== undefined) run(bed);
      });
    });
  });
}

/** What a TablesError says, or undefined where nothing was thrown. */
export function tablesFault(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    if (error instanceof TablesError) return error.fault;
    throw error;
  }
  return undefined;
}
