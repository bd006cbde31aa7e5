import { performance } from 'node:perf_hooks';
import { Wake } from '../watch/wake.js';
import type { Surroundings } from './conduct.js';
import type { ApiContext } from './context.js';
import { timestampOf } from './convert-values.js';
import type { StatsSample } from './generated/waggle/v1/StatsSample.js';
import type { StatsServiceHandlers } from './generated/waggle/v1/StatsService.js';
import { askedFor, between, type Sample, sampleToProto, takeSample } from './stats-sample.js';
import { type ResponseStream, serverStream } from './stream.js';
import { unary } from './unary.js';
import { type DurationRule, durationMs } from './watch-request.js';

const INTERVAL: DurationRule = { minMs: 100, maxMs: 3_600_000, absentMs: 1_000, says: '100 ms to 1 h' };

/** GetStats and WatchStats of waggle.v1.StatsService. */
export function statsHandlers(
  context: ApiContext,
  around: Surroundings,
): Pick<StatsServiceHandlers, 'GetStats' | 'WatchStats'> {
  const { store } = context.reconciler;
  return {
    GetStats: unary(around, 'GetStats', async ({ resources }) =>
      sampleToProto(await takeSample(context, askedFor(resources, store.state), Date.now)),
    ),

    WatchStats: serverStream(around, 'WatchStats', async ({ resources, interval, deltas }, stream) => {
      const everyMs = durationMs('interval', interval, INTERVAL);
      const asked = askedFor(resources, store.state);
      const timing = { everyMs, deltas, nowMs: () => performance.now() };
      await tellSamples(() => takeSample(context, asked, Date.now), timing, stream);
    }),
  };
}

/** How samples are taken. */
export interface SampleTiming {
  readonly everyMs: number;
  /** What was added since the sample before, in the place of totals. */
  readonly deltas: boolean;
  /** A monotonic clock, ms. */
  readonly nowMs: () => number;
}

/** Send samples until the client goes. One that reads slowly is sent the next when it can take it, and told how many it missed. */
export async function tellSamples(
  take: () => Promise<Sample>,
  { everyMs, deltas, nowMs }: SampleTiming,
  { write, signal }: Pick<ResponseStream<StatsSample>, 'write' | 'signal'>,
): Promise<void> {
  const alarm = new Wake();
  let before: Sample | undefined;
  let missed = 0;
  // At whole intervals from the start: what a sample takes does not add up.
  let dueMs = nowMs();
  while (!signal.aborted) {
    const sample = await take();
    const period = before && sample.timeMs - before.timeMs;
    const missedSamples = String(missed);
    if (!deltas) await write({ ...sampleToProto(sample, period), missedSamples });
    else if (before === undefined) await write({ time: timestampOf(sample.timeMs) });
    else await write({ ...sampleToProto(between(before, sample), period), missedSamples });
    before = sample;
    // The write waited for the client: samples that were due meanwhile are not made up for.
    missed = Math.max(0, Math.floor((nowMs() - dueMs) / everyMs));
    dueMs += (missed + 1) * everyMs;
    await alarm.wait(dueMs - nowMs(), signal);
  }
}
