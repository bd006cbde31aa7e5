import { readdirSync, readFileSync } from 'node:fs';
import { until } from '../../demo/lines.js';
import { RING_SIZE } from '../../lb/balancer/schema.js';
import type { VipKey } from '../../lb/balancer/tables.js';
import type { Datapath, DatapathOptions } from '../../lb/datapath.js';
import { parseIp, parseMac } from '../../lb/net/address.js';
import { isOffloadOn } from '../../lb/sys/ethtool.js';
import { addVeth, sh, Wire } from './namespace.js';
import { hex, mac, tcpFrame } from './packets.js';
import { encapsulated } from './packets-encap.js';

export const DEVICE = 'dp0';
export const PEER = 'dp1';
export const VIP: VipKey = { address: parseIp('198.51.100.10'), port: 80, protocol: 'tcp' };
export const CLIENT = '203.0.113.77';
export const ROUTER_MAC = '00:00:de:ad:be:af';
const REAL = '10.0.0.1';
/** What the queue between the ends of a veth holds without loss, with room to spare. */
const BURST_FRAMES = 200;

/** The datapath as it is built: its threads start from files. */
export async function builtDatapath(): Promise<typeof import('../../lb/datapath.js')> {
  return (await import(built('datapath'))) as typeof import('../../lb/datapath.js');
}

/** Address of a built module of the datapath. */
export function built(path: string): string {
  return new URL(`../../dist/lb/${path}.js`, import.meta.url).href;
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** What a datapath leaves in the host: nothing, when it is stopped or did not start. */
export interface Traces {
  readonly tables: string;
  readonly packetSockets: number;
  readonly threads: number;
  readonly isGroOn: boolean | undefined;
}

export function traces(): Traces {
  return {
    tables: sh('nft list tables'),
    packetSockets: packetSockets().length,
    threads: readdirSync('/proc/self/task').length,
    isGroOn: isOffloadOn(DEVICE, 'gro'),
  };
}

/** Inodes of the packet sockets in this namespace. */
export function packetSockets(): string[] {
  const lines = readFileSync('/proc/net/packet', 'utf8').trim().split('\n').slice(1);
  return lines.map((line) => line.split(/\s+/).at(-1)!).sort();
}

/** A frame of one of many flows to the VIP; `n` below 65536. */
export const flowFrame = (n: number, data?: Uint8Array): Uint8Array =>
  tcpFrame({ src: CLIENT, dst: '198.51.100.10', sport: n, dport: 80 }, data ? { data } : {});

/** What is to come back for a flow's frame. */
export const forwarded = (frame: Uint8Array, sport: number): Uint8Array =>
  encapsulated(frame, { real: REAL, client: CLIENT, sport, nextHop: mac(ROUTER_MAC) });

/** A datapath over one end of a veth; the test is at the other end. Its namespace is the test's. */
export class DatapathBed {
  readonly log: LogLine[] = [];
  readonly wire: Wire;
  datapath!: Datapath;

  /** Make the pair of interfaces; once in a namespace. */
  static prepare(): void {
    addVeth(DEVICE, PEER);
    sh(`ethtool -K ${DEVICE} gro on`);
  }

  private constructor() {
    this.wire = new Wire(PEER);
  }

  /** A running datapath with one VIP and one backend. */
  static async start(options: Partial<DatapathOptions> = {}): Promise<DatapathBed> {
    const bed = new DatapathBed();
    try {
      const { Datapath } = await builtDatapath();
      bed.datapath = await Datapath.start({ ...bed.options(), ...options });
    } catch (error) {
      bed.wire.close();
      throw error;
    }
    const { tables } = bed.datapath;
    tables.setRouterMac(parseMac(ROUTER_MAC));
    tables.putReal(1, parseIp(REAL));
    tables.putRing(0, new Uint32Array(RING_SIZE).fill(1));
    tables.putVip(VIP, { flags: 0, number: 0 });
    tables.putVipRing(0, 0);
    await bed.datapath.protectVips([VIP]);
    return bed;
  }

  options(): DatapathOptions {
    return {
      interface: DEVICE,
      workers: 2,
      connectionTableEntries: 10_000,
      log: (level, message, fields) => this.log.push({ level, message, ...fields }),
    };
  }

  /** Send frames of flows, and give what came back when it is all there or nothing more comes. */
  readonly exchange = async (
    flows: readonly number[],
    frameOf: (flow: number) => Uint8Array = (flow) => flowFrame(flow),
  ): Promise<Uint8Array[]> => {
    const came: Uint8Array[] = [];
    for (let at = 0; at < flows.length; at += BURST_FRAMES) {
      const burst = flows.slice(at, at + BURST_FRAMES);
      for (const flow of burst) this.wire.send(frameOf(flow));
      const wanted = came.length + burst.length;
      const end = performance.now() + 2000;
      while (came.length < wanted && performance.now() < end) {
        came.push(...this.wire.received());
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    return came;
  };

  /** Wait until a worker's state is as wanted. */
  readonly untilWorker = (
    index: number,
    what: string,
    isSo: (worker: ReturnType<Datapath['workers']>[number]) => boolean,
  ): Promise<unknown> => until(`worker ${index} to ${what}`, () => isSo(this.datapath.workers()[index]!));

  async stop(): Promise<void> {
    await this.datapath.stop();
    this.wire.close();
  }
}

/** Frames in an order of their own, to compare those of several workers. */
export const sorted = (frames: readonly Uint8Array[]): string[] => frames.map(hex).sort();
