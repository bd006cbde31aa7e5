import { setImmediate as nextTurn } from 'node:timers/promises';
import type { PacketStats, Reason, ServerIdStats } from '../lb/index.js';
import type { ApiContext } from './grpc/context.js';
import type { Backend, Vip } from './state/model.js';

/** Resources that are read before others get their turn. */
const SLICE = 100;

/** What is counted for a VIP. */
export interface VipCounts {
  readonly vip: Vip;
  readonly packets: PacketStats;
  readonly newConnections: bigint;
  /** Reasons that have packets. */
  readonly reasons: readonly (readonly [Reason, bigint])[];
  readonly serverIds: ServerIdStats;
  readonly tunnelPackets: bigint;
}

/** What is counted for a backend. */
export interface BackendCounts {
  readonly backend: Backend;
  readonly packets: PacketStats;
  readonly newConnections: bigint;
  readonly trackedFlows: number;
}

/** The counters of VIPs and backends at one time: each is read once a scrape, and others have their turn in between. */
export class Sweep {
  readonly #context: ApiContext;
  #vips: readonly VipCounts[] = [];
  #backends: readonly BackendCounts[] = [];
  #noVip: readonly (readonly [Reason, bigint])[] = [];
  #trackedFlows = 0;
  #running: Promise<void> | undefined;

  constructor(context: ApiContext) {
    this.#context = context;
  }

  /** As of the last time that they were read. VIPs and backends that have no place in the tables are left out. */
  get vips(): readonly VipCounts[] {
    return this.#vips;
  }
  get backends(): readonly BackendCounts[] {
    return this.#backends;
  }
  /** Packets whose VIP was not known, by reason. */
  get noVip(): readonly (readonly [Reason, bigint])[] {
    return this.#noVip;
  }

  /** Entries of the connection tables, of whatever backend. */
  get trackedFlows(): number {
    return this.#trackedFlows;
  }

  /** Read them anew; who asks meanwhile waits for the same reading. */
  take(): Promise<void> {
    this.#running ??= this.#take().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #take(): Promise<void> {
    const { reconciler, datapath } = this.#context;
    const { tables } = datapath;
    const { state } = reconciler.store;
    const vips: VipCounts[] = [];
    for (const vip of state.vips.values()) {
      // Asked for at each: it may go while others have their turn, and its number to another.
      const number = reconciler.vipNumber(vip.name);
      if (number === undefined) continue;
      vips.push({
        vip,
        packets: tables.vipStats(number),
        newConnections: tables.vipNewFlows(number),
        reasons: this.#reasons(number),
        serverIds: tables.serverIdStats(number),
        tunnelPackets: tables.decapVipPackets(number),
      });
      if (vips.length % SLICE === 0) await nextTurn();
    }
    const flows = reconciler.flows.recent();
    this.#trackedFlows = [...flows.values()].reduce((sum, count) => sum + count, 0);
    const backends: BackendCounts[] = [];
    for (const backend of state.backends.values()) {
      const index = reconciler.realIndex(backend);
      if (index === undefined) continue;
      backends.push({
        backend,
        packets: tables.realStats(index),
        newConnections: tables.realNewFlows(index),
        trackedFlows: flows.get(index) ?? 0,
      });
      if (backends.length % SLICE === 0) await nextTurn();
    }
    this.#vips = vips;
    this.#backends = backends;
    this.#noVip = this.#reasons('none');
  }

  #reasons(vipNumber: number | 'none'): (readonly [Reason, bigint])[] {
    const stats = this.#context.datapath.tables.reasonStats(vipNumber);
    return Object.entries(stats).flatMap(([reason, { packets }]): (readonly [Reason, bigint])[] =>
      // The names of the entries are those of the reasons.
      packets > 0n ? [[reason as Reason, packets]] : [],
    );
  }
}
