import { describe, expect, it } from 'vitest';
import { BALANCER_PROGRAM, balancerObject } from '../../lb/balancer/object.js';
import { RING_SIZE } from '../../lb/balancer/schema.js';
import { BalancerTables } from '../../lb/balancer/tables.js';
import { XDP_DROP, XDP_TX } from '../../lb/bpf/engine/context.js';
import { interpret } from '../../lb/bpf/engine/interpreter.js';
import { decodeProgram } from '../../lb/bpf/isa/codec.js';
import { compileProgram, instantiateProgram } from '../../lb/bpf/jit/compile.js';
import { ArenaMaps, mapBytes } from '../../lb/bpf/maps/registry.js';
import { instantiateRuntime } from '../../lb/bpf/maps/runtime.js';
import { Arena } from '../../lb/bpf/memory/arena.js';
import {
  CPU_XDP_MD,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_HARD_END,
  XDP_MD_HARD_START,
} from '../../lb/bpf/memory/layout.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import type { ObjectSpec } from '../../lb/bpf/object/spec.js';
import { TEST_RINGS } from '../support/balancer.js';
import { hex, tcpFrame } from '../support/packets.js';
import { arrange, CLIENT_4, CLIENT_6, VIPS } from './scene.js';

const SPARE_BYTES = 2 ** 20;

/** The balancer in an arena, run with as much room in front of the frame as is asked for. */
function makeBed(engine: 'interpreter' | 'jit') {
  const whole = balancerObject();
  const object: ObjectSpec = {
    ...whole,
    maps: whole.maps.map((map) =>
      map.name === 'ch_rings' ? { ...map, maxEntries: TEST_RINGS * RING_SIZE } : map,
    ),
  };
  const mapsBytes = object.maps.reduce((sum, map) => sum + mapBytes(map, 2), SPARE_BYTES);
  const arena = Arena.create({ workers: 1, mapsBytes, ringsBytes: 65536 });
  const host = new ArenaMaps(arena);
  const maps = createMaps(object, host);
  const infos = [...maps.values()].map((map) => map.info);
  const runtime = instantiateRuntime(arena.memory, 0);
  const program = object.programs.find(({ name }) => name === BALANCER_PROGRAM)!;
  const instructions = decodeProgram(program.code);
  const executable =
    engine === 'interpreter'
      ? interpret(instructions, { runtime, maps: infos })
      : instantiateProgram(new WebAssembly.Module(compileProgram(instructions, infos).wasm), runtime);
  const context = arena.block(0) + CPU_XDP_MD;
  const view = new DataView(arena.u8.buffer);
  return {
    maps,
    tables: new BalancerTables(maps),
    run(frame: Uint8Array, headroom: number): { verdict: number; frame: Uint8Array } {
      const start = arena.rings.offset;
      const data = start + headroom;
      arena.u8.set(frame, data);
      for (const [field, value] of [
        [XDP_MD_DATA, data],
        [XDP_MD_DATA_END, data + frame.length],
        [XDP_MD_DATA_META, data],
        [XDP_MD_HARD_START, start],
        [XDP_MD_HARD_END, data + frame.length],
      ] as const) {
        view.setUint32(context + field, value, true);
      }
      const verdict = executable.run(context);
      const at = (field: number): number => view.getUint32(context + field, true);
      return { verdict, frame: arena.u8.slice(at(XDP_MD_DATA), at(XDP_MD_DATA_END)) };
    },
  };
}

// The kernel's test run always has 256 bytes of room: the arena's engines alone can be short of it.
describe.each(['interpreter', 'jit'] as const)('room for the outer header: %s', (engine) => {
  it.each([
    ['IPv4', 20, { src: CLIENT_4, dst: '198.51.100.10', sport: 40000, dport: 80 }, VIPS.web4.number],
    ['IPv6', 40, { src: CLIENT_6, dst: '2001:db8::10', sport: 40000, dport: 80 }, VIPS.web6.number],
  ] as const)('%s needs %i bytes, and one less is a drop that is counted', (family, bytes, ends, number) => {
    const bed = makeBed(engine);
    arrange({
      ...bed,
      connections: bed.maps.get('fallback_cache')!,
      now: () => 0n,
      close: () => {},
      run: (frame) => bed.run(frame, 256),
    });
    const frame = tcpFrame(ends);
    const short = bed.run(frame, bytes - 1);
    expect(short.verdict).toBe(XDP_DROP);
    expect(hex(short.frame)).toBe(hex(frame));
    expect(bed.tables.dropStats(number).no_headroom).toEqual({ packets: 1n, bytes: BigInt(frame.length) });
    expect(bed.tables.counters().encap_fail).toEqual(
      family === 'IPv4' ? { v1: 1n, v2: 0n } : { v1: 0n, v2: 1n },
    );
    const enough = bed.run(frame, bytes);
    expect(enough.verdict).toBe(XDP_TX);
    expect(enough.frame.length).toBe(frame.length + bytes);
    expect(bed.tables.dropStats(number).no_headroom.packets).toBe(1n);
  });
});
