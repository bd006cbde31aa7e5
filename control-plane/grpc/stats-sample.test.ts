import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ReconcileBed } from '../../test/support/reconcile-bed.js';
import type { StatsSample } from './generated/waggle/v1/StatsSample.js';
import { tellSamples } from './stats.js';
import { askedFor, between, type Sample, sampleToProto } from './stats-sample.js';

const sampleOf = (timeMs: number, packets: bigint, more: Partial<Sample> = {}): Sample => ({
  timeMs,
  vips: new Map([
    ['vips/web', { packets, bytes: packets * 100n, newConnections: packets, drops: { fragment: packets } }],
  ]),
  backends: new Map([
    ['pools/web/backends/a', { packets, bytes: packets * 100n, newConnections: packets, trackedFlows: 7 }],
  ]),
  connections: { packets, tableMisses: 0n, tcpSynMisses: 0n, tcpOtherMisses: 0n },
  trackedFlows: 7,
  drops: { not_ip: packets },
  workers: [
    { index: 0, state: 'running', restarts: 2, lastFault: undefined, counters: { received: packets } },
  ],
  ...more,
});

describe('what was counted between two samples', () => {
  it('is the difference of what is counted, and what is no count as it is', () => {
    expect(between(sampleOf(1, 10n), sampleOf(2, 15n))).toEqual({
      ...sampleOf(2, 5n),
      // An entry of a table is there, and was not added.
      trackedFlows: 7,
    });
  });

  it('of a resource that is new is all of it', () => {
    const { vips } = between(sampleOf(1, 10n, { vips: new Map() }), sampleOf(2, 15n));
    expect(vips.get('vips/web')?.packets).toBe(15n);
  });

  it('of one that was made anew is what was counted since', () => {
    const { vips } = between(sampleOf(1, 10n), sampleOf(2, 3n));
    expect(vips.get('vips/web')).toEqual({
      packets: 3n,
      bytes: 300n,
      newConnections: 3n,
      drops: { fragment: 3n },
    });
  });

  it('of one that is gone is nothing', () => {
    expect(between(sampleOf(1, 10n), sampleOf(2, 15n, { vips: new Map() })).vips.size).toBe(0);
  });
});

it('a reason without a packet is left out', () => {
  const { vips, drops } = sampleToProto(sampleOf(1, 0n));
  expect([vips?.[0]?.drops, drops]).toEqual([{}, {}]);
});

describe('a client', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Tell samples at 100 ms to a client that takes its second one only after `slowMs`. */
  async function told(slowMs: number, deltas: boolean, forMs: number): Promise<StatsSample[]> {
    const stop = new AbortController();
    const samples: StatsSample[] = [];
    const startMs = performance.now();
    const running = tellSamples(
      async () => sampleOf(performance.now(), BigInt(Math.round(performance.now() - startMs))),
      { everyMs: 100, deltas, nowMs: () => performance.now() },
      {
        signal: stop.signal,
        write: async (sample) => {
          samples.push(sample);
          if (samples.length === 2) await new Promise((resolve) => setTimeout(resolve, slowMs));
        },
      },
    );
    await vi.advanceTimersByTimeAsync(forMs);
    stop.abort();
    await running;
    return samples;
  }

  it('that reads in time misses nothing', async () => {
    const samples = await told(0, false, 450);
    expect(samples.map(({ missedSamples }) => missedSamples)).toEqual(['0', '0', '0', '0', '0']);
    expect(samples[1]?.period).toEqual({ seconds: '0', nanos: 100_000_000 });
  });

  it('that reads slowly is told how many samples it missed, and of the time between', async () => {
    const samples = await told(350, true, 650);
    expect(samples.map(({ missedSamples }) => missedSamples)).toEqual([undefined, '0', '3', '0']);
    const [, , late] = samples;
    expect(late?.period).toEqual({ seconds: '0', nanos: 400_000_000 });
    expect(late?.vips?.[0]?.packets).toBe('400');
  });
});

it('a name that is asked for more than once is one name', async () => {
  const bed = new ReconcileBed();
  await bed.serve(1);
  const names = ['vips/web', 'pools/web/backends/a'];
  const once = askedFor(names, bed.store.state);
  expect(askedFor([...names, ...names], bed.store.state)).toEqual(once);
});
