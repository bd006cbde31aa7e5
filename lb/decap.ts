import { existsSync, readFileSync } from 'node:fs';
import { type DecapStats, DecapTables } from './balancer/companions/decap.js';
import { CompanionError } from './balancer/companions/maps.js';
import {
  COMPANION_PROGRAMS,
  type DecapProgramOptions,
  decapProgramObject,
} from './balancer/companions/object.js';
import { createMaps } from './bpf/object/create-maps.js';
import { CodedError } from './errors.js';
import { formatIp, type IpAddress } from './net/address.js';
import {
  BpfError,
  type KernelMap,
  KernelMaps,
  type KernelProgram,
  loadKernelProgram,
  type XdpLink,
  type XdpMode,
} from './sys/bpf.js';

export interface DecapOptions {
  /** Interface that encapsulated packets come in by. */
  readonly interface: string;
  /** Tunnel addresses of this host; at least one. */
  readonly addresses: readonly IpAddress[];
  /** auto: native, and generic where the driver or its settings do not allow that. */
  readonly mode: XdpMode | 'auto';
  /** UDP port of GUE; 0: IP in IP alone. 6080 unless given. */
  readonly guePort?: number;
  /** This host's id in the TCP option, from 1: packets with another host's id are counted. */
  readonly serverId?: number;
}

/** What was taken off, checked and dropped. */
export type DecapCounters = DecapStats;

/** Decapsulation that runs in the kernel; it ends with `close`, or with the process. */
export interface Decap {
  readonly mode: XdpMode;
  counters(): DecapCounters;
  /** Detach and free everything. Idempotent. */
  close(): void;
}

export type DecapFault =
  | { readonly code: 'DECAP_INTERFACE'; readonly interface: string }
  | { readonly code: 'DECAP_OPTION'; readonly option: string; readonly value: number }
  | { readonly code: 'DECAP_ADDRESS'; readonly address: string; readonly errno: number };

export class DecapError extends CodedError<DecapFault> {}

/** Number of an interface of this network namespace, as sysfs has it. */
function interfaceIndex(name: string): number {
  const path = `/sys/class/net/${name}/ifindex`;
  if (name === '' || name.includes('/') || !existsSync(path)) {
    throw new DecapError(
      { code: 'DECAP_INTERFACE', interface: name },
      `interface ${name} does not exist: see ip link`,
    );
  }
  return Number(readFileSync(path, 'utf8'));
}

/** Errno of a driver that has no native XDP, or not with the interface's present settings (MTU, LRO). */
const NO_NATIVE = ['EOPNOTSUPP', 'EINVAL', 'ERANGE'];

function attach(program: KernelProgram, ifindex: number, mode: DecapOptions['mode']): [XdpLink, XdpMode] {
  if (mode !== 'auto') return [program.attachXdp(ifindex, mode), mode];
  try {
    return [program.attachXdp(ifindex, 'native'), 'native'];
  } catch (error) {
    const isNative = !(error instanceof BpfError) || error.fault.code !== 'BPF_CALL';
    if (isNative || !NO_NATIVE.includes(error.fault.errno)) throw error;
    return [program.attachXdp(ifindex, 'generic'), 'generic'];
  }
}

function addAddress(tables: DecapTables, address: IpAddress): void {
  try {
    tables.putDestination(address);
  } catch (cause) {
    if (!(cause instanceof CompanionError) || cause.fault.code !== 'COMPANION_WRITE') throw cause;
    const { errno } = cause.fault;
    throw new DecapError(
      { code: 'DECAP_ADDRESS', address: formatIp(address), errno },
      `address ${formatIp(address)} could not be noted: errno ${errno}`,
      { cause },
    );
  }
}

function programOptions({ guePort, serverId }: DecapOptions): DecapProgramOptions {
  if (guePort !== undefined && !(Number.isInteger(guePort) && guePort >= 0 && guePort <= 65535)) {
    throw new DecapError(
      { code: 'DECAP_OPTION', option: 'guePort', value: guePort },
      `guePort ${guePort} is not a whole number from 0 to 65535`,
    );
  }
  if (serverId !== undefined && !(Number.isInteger(serverId) && serverId >= 1 && serverId < 2 ** 32)) {
    throw new DecapError(
      { code: 'DECAP_OPTION', option: 'serverId', value: serverId },
      `serverId ${serverId} is not a whole number from 1 to 4294967295`,
    );
  }
  return { checkServerId: serverId !== undefined, ...(guePort === undefined ? {} : { guePort }) };
}

/**
 * The backend's side of the tunnel: the kernel runs the decap program on an interface, which takes the outer
 * header off packets for `addresses`. Needs CAP_BPF and CAP_NET_ADMIN.
 * @throws DecapError, BpfError; nothing is left attached then
 */
export function attachDecap(options: DecapOptions): Decap {
  const { interface: name, addresses, mode, serverId } = options;
  const ifindex = interfaceIndex(name);
  const object = decapProgramObject(programOptions(options));
  const spec = object.programs.find((program) => program.name === COMPANION_PROGRAMS.decap);
  if (spec === undefined) throw new Error(`the decap object lacks ${COMPANION_PROGRAMS.decap}`);
  const maps = createMaps<KernelMap>(object, new KernelMaps());
  let program: KernelProgram | undefined;
  let link: XdpLink | undefined;
  const close = () => {
    link?.close();
    program?.close();
    for (const map of maps.values()) map.close();
  };
  try {
    const tables = new DecapTables(maps);
    for (const address of addresses) addAddress(tables, address);
    if (serverId !== undefined) tables.setServerId(serverId);
    program = loadKernelProgram(spec, [...maps.values()], object.license, object.btf);
    const [attached, attachedMode] = attach(program, ifindex, mode);
    link = attached;
    let last = tables.stats();
    let isOpen = true;
    return {
      mode: attachedMode,
      counters: () => {
        if (isOpen) last = tables.stats();
        return last;
      },
      close: () => {
        isOpen = false;
        close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}
