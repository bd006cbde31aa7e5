import { describe, expect, it } from 'vitest';
import { DecapTables } from '../../lb/balancer/companions/decap.js';
import { COMPANION_PROGRAMS, decapProgramObject, rootObject } from '../../lb/balancer/companions/object.js';
import { ROOT_MAP, ROOT_SLOTS } from '../../lb/balancer/companions/schema.js';
import { BALANCER_PROGRAM, balancerObject } from '../../lb/balancer/object.js';
import { RING_SIZE } from '../../lb/balancer/schema.js';
import { BalancerTables } from '../../lb/balancer/tables.js';
import { PacketContext } from '../../lb/bpf/context/packet.js';
import { type Executable, XDP_PASS, XDP_TX } from '../../lb/bpf/engine/context.js';
import { LoadedProgram } from '../../lb/bpf/machine/loaded.js';
import type { BpfMap, MapSpec } from '../../lb/bpf/maps/map.js';
import { ArenaMaps, mapBytes } from '../../lb/bpf/maps/registry.js';
import { instantiateRuntime } from '../../lb/bpf/maps/runtime.js';
import { Arena } from '../../lb/bpf/memory/arena.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import type { ObjectSpec } from '../../lb/bpf/object/spec.js';
import { parseIp, parseMac } from '../../lb/net/address.js';
import { KernelMaps, type KernelProgram, loadKernelProgram } from '../../lb/sys/bpf.js';
import { missingRoot } from '../support/capabilities.js';
import { frameOf, hex, ipv4, mac, PROTOCOL, TCP_FLAGS, tcpFrame } from '../support/packets.js';
import { encapsulated } from '../support/packets-encap.js';
import { titleOf } from './bed.js';

const ROUTER_MAC = '00:00:de:ad:be:af';
const REAL = '10.0.0.1';
const OWN = '10.0.0.7';
const flow = { src: '203.0.113.77', dst: '198.51.100.10', sport: 40000, dport: 80 };
/** Small as tests want it: the object's own rings take 128 MiB. */
const small = (map: MapSpec): MapSpec => (map.name === 'ch_rings' ? { ...map, maxEntries: RING_SIZE } : map);

/** Three objects side by side, each with its own maps: what hands packets on, the balancer, and decapsulation. */
const OBJECTS = {
  root: { object: rootObject(), program: COMPANION_PROGRAMS.root },
  balancer: { object: balancerObject(), program: BALANCER_PROGRAM },
  decap: { object: decapProgramObject(), program: COMPANION_PROGRAMS.decap },
} as const;
type Name = keyof typeof OBJECTS;
const NAMES = Object.keys(OBJECTS) as readonly Name[];
type MapsByName = Readonly<Record<Name, ReadonlyMap<string, BpfMap>>>;

interface Bed {
  readonly maps: MapsByName;
  /** What a slot of root_array holds for a program. */
  numberOf(name: Name): number;
  run(frame: Uint8Array): { readonly verdict: number; readonly frame: Uint8Array };
  close(): void;
}

const specOf = (object: ObjectSpec, program: string) => {
  const spec = object.programs.find(({ name }) => name === program);
  if (spec === undefined) throw new Error(`no program ${program}`);
  return spec;
};
const byName = <T>(make: (name: Name) => T): Record<Name, T> =>
  Object.fromEntries(NAMES.map((name) => [name, make(name)])) as Record<Name, T>;

function arenaBed(engine: 'interpreter' | 'jit'): Bed {
  const specs = NAMES.flatMap((name) => OBJECTS[name].object.maps.map(small));
  const mapsBytes = specs.reduce((sum, spec) => sum + mapBytes(spec, 2), 2 ** 24);
  const arena = Arena.create({ workers: 1, mapsBytes, ringsBytes: 65536 });
  const host = new ArenaMaps(arena);
  const runtime = instantiateRuntime(arena.memory, 0);
  const context = new PacketContext(arena, {
    cpu: 0,
    type: 'xdp',
    room: { offset: arena.rings.offset, bytes: 65536 },
  });
  const maps = byName((name) => createMaps(OBJECTS[name].object, host, small));
  const numbers = byName((name) => host.programs.allocate(name));
  const executables = byName((name): Executable => {
    const { object, program } = OBJECTS[name];
    const options = { object, type: 'xdp', engine, verify: true } as const;
    return new LoadedProgram(
      specOf(object, program),
      numbers[name],
      [...maps[name].values()],
      options,
    ).instantiate(runtime);
  });
  return {
    maps,
    numberOf: (name) => numbers[name],
    run(frame) {
      context.place(frame);
      return { verdict: executables.root.run(context.address) >>> 0, frame: context.packet() };
    },
    close() {
      for (const name of NAMES) for (const map of maps[name].values()) map.close();
    },
  };
}

function kernelBed(): Bed {
  const maps = byName((name) => createMaps(OBJECTS[name].object, new KernelMaps(), small));
  const programs = byName((name): KernelProgram => {
    const { object, program } = OBJECTS[name];
    return loadKernelProgram(specOf(object, program), [...maps[name].values()], object.license, object.btf);
  });
  return {
    maps,
    numberOf: (name) => programs[name].fd,
    run(frame) {
      const { verdict, packet } = programs.root.testRun(frame);
      return { verdict, frame: packet };
    },
    close() {
      for (const name of NAMES) {
        programs[name].close();
        for (const map of maps[name].values()) map.close();
      }
    },
  };
}

const ENGINES: readonly { readonly name: string; readonly missing?: string; readonly make: () => Bed }[] = [
  { name: 'interpreter', make: () => arenaBed('interpreter') },
  { name: 'jit', make: () => arenaBed('jit') },
  { name: 'kernel', ...(missingRoot === undefined ? {} : { missing: missingRoot }), make: kernelBed },
];

const web = tcpFrame(flow, { flags: TCP_FLAGS.syn });
const balanced = encapsulated(web, {
  real: REAL,
  client: flow.src,
  sport: flow.sport,
  nextHop: mac(ROUTER_MAC),
});
const inner = ipv4({ ...flow, dst: '192.0.2.9', protocol: PROTOCOL.tcp }, new Uint8Array(20));
/** A tunnel packet for this host. The balancer, which is not told to take tunnels apart, leaves it alone. */
const tunnelled = frameOf(ipv4({ src: '172.16.1.2', dst: OWN, protocol: PROTOCOL.ipip }, inner));

function arrange({ maps }: Bed): void {
  const tables = new BalancerTables(maps.balancer);
  tables.setRouterMac(parseMac(ROUTER_MAC));
  tables.putReal(1, parseIp(REAL));
  tables.putRing(0, new Uint32Array(RING_SIZE).fill(1));
  tables.putVip({ address: parseIp(flow.dst), port: flow.dport, protocol: 'tcp' }, { flags: 0, number: 0 });
  new DecapTables(maps.decap).putDestination(parseIp(OWN));
}

const BALANCED = { verdict: XDP_TX, frame: hex(balanced) };
const DECAPSULATED = { verdict: XDP_PASS, frame: hex(frameOf(inner)) };
const untouched = (frame: Uint8Array) => ({ verdict: XDP_PASS, frame: hex(frame) });

/** Slots that are filled, and what becomes of a packet for a VIP and of one in a tunnel. */
const ROWS: readonly {
  readonly name: string;
  readonly slots: Readonly<Record<number, Name>>;
  readonly web: object;
  readonly tunnelled: object;
}[] = [
  {
    name: 'no slot is filled: packets pass',
    slots: {},
    web: untouched(web),
    tunnelled: untouched(tunnelled),
  },
  {
    name: 'the balancer in the last slot',
    slots: { 2: 'balancer' },
    web: BALANCED,
    tunnelled: untouched(tunnelled),
  },
  {
    name: 'the balancer in the first slot',
    slots: { 0: 'balancer' },
    web: BALANCED,
    tunnelled: untouched(tunnelled),
  },
  {
    name: 'decapsulation below the balancer',
    slots: { 1: 'decap', 2: 'balancer' },
    web: untouched(web),
    tunnelled: DECAPSULATED,
  },
  {
    name: 'the balancer below decapsulation',
    slots: { 0: 'balancer', 1: 'decap' },
    web: BALANCED,
    tunnelled: untouched(tunnelled),
  },
];

describe.each(ENGINES)('programs that share an interface: $name', ({ missing, make }) => {
  it.skipIf(missing !== undefined)(titleOf('the lowest slot that is filled runs', missing), () => {
    const bed = make();
    try {
      arrange(bed);
      const slots = bed.maps.root.get(ROOT_MAP);
      expect(slots?.spec.maxEntries).toBe(ROOT_SLOTS);
      const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
      for (const row of ROWS) {
        for (let slot = 0; slot < ROOT_SLOTS; slot++) slots?.delete(word(slot));
        for (const [slot, name] of Object.entries(row.slots))
          expect(slots?.update(word(Number(slot)), word(bed.numberOf(name))), row.name).toBe(0);
        const run = (frame: Uint8Array) => {
          const result = bed.run(frame);
          return { verdict: result.verdict, frame: hex(result.frame) };
        };
        expect(run(web), row.name).toEqual(row.web);
        expect(run(tunnelled), row.name).toEqual(row.tunnelled);
      }
    } finally {
      bed.close();
    }
  });
});
