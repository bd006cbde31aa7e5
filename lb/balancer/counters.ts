import type { MapSet } from './map-set.js';
import { DROP_REASONS, PASS_REASONS, REASON_NAMES, type Reason, VIP_REASONS } from './reasons.js';
import { encode, VIP_DEFINITION } from './schema.js';
import {
  type CounterName,
  type CounterValue,
  type DropStats,
  type FrameStats,
  framesByCpu,
  type PacketStats,
  type PassStats,
  type QuicStats,
  readCounters,
  readQuicStats,
  readReasons,
  readStableRoutingStats,
  readTcpServerIdStats,
  type ServerIdStats,
  type StableRoutingStats,
  sumLongs,
  sumPackets,
  sumStats,
  sumWords,
  type TcpServerIdStats,
} from './stats.js';
import { singleVipBytes, type VipKey } from './vip-key.js';

/** Everything that the balancer counts, read from its maps and summed over all CPUs. */
export class CounterTables {
  readonly #maps: MapSet;

  constructor(maps: MapSet) {
    this.#maps = maps;
  }

  /** Packets and IP bytes that went to backends, by VIP number. */
  vipStats(number: number): PacketStats {
    this.#maps.limits.checkVip(number);
    return sumPackets(this.#maps.get('stats'), number);
  }

  /** Packets and IP bytes that went to a backend. */
  realStats(index: number): PacketStats {
    this.#maps.limits.checkReal(index);
    return sumPackets(this.#maps.get('reals_stats'), index);
  }

  /** New connections of a VIP, by its number: TCP packets that open one, and UDP packets that no table knows. */
  vipNewFlows(number: number): bigint {
    this.#maps.limits.checkVip(number);
    return sumLongs(this.#maps.get('vip_new_flows'), number);
  }

  /** New connections that went to a backend. */
  realNewFlows(index: number): bigint {
    this.#maps.limits.checkReal(index);
    return sumLongs(this.#maps.get('real_new_flows'), index);
  }

  /** All global counters, by the names of COUNTERS. */
  counters(): Readonly<Record<CounterName, CounterValue>> {
    return readCounters(this.#maps.get('stats'));
  }

  /** Frames and what became of them by CPU (worker): every CPU that the maps have, used or not. */
  frames(): readonly FrameStats[] {
    return framesByCpu(this.#maps.get('stats'));
  }

  /**
   * Packets and frame bytes of a VIP by reason, those that went to backends excepted; 'none': packets that ended before a
   * VIP was known.
   */
  reasonStats(vipNumber: number | 'none'): Readonly<Record<Reason, PacketStats>> {
    return this.#reasons(vipNumber, REASON_NAMES);
  }

  /** Dropped packets, as reasonStats has them. */
  dropStats(vipNumber: number | 'none'): DropStats {
    return this.#reasons(vipNumber, DROP_REASONS);
  }

  /** Packets that were left to the host, as reasonStats has them. */
  passStats(vipNumber: number | 'none'): PassStats {
    return this.#reasons(vipNumber, PASS_REASONS);
  }

  /** Server ids in QUIC connection ids. */
  quicStats(): QuicStats {
    return readQuicStats(this.#maps.get('quic_stats_map'));
  }

  /** Server ids in a TCP option. */
  tcpServerIdStats(): TcpServerIdStats {
    return readTcpServerIdStats(this.#maps.get('tpr_stats_map'));
  }

  /** Server ids in the header of UDP stable routing. */
  stableRoutingStats(): StableRoutingStats {
    return readStableRoutingStats(this.#maps.get('stable_rt_stats'));
  }

  /** Packets of a VIP with and against server ids. */
  serverIdStats(vipNumber: number): ServerIdStats {
    this.#maps.limits.checkVip(vipNumber);
    const { v1, v2 } = sumStats(this.#maps.get('server_id_stats'), vipNumber);
    return { withoutId: v1, mismatches: v2 };
  }

  /** Packets for a VIP that came in a tunnel for this host. */
  decapVipPackets(vipNumber: number): bigint {
    this.#maps.limits.checkVip(vipNumber);
    return sumStats(this.#maps.get('decap_vip_stats'), vipNumber).v1;
  }

  /**
   * Count new connections by backend for one VIP from now on; undefined: for none.
   * @throws TablesError TABLES_PREFIX_VIP for a VIP that is a prefix
   */
  watchMisses(vip: VipKey | undefined): void {
    const key =
      vip === undefined
        ? encode(VIP_DEFINITION, { address: new Uint8Array(16), port: 0, protocol: 0 })
        : singleVipBytes(vip, 'misses by backend');
    this.#maps.update('vip_miss_stats', new Uint8Array(4), key);
    this.#maps.clear('lru_miss_stats', 0, this.#maps.get('lru_miss_stats').spec.maxEntries);
  }

  /** New connections of the watched VIP that went to a backend. */
  missesOf(realIndex: number): number {
    this.#maps.limits.checkReal(realIndex);
    return sumWords(this.#maps.get('lru_miss_stats'), realIndex);
  }

  /** Zero what is counted for a VIP's number. */
  protected clearVipCounters(number: number): void {
    for (const name of ['stats', 'server_id_stats', 'decap_vip_stats', 'vip_new_flows'] as const)
      this.#maps.clear(name, number);
    this.#maps.clear('reason_stats', number * VIP_REASONS, VIP_REASONS);
  }

  /** Zero what is counted for a backend. */
  protected clearRealCounters(index: number): void {
    for (const name of ['reals_stats', 'real_new_flows', 'lru_miss_stats'] as const)
      this.#maps.clear(name, index);
  }

  #reasons<R extends Reason>(
    vipNumber: number | 'none',
    reasons: readonly R[],
  ): Readonly<Record<R, PacketStats>> {
    if (vipNumber !== 'none') this.#maps.limits.checkVip(vipNumber);
    const slot = vipNumber === 'none' ? undefined : vipNumber;
    return readReasons(this.#maps.get('reason_stats'), slot, reasons);
  }
}
