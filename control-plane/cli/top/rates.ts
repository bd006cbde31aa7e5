import type { StatsSample__Output } from '../../grpc/generated/waggle/v1/StatsSample.js';
import { shortName } from '../arguments.js';
import { msOf } from '../duration.js';

/** What is measured of a VIP or a backend; all but `flows` a second. */
export interface Rates {
  readonly packets: number;
  readonly bits: number;
  /** New connections. */
  readonly connections: number;
  readonly drops: number;
  /** Entries of the connection tables; of backends alone. */
  readonly flows: number | undefined;
}

/** A VIP or a backend, and what it does. */
export interface RateRow extends Rates {
  /** As the command line has it: ID, POOL/ID. */
  readonly name: string;
}

/** A sample as rates. */
export interface RateSample {
  readonly timeMs: number;
  /** Seconds that it covers. */
  readonly seconds: number;
  /** Over all VIPs, with packets that were dropped before their VIP was known. */
  readonly total: Rates;
  readonly vips: readonly RateRow[];
  readonly backends: readonly RateRow[];
  readonly workers: { readonly running: number; readonly all: number };
  readonly missedSamples: number;
}

const sum = (values: Iterable<number>): number => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};

const countsOf = (drops: Readonly<Record<string, string>>) => sum(Object.values(drops).map(Number));

/**
 * Rates of a sample that holds differences.
 * @returns undefined for one that covers no time: the first
 */
export function ratesOf(sample: StatsSample__Output): RateSample | undefined {
  const seconds = (msOf(sample.period) ?? 0) / 1000;
  if (seconds <= 0) return undefined;
  const rate = (value: string | number) => Number(value) / seconds;
  const vips = sample.vips.map(({ vip, packets, bytes, newConnections, drops }) => ({
    name: shortName(vip),
    packets: rate(packets),
    bits: rate(bytes) * 8,
    connections: rate(newConnections),
    drops: rate(countsOf(drops)),
    flows: undefined,
  }));
  const backends = sample.backends.map(({ backend, packets, bytes, newConnections, trackedFlows }) => ({
    name: shortName(backend),
    packets: rate(packets),
    bits: rate(bytes) * 8,
    connections: rate(newConnections),
    drops: 0,
    flows: Number(trackedFlows),
  }));
  const { connections, workers } = sample;
  return {
    timeMs: Number(sample.time?.seconds ?? 0) * 1000 + (sample.time?.nanos ?? 0) / 1e6,
    seconds,
    total: {
      packets: sum(vips.map(({ packets }) => packets)),
      bits: sum(vips.map(({ bits }) => bits)),
      connections: sum(vips.map(({ connections: opened }) => opened)),
      drops: sum(vips.map(({ drops }) => drops)) + rate(countsOf(sample.drops)),
      flows: connections ? Number(connections.trackedFlows) : undefined,
    },
    vips,
    backends,
    workers: {
      running: workers.filter(({ state }) => state === 'STATE_RUNNING').length,
      all: workers.length,
    },
    missedSamples: Number(sample.missedSamples),
  };
}
