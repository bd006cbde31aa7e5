import type { ControlledDatapath } from '../../control-plane/control.js';
import { EventReader, type EventSource } from '../../lb/balancer/events.js';
import {
  BALANCER_PROGRAM,
  type BalancerOptions,
  balancerObject,
  withOptions,
} from '../../lb/balancer/object.js';
import { BalancerTables, formatVip, type VipKey } from '../../lb/balancer/tables.js';
import { XDP_PASS, XDP_TX } from '../../lb/bpf/engine/context.js';
import { loadObject } from '../../lb/bpf/object/load.js';
import { Replay, type ReplayResult } from '../../lb/engine/replay.js';
import { BpfInspector, type WorkerStatus } from '../../lb/index.js';
import {
  formatIp,
  type IpAddress,
  ipFromBytes,
  type Mac,
  macFromBytes,
  parseMac,
} from '../../lb/net/address.js';
import type { FlowSimulator, Simulation } from '../../lb/simulate.js';
import { datapathEngine } from './datapath-engine.js';
import { type Endpoints, TCP_FLAGS, tcpFrame } from './packets.js';

const CONNECTION_TABLE_ENTRIES = 1024;

/** MAC address that a backend answers with: its last address bytes. */
export function macOf(address: IpAddress): Mac {
  return macFromBytes(Uint8Array.of(2, 0, ...address.bytes.subarray(-4)));
}

/**
 * A datapath without sockets: the real tables, in an arena or in the kernel, the real program over frames that a test hands in.
 * Next hops, the host's own addresses and the workers are as the test sets them.
 */
export class MemoryDatapath implements ControlledDatapath {
  readonly replay = datapathEngine(CONNECTION_TABLE_ENTRIES);
  readonly tables = new BalancerTables(this.replay.maps, { host: this.replay.host });
  readonly inspector = new BpfInspector({
    programs: () => [
      {
        name: BALANCER_PROGRAM,
        type: 'xdp',
        engine: 'interpreter',
        instructions: 1616,
        codeBytes: 0,
        loadedAtMs: 5000,
        loadUs: 1500,
        runs: 4n,
        runNs: 1000n,
        maps: ['vip_map'],
      },
    ],
    maps: () => this.replay.inspected(),
    btf: balancerObject().btf,
  });
  readonly mode = 'af_packet';
  readonly link: ControlledDatapath['link'] = {
    name: 'test0',
    index: 7,
    mac: parseMac('02:00:00:00:00:01'),
    mtu: 1500,
  };
  /** VIPs that the host is kept from, as formatVip writes them. */
  readonly shielded = new Set<string>();
  /** Addresses of the host itself: no VIP may have one. */
  readonly hostAddresses = new Set<string>();
  /** Backends that do not answer on the link, by address: why, or '' for no answer yet. */
  readonly silent = new Map<string, string>();
  /** Addresses whose next hop was asked for. */
  readonly asked = new Set<string>();
  readonly #restarts = [0, 0];
  /** As they were set last. */
  options: BalancerOptions = {};
  #events: EventReader | undefined;
  #simulator: FlowSimulator | undefined;

  /** Loads and proves the object as the datapath does; frames go on through the program that is there. */
  async swapProgram(object: Uint8Array): Promise<void> {
    const replay = {
      program: BALANCER_PROGRAM,
      engine: 'jit',
      lruEntries: CONNECTION_TABLE_ENTRIES,
    } as const;
    new Replay({ ...replay, object: loadObject(object) });
  }

  /** Sets and proves them as the datapath does; frames go on through the program that is there. */
  async setOptions(options: BalancerOptions): Promise<void> {
    withOptions(balancerObject(), options);
    this.options = options;
  }

  events(): EventSource {
    this.#events ??= new EventReader(this.replay.events());
    return this.#events;
  }

  simulate(frame: Uint8Array): Simulation {
    this.#simulator ??= this.replay.simulator();
    return this.#simulator.ask(frame);
  }

  constructor() {
    const { host, cpus } = this.replay;
    this.tables.attachConnectionTables(host, cpus, CONNECTION_TABLE_ENTRIES);
  }

  /** Run the balancer over one frame. */
  run(frame: Uint8Array): ReplayResult {
    return this.replay.run(frame);
  }

  /** Where a TCP packet goes: the backend's address, `pass` or `drop`. */
  send(ends: Endpoints, flags: number = TCP_FLAGS.syn): string {
    const { verdict, frame } = this.run(tcpFrame(ends, { flags }));
    if (verdict === XDP_TX) return formatIp(ipFromBytes(frame.subarray(30, 34)));
    return verdict === XDP_PASS ? 'pass' : 'drop';
  }

  async protectVips(vips: readonly VipKey[]): Promise<void> {
    const local = vips.map(({ address }) => formatIp(address)).find((text) => this.hostAddresses.has(text));
    if (local !== undefined) throw new Error(`${local} is an address of this host`);
    for (const vip of vips) this.shielded.add(formatVip(vip));
  }

  async unprotectVips(vips: readonly VipKey[]): Promise<void> {
    for (const vip of vips) this.shielded.delete(formatVip(vip));
  }

  resolveNextHop(address: IpAddress): ReturnType<ControlledDatapath['resolveNextHop']> {
    const text = formatIp(address);
    this.asked.add(text);
    const reason = this.silent.get(text);
    if (reason === undefined) return { mac: macOf(address), via: address };
    return reason === '' ? { pending: true, via: address } : { unreachable: true, reason };
  }

  workers(): WorkerStatus[] {
    return this.#restarts.map((restarts, index) => ({
      index,
      state: 'running',
      restarts,
      lastFault: restarts > 0 ? 'killed' : undefined,
      counters: { received: 10n, transmitted: 9n, passed: 1n, dropped: 0n },
    }));
  }

  async restartWorker(index: number): Promise<void> {
    this.#restarts[index] = (this.#restarts[index] ?? 0) + 1;
  }
}
