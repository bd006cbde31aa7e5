import { HealthcheckTables } from './balancer/companions/healthcheck.js';
import { COMPANION_PROGRAMS, healthcheckObject } from './balancer/companions/object.js';
import { createMaps } from './bpf/object/create-maps.js';
import type { DatapathLink } from './datapath-program.js';
import type { IpAddress } from './net/address.js';
import {
  type KernelMap,
  KernelMaps,
  type KernelProgram,
  loadKernelProgram,
  type XdpLink,
} from './sys/bpf.js';
import { openMarked } from './sys/marked-socket.js';

export interface CheckTunnelOptions {
  /** Interface that packets to backends leave by. */
  readonly link: Pick<DatapathLink, 'index'>;
  /** Outer source addresses, one of a family at most. */
  readonly sources: readonly IpAddress[];
  /** GUE in the place of IP in IP, to this port. */
  readonly guePort?: number | undefined;
}

/** The way of health checks to a VIP's address on one backend: it ends with `close`, or with the process. */
export interface CheckTunnel {
  /** Which backend the packets of a mark go to. */
  readonly tables: Pick<HealthcheckTables, 'putReal' | 'deleteReal' | 'stats'>;
  /** A TCP socket with a mark, which belongs to the caller. @throws SysError */
  readonly openMarked: (family: 4 | 6, mark: number) => number;
  /** Marks at a time. */
  readonly capacity: number;
  /** Detach and free everything. Idempotent. */
  close(): void;
}

/**
 * Put packets with a mark into the tunnel on their way out of an interface, as the balancer does with those of clients: the
 * kernel runs the health checks' program at TC egress. Needs CAP_BPF, CAP_NET_ADMIN and Linux 6.6.
 * @throws BpfError; nothing is left attached then
 */
export function attachCheckTunnel({ link, sources, guePort }: CheckTunnelOptions): CheckTunnel {
  const gue = guePort === undefined ? {} : { gue: true, guePort };
  const object = healthcheckObject(gue);
  const spec = object.programs.find(({ name }) => name === COMPANION_PROGRAMS.healthcheckRouted);
  if (spec === undefined) throw new Error(`the object lacks ${COMPANION_PROGRAMS.healthcheckRouted}`);
  const maps = createMaps<KernelMap>(object, new KernelMaps());
  let program: KernelProgram | undefined;
  let attached: XdpLink | undefined;
  const close = () => {
    attached?.close();
    program?.close();
    for (const map of maps.values()) map.close();
  };
  try {
    const tables = new HealthcheckTables(maps);
    tables.setInterface(link.index);
    for (const source of sources) tables.setSource(source);
    program = loadKernelProgram(spec, [...maps.values()], object.license, object.btf);
    attached = program.attachTc(link.index, 'egress');
    const capacity = maps.get('hc_reals_map')?.spec.maxEntries ?? 0;
    return { tables, openMarked, capacity, close };
  } catch (error) {
    close();
    throw error;
  }
}
