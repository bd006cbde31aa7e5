import { PacketContext } from '../../lb/bpf/context/packet.js';
import { interpret } from '../../lb/bpf/engine/interpreter.js';
import type { HelperUser } from '../../lb/bpf/helpers/prototypes.js';
import { encodeProgram } from '../../lb/bpf/isa/codec.js';
import { calledFunction, type Instruction } from '../../lb/bpf/isa/instruction.js';
import { compileProgram, instantiateProgram } from '../../lb/bpf/jit/compile.js';
import type { BpfMap, MapSpec } from '../../lb/bpf/maps/map.js';
import { ArenaMaps } from '../../lb/bpf/maps/registry.js';
import { instantiateRuntime, type Runtime } from '../../lb/bpf/maps/runtime.js';
import { Arena } from '../../lb/bpf/memory/arena.js';
import { CURSOR_KEY, CURSOR_VALUE } from '../../lb/bpf/memory/layout.js';
import { checkStructure } from '../../lb/bpf/verifier/structural.js';
import { KernelMaps } from '../../lb/sys/bpf.js';
import { BpfAttr, bpfCallOrThrow } from '../../lb/sys/bpf-call.js';
import { closeFd, syscall } from '../../lb/sys/syscall.js';
import { assemble } from './assembler.js';
import { u32, u64 } from './jit-bed.js';

/** Programs of one type that may tail-call each other through map[0]; the one value of map[1] is u64 counters. */
export interface Scenario {
  readonly type?: HelperUser;
  /** Text by name; the first is run. */
  readonly programs: Readonly<Record<string, string>>;
  /** What the slots of map[0] hold, of SLOTS. */
  readonly slots?: Readonly<Record<number, string>>;
  /** Further maps, from map[2] on. */
  readonly maps?: readonly Omit<MapSpec, 'name'>[];
  /** Values in them before the run: map, key, value. */
  readonly values?: readonly (readonly [number, number, bigint])[];
  readonly packet?: Uint8Array;
}

/** What a run left: r0's low 32 bits, signed, and the counters that are not 0. */
export interface Effect {
  readonly r0: number;
  readonly counters: Readonly<Record<number, bigint>>;
  readonly packet: string;
}

export const SLOTS = 4;
const COUNTERS = 16;
const COUNTER_MAP = { type: 'ARRAY', keySize: 4, valueSize: 8 * COUNTERS, maxEntries: 1, flags: 0 } as const;
const SLOT_MAP = { keySize: 4, valueSize: 4, maxEntries: SLOTS, flags: 0 } as const;
/** An Ethernet frame of an IPv4 packet, every byte another. */
export const PACKET = Uint8Array.from({ length: 64 }, (_, i) => (i === 12 ? 0x08 : i === 13 ? 0 : i + 1));

function countersOf(map: BpfMap): Record<number, bigint> {
  const counters: Record<number, bigint> = {};
  const values = new BigUint64Array(map.lookup(u32(0))!.buffer);
  for (const [key, value] of values.entries()) if (value !== 0n) counters[key] = value;
  return counters;
}

function fill(maps: readonly BpfMap[], values: Scenario['values'] = []): void {
  for (const [map, key, value] of values) {
    const bytes = u64(value).slice(0, maps[map]!.spec.valueSize);
    const result = maps[map]!.update(maps[map]!.spec.keySize === 4 ? u32(key) : u64(BigInt(key)), bytes);
    if (result !== 0) throw new Error(`map ${map}: update of ${key} gives ${result}`);
  }
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Walks an ARRAY: in the place of the runtime's own walk where that is not there. */
function iterateArray(arena: Arena, host: ArenaMaps): Runtime['exports']['map_iterate'] {
  return (descriptor, cursor) => {
    const map = host.all.find(({ info }) => info.descriptor === descriptor)!;
    const word = (cursor + 16) >>> 2;
    const index = arena.u32[word]!;
    if (index >= map.info.maxEntries) return 0;
    arena.u32[(cursor + CURSOR_KEY) >>> 2] = (cursor + 20) >>> 0;
    arena.u32[(cursor + 20) >>> 2] = index;
    arena.u32[(cursor + CURSOR_VALUE) >>> 2] = map.info.data + index * map.info.valueStride;
    arena.u32[word] = index + 1;
    return 1;
  };
}

/** Run a scenario on one of our engines. */
export function runHere(engine: 'interpreter' | 'jit', scenario: Scenario): Effect {
  const { type = 'xdp', programs, slots = {}, maps = [], values, packet = PACKET } = scenario;
  const arena = Arena.create({ workers: 1, mapsBytes: 1 << 20, ringsBytes: 65536 });
  const host = new ArenaMaps(arena);
  const real = instantiateRuntime(arena.memory, 0);
  const iterate = real.exports.map_iterate ?? iterateArray(arena, host);
  const runtime: Runtime = { ...real, exports: { ...real.exports, map_iterate: iterate } };
  // The engines read the slots' words, and those of an ARRAY of u32 lie as those of a PROG_ARRAY do.
  const slotMap = host.createMap({ ...SLOT_MAP, type: 'ARRAY', name: 'slots' });
  const live = [
    slotMap,
    ...[COUNTER_MAP, ...maps].map((spec, i) => host.createMap({ ...spec, name: `map${i + 1}` })),
  ];
  const infos = live.map(({ info }) => info);
  fill(live, values);
  const executables = Object.entries(programs).map(([name, text]) => {
    const instructions = assemble(text);
    checkStructure(instructions, { programType: type });
    if (engine === 'interpreter')
      return { name, executable: interpret(instructions, { runtime, maps: infos, type }) };
    const module = new WebAssembly.Module(compileProgram(instructions, infos, { type }).wasm);
    return { name, executable: instantiateProgram(module, runtime) };
  });
  for (const [number, { executable }] of executables.entries()) runtime.programs.set(number + 1, executable);
  for (const [slot, name] of Object.entries(slots)) {
    const number = executables.findIndex((each) => each.name === name) + 1;
    slotMap.update(u32(Number(slot)), u32(number));
  }
  const context = new PacketContext(arena, { cpu: 0, type, room: arena.rings });
  context.place(packet);
  const r0 = executables[0]!.executable.run(context.address) | 0;
  return { r0, counters: countersOf(live[1]!), packet: hex(context.packet()) };
}

const PROGRAM_TYPES = { xdp: 6, sched_cls: 3 } as const;
const BPF_BTF_LOAD = 18;
const LOG_BYTES = 1 << 20;

/** BTF of one static function type: int (void *), for as many functions as there are. */
function btfOf(functions: number): Uint8Array {
  const names = ['', 'int', ...Array.from({ length: functions }, (_, i) => `f${i}`), 'context'];
  const strings = new TextEncoder().encode(names.map((name) => `${name}\0`).join(''));
  const at = (name: string) => {
    let offset = 0;
    for (const each of names) {
      if (each === name) return offset;
      offset += each.length + 1;
    }
    return 0;
  };
  const words: number[] = [];
  const type = (name: string, kind: number, vlen: number, sizeOrType: number, ...rest: number[]) =>
    words.push(name === '' ? 0 : at(name), (kind << 24) | vlen, sizeOrType, ...rest);
  // 1: int, 32 bits, signed; 2: void *; 3: int (void *context).
  type('int', 1, 0, 4, (1 << 24) | 32);
  type('', 2, 0, 0);
  type('', 13, 1, 1, at('context'), 2);
  // The entry is global, what it calls static.
  for (let i = 0; i < functions; i++) type(`f${i}`, 12, i === 0 ? 1 : 0, 3);
  const types = new Uint8Array(Uint32Array.from(words).buffer);
  const header = new Uint8Array(24);
  const view = new DataView(header.buffer);
  view.setUint16(0, 0xeb9f, true);
  view.setUint8(2, 1);
  for (const [i, word] of [24, 0, types.length, types.length, strings.length].entries())
    view.setUint32(4 + 4 * i, word, true);
  return Uint8Array.from([...header, ...types, ...strings]);
}

function loadBtf(functions: number): number {
  const btf = btfOf(functions);
  const log = new Uint8Array(LOG_BYTES);
  const attr = new BpfAttr(32)
    .pointer(0, btf)
    .pointer(8, log)
    .u32(16, btf.length)
    .u32(20, log.length)
    .u32(24, 1);
  // The command is not one of those that lb/sys knows: the attribute is passed by hand.
  const { result, errno } = syscallBtf(attr);
  if (result < 0) throw new Error(`BTF: errno ${errno}: ${textOf(log)}`);
  return result;
}

const syscallBtf = (attr: BpfAttr) => syscall('bpf', BPF_BTF_LOAD, attr.bytes);
const textOf = (log: Uint8Array) => new TextDecoder().decode(log.subarray(0, log.indexOf(0)));

/** The program with file descriptors of maps, loaded with BTF that makes its functions known. */
function loadInKernel(
  type: HelperUser,
  instructions: readonly Instruction[],
  maps: readonly { fd: number }[],
): number {
  const code = encodeProgram(
    instructions.map((each) =>
      each.kind === 'imm64' && (each.imm.kind === 'map' || each.imm.kind === 'map-value')
        ? { ...each, imm: { ...each.imm, map: maps[each.imm.map]!.fd } }
        : each,
    ),
  );
  const starts = [...new Set([0, ...instructions.flatMap((each) => calledFunction(each) ?? [])])].sort(
    (a, b) => a - b,
  );
  const btf = loadBtf(starts.length);
  const info = new Uint8Array(Uint32Array.from(starts.flatMap((slot, i) => [slot, 4 + i])).buffer);
  const log = new Uint8Array(LOG_BYTES);
  const attr = new BpfAttr(152)
    .u32(0, PROGRAM_TYPES[type])
    .u32(4, code.length / 8)
    .pointer(8, code)
    .pointer(16, new TextEncoder().encode('GPL\0'))
    .u32(24, 1)
    .u32(28, log.length)
    .pointer(32, log)
    .u32(68, type === 'xdp' ? 37 : 0)
    .u32(72, btf)
    .u32(76, 8)
    .pointer(80, info)
    .u32(88, starts.length);
  try {
    return bpfCallOrThrow('PROG_LOAD', attr, 'a scenario');
  } catch (error) {
    throw new Error(`the kernel refuses the program:\n${textOf(log)}`, { cause: error });
  } finally {
    closeFd(btf);
  }
}

/** Run a scenario in the kernel. */
export function runInKernel(scenario: Scenario): Effect {
  const { type = 'xdp', programs, slots = {}, maps = [], values, packet = PACKET } = scenario;
  const host = new KernelMaps();
  const live = [
    host.createMap({ ...SLOT_MAP, type: 'PROG_ARRAY', name: 'slots' }),
    ...[COUNTER_MAP, ...maps].map((spec, i) => host.createMap({ ...spec, name: `map${i + 1}` })),
  ];
  const fds = new Map<string, number>();
  try {
    fill(live, values);
    for (const [name, text] of Object.entries(programs))
      fds.set(name, loadInKernel(type, assemble(text), live));
    for (const [slot, name] of Object.entries(slots)) {
      const result = live[0]!.update(u32(Number(slot)), u32(fds.get(name)!));
      if (result !== 0) throw new Error(`slot ${slot}: ${result}`);
    }
    const out = new Uint8Array(packet.length + 4096);
    const [entry] = [...fds.values()];
    const attr = new BpfAttr(80)
      .u32(0, entry!)
      .u32(8, packet.length)
      .u32(12, out.length)
      .pointer(16, packet)
      .pointer(24, out)
      .u32(32, 1);
    bpfCallOrThrow('PROG_TEST_RUN', attr, 'a scenario');
    return {
      r0: attr.getU32(4) | 0,
      counters: countersOf(live[1]!),
      packet: hex(out.subarray(0, attr.getU32(12))),
    };
  } finally {
    // An entry that holds a program that holds the map would keep both alive.
    for (const slot of Object.keys(slots)) live[0]!.delete(u32(Number(slot)));
    for (const fd of fds.values()) closeFd(fd);
    for (const map of live) map.close();
  }
}
