import {
  BALANCER_PROGRAM,
  type BalancerOptions,
  type MapSizes,
  type OptionName,
  optionOf,
  sizedObject,
  withOptions,
} from './balancer/object.js';
import { compileProgram } from './bpf/jit/compile.js';
import type { BpfMap, MapSpec } from './bpf/maps/map.js';
import type { ArenaMap, ArenaMapInfo, ArenaMaps } from './bpf/maps/registry.js';
import type { ObjectSpec, ProgramSpec } from './bpf/object/spec.js';
import { admitProgram } from './bpf/verifier/admit.js';
import type { EngineMode } from './engine/engine.js';
import { CodedError } from './errors.js';
import type { ProgramStatus } from './inspector.js';
import type { LinkInfo } from './sys/socket.js';

/** What every link of IPv6 carries (RFC 8200 §5): senders are not told of less. */
const LEAST_MTU = 1280;
const ETHERNET_BYTES = 14;
const OUTER_IPV6_BYTES = 40;

/** The interface that a datapath works on. */
export type DatapathLink = Pick<LinkInfo, 'name' | 'index' | 'mac' | 'mtu'>;

/** Where the balancer's program runs. */
export type DatapathMode = EngineMode | 'xdp_native' | 'xdp_generic';

export type DatapathFault =
  | { readonly code: 'DATAPATH_WORKERS'; readonly workers: number }
  | { readonly code: 'DATAPATH_CONNECTIONS'; readonly entries: number }
  | { readonly code: 'DATAPATH_PROGRAM'; readonly program: string }
  | { readonly code: 'DATAPATH_MAPS'; readonly reason: string }
  | { readonly code: 'DATAPATH_NO_WORKERS' };

/** Options that make no datapath, or an object that is not a balancer's. */
export class DatapathError extends CodedError<DatapathFault> {}

/** The balancer's program in its object. */
export interface Program {
  readonly object: ObjectSpec;
  readonly spec: ProgramSpec;
}

/** @throws DatapathError DATAPATH_PROGRAM */
export function programOf(object: ObjectSpec): Program {
  const spec = object.programs.find(({ name }) => name === BALANCER_PROGRAM);
  if (spec) return { object, spec };
  throw new DatapathError(
    { code: 'DATAPATH_PROGRAM', program: BALANCER_PROGRAM },
    `the object has no program ${BALANCER_PROGRAM}; it has ${object.programs.map(({ name }) => name).join(', ') || 'none'}`,
  );
}

/** What a program came out as: the module for the workers, and what there is to say of it. */
export interface Compiled {
  readonly module: WebAssembly.Module;
  readonly status: Omit<ProgramStatus, 'runs' | 'runNs'>;
}

/** Check, prove and compile a program against the maps where they lie. */
export function compile({ object, spec }: Program, maps: readonly ArenaMapInfo[]): Compiled {
  const start = performance.now();
  const sized = object.maps.map((map, index) => ({ ...map, maxEntries: maps[index]!.maxEntries }));
  const instructions = admitProgram(spec, object, { type: 'xdp', maps: sized });
  const { wasm } = compileProgram(instructions, maps);
  const module = new WebAssembly.Module(wasm);
  const status = {
    name: BALANCER_PROGRAM,
    type: 'xdp',
    engine: 'jit',
    instructions: instructions.length,
    codeBytes: wasm.length,
    loadedAtMs: Date.now(),
    loadUs: Math.round((performance.now() - start) * 1000),
    maps: object.maps.map(({ name }) => name),
  } as const;
  return { module, status };
}

/**
 * The live map of each map that an object refers to, in its order. Its constants and variables are its own: they get
 * a map where the ones that are there hold other content.
 * @throws DatapathError DATAPATH_MAPS
 */
export function liveMaps<M extends Pick<BpfMap, 'spec'>>(
  object: ObjectSpec,
  maps: ReadonlyMap<string, M>,
  create: (spec: MapSpec) => M,
): M[] {
  return object.maps.map((wanted) => {
    const { name, keySize, valueSize, type, initial } = wanted;
    const map = maps.get(name);
    const { spec } = map ?? {};
    if (initial !== undefined && !(spec?.initial && Buffer.from(spec.initial).equals(initial)))
      return create(wanted);
    if (map && spec && spec.keySize === keySize && spec.valueSize === valueSize && spec.type === type)
      return map;
    const reason = `the object's map ${name} (${type}, keys of ${keySize} and values of ${valueSize} bytes) is not one of those that are there`;
    throw new DatapathError({ code: 'DATAPATH_MAPS', reason }, reason);
  });
}

/** Where those of an arena lie. */
export function infosOf(
  object: ObjectSpec,
  maps: ReadonlyMap<string, ArenaMap>,
  host: ArenaMaps,
): ArenaMapInfo[] {
  return liveMaps(object, maps, (spec) => host.createMap(spec)).map(({ info }) => info);
}

/** Every part of the program that has tables of its own. */
const PARTS = {
  quicRouting: true,
  udpFlowMigration: true,
  sourceRouting: true,
  prefixVips: true,
  globalLru: true,
  ipipDecap: true,
  eventsEnabled: true,
} as const satisfies BalancerOptions;

/**
 * The object with tables of the sizes that are asked for.
 * @param reservesOptions also those of options that are off: they can be turned on while the program runs then
 */
export function withSizes(
  object: ObjectSpec,
  sizes: MapSizes | undefined,
  reservesOptions: boolean,
): ObjectSpec {
  if (!reservesOptions) return sizedObject(object, sizes);
  const known = Object.entries(PARTS).filter(
    ([option]) => optionOf(object, option as keyof typeof PARTS) !== undefined,
  );
  const { maps } = sizedObject(withOptions(object, Object.fromEntries(known)), sizes);
  const entries = new Map(maps.map(({ name, maxEntries }) => [name, maxEntries]));
  return {
    ...object,
    maps: object.maps.map((map) => ({ ...map, maxEntries: entries.get(map.name) ?? map.maxEntries })),
  };
}

/**
 * The object, told of the interface and with options set. One of a stranger's need not have the interface's option, nor options
 * of parts that are off.
 * @throws OptionsError, DatapathError DATAPATH_PROGRAM
 */
export function withLink(
  object: ObjectSpec,
  { mtu }: Pick<DatapathLink, 'mtu'>,
  options: BalancerOptions = {},
): ObjectSpec {
  // What is no balancer at all is to be called that.
  programOf(object);
  const isKnown = (name: string) => optionOf(object, name as OptionName) !== undefined;
  const known = Object.entries(options).filter(([name, value]) => value === true || isKnown(name));
  const asked: BalancerOptions = Object.fromEntries(known);
  if (!isKnown('maxFrameBytes')) return withOptions(object, asked);
  // As much as leaves in one piece with the longest outer header: the sender of more is told, and sends less.
  const maxFrameBytes = ETHERNET_BYTES + Math.max(LEAST_MTU, mtu - OUTER_IPV6_BYTES);
  return withOptions(object, { maxFrameBytes, ...asked });
}
