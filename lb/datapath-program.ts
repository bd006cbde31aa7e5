import { BALANCER_PROGRAM, optionOf, withOptions } from './balancer/object.js';
import { compileProgram } from './bpf/jit/compile.js';
import type { BpfMap, MapSpec } from './bpf/maps/map.js';
import type { ArenaMap, ArenaMapInfo, ArenaMaps } from './bpf/maps/registry.js';
import type { ObjectSpec, ProgramSpec } from './bpf/object/spec.js';
import { admitProgram } from './bpf/verifier/admit.js';
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
export type DatapathMode = 'af_packet' | 'xdp_native' | 'xdp_generic';

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

/** The object, told of the interface; one of a stranger's need not have the option. */
export function withLink(object: ObjectSpec, { mtu }: Pick<DatapathLink, 'mtu'>): ObjectSpec {
  if (optionOf(object, 'maxFrameBytes') === undefined) return object;
  // As much as leaves in one piece with the longest outer header: the sender of more is told, and sends less.
  const maxFrameBytes = ETHERNET_BYTES + Math.max(LEAST_MTU, mtu - OUTER_IPV6_BYTES);
  return withOptions(object, { maxFrameBytes });
}
