import { existsSync, readFileSync } from 'node:fs';
import { DECAP_PROGRAM, decapObject } from './balancer/object.js';
import { DECAP_STATS, decode, encode, IP_ADDRESS, U32 } from './balancer/schema.js';
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
}

/** Headers taken off, by the family of the outer header. */
export interface DecapCounters {
  readonly ipv4: bigint;
  readonly ipv6: bigint;
}

/** Decapsulation that runs in the kernel; it ends with `close`, or with the process. */
export interface Decap {
  readonly mode: XdpMode;
  counters(): DecapCounters;
  /** Detach and free everything. Idempotent. */
  close(): void;
}

export type DecapFault =
  | { readonly code: 'DECAP_INTERFACE'; readonly interface: string }
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

function addAddress(map: KernelMap, address: IpAddress): void {
  const errno = map.update(encode(IP_ADDRESS, { address: address.bytes }), encode(U32, { value: 0 }));
  if (errno === 0) return;
  throw new DecapError(
    { code: 'DECAP_ADDRESS', address: formatIp(address), errno: -errno },
    `address ${formatIp(address)} could not be noted: errno ${-errno}`,
  );
}

function readCounters(map: KernelMap): DecapCounters {
  const copies = map.lookup(encode(U32, { value: 0 })) ?? new Uint8Array(0);
  let [ipv4, ipv6] = [0n, 0n];
  for (let at = 0; at + DECAP_STATS.sizeBytes <= copies.length; at += DECAP_STATS.sizeBytes) {
    const one = decode(DECAP_STATS, copies, at);
    ipv4 += one.outer_ipv4;
    ipv6 += one.outer_ipv6;
  }
  return { ipv4, ipv6 };
}

/**
 * The backend's side of the tunnel: the kernel runs the decap program on an interface, which takes the outer
 * header off packets for `addresses`. Needs CAP_BPF and CAP_NET_ADMIN.
 * @throws DecapError, BpfError; nothing is left attached then
 */
export function attachDecap({ interface: name, addresses, mode }: DecapOptions): Decap {
  const ifindex = interfaceIndex(name);
  const object = decapObject();
  const spec = object.programs.find((program) => program.name === DECAP_PROGRAM);
  const maps = createMaps<KernelMap>(object, new KernelMaps());
  const [destinations, counters] = [maps.get('decap_dst'), maps.get('decap_counters')];
  let program: KernelProgram | undefined;
  let link: XdpLink | undefined;
  const close = () => {
    link?.close();
    program?.close();
    for (const map of maps.values()) map.close();
  };
  try {
    if (!spec || !destinations || !counters)
      throw new Error(`the decap object lacks ${DECAP_PROGRAM} or its maps`);
    for (const address of addresses) addAddress(destinations, address);
    program = loadKernelProgram(spec, [...maps.values()], object.license);
    const [attached, attachedMode] = attach(program, ifindex, mode);
    link = attached;
    let last: DecapCounters = { ipv4: 0n, ipv6: 0n };
    let isOpen = true;
    return {
      mode: attachedMode,
      counters: () => {
        if (isOpen) last = readCounters(counters);
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
