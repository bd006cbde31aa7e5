import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { probeOnce } from '../../control-plane/health/runner.js';
import { firstStart, nextStart, phaseOf, type Schedule } from '../../control-plane/health/schedule.js';
import type { ProbeResult } from '../../control-plane/health/types.js';
import { TICK_MS, TimerWheel } from '../../control-plane/health/wheel.js';
import { FakeClock } from './fake-clock.js';

const NOW = 1_800_000_000_000;
const timing = { intervalMs: 1000, fastIntervalMs: 200, jitterPercent: 10, initialDelayMs: 0 };

describe('the places of probes', () => {
  it('two probes are never more than the interval apart, and a change is confirmed by the fast interval', () => {
    fc.assert(
      fc.property(
        fc.record({
          intervalMs: fc.integer({ min: 100, max: 60_000 }),
          jitterPercent: fc.integer({ min: 0, max: 50 }),
          phase: fc.double({ min: 0, max: 0.999999, noNaN: true }),
          random: fc.infiniteStream(fc.double({ min: 0, max: 0.999999, noNaN: true })),
          confirming: fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
        }),
        ({ intervalMs, jitterPercent, phase, random, confirming }) => {
          const fastIntervalMs = intervalMs / 2;
          const schedule: Schedule = {
            timing: { intervalMs, fastIntervalMs, jitterPercent, initialDelayMs: 0 },
            phase,
            random: () => random.next().value,
          };
          let lastMs = firstStart(schedule, NOW, 1);
          for (const isConfirming of confirming) {
            const next = nextStart(schedule, lastMs, isConfirming);
            expect(next).toBeGreaterThan(lastMs);
            expect(next - lastMs).toBeLessThanOrEqual((isConfirming ? fastIntervalMs : intervalMs) + 0.01);
            lastMs = next;
          }
        },
      ),
    );
  });

  it('without jitter a check keeps exactly to its interval', () => {
    const schedule = { timing: { ...timing, jitterPercent: 0 }, phase: 0.3, random: () => 0 };
    let lastMs = nextStart(schedule, NOW, false);
    for (let i = 0; i < 1000; i++) {
      const next = nextStart(schedule, lastMs, false);
      expect(Math.abs(next - lastMs - 1000)).toBeLessThan(0.01);
      lastMs = next;
    }
  });

  it('the phase is the same for the same names, and another on another node', () => {
    expect(phaseOf('a', 'k', 'c')).toBe(phaseOf('a', 'k', 'c'));
    expect(phaseOf('a', 'k', 'c')).not.toBe(phaseOf('b', 'k', 'c'));
    expect(phaseOf('a', 'k', 'c')).not.toBe(phaseOf('a', 'kc', ''));
  });

  const slots = 100;
  const targets = 5000;
  /** How many of 5,000 targets probe in the fullest hundredth of a second that begins at `fromMs`. */
  function fullest(startsMs: readonly number[], fromMs: number): number {
    const counts = new Array<number>(slots).fill(0);
    for (const ms of startsMs) {
      const slot = Math.floor(((ms - fromMs) / 1000) * slots);
      if (slot >= 0 && slot < slots) counts[slot]!++;
    }
    return Math.max(...counts);
  }
  // 50 are expected in each; more than 90 (mean + 5.6 σ) in any of the hundred is no chance.
  const HERD = 90;
  const schedules = Array.from({ length: targets }, (_, i) => ({
    timing,
    phase: phaseOf('node', `pools/web/backends/10.0.${i >> 8}.${i & 255}`, 'tcp'),
    random: Math.random,
  }));

  it('no herd at first, when 5,000 targets are new at once', () => {
    expect(
      fullest(
        schedules.map((schedule) => firstStart(schedule, NOW, targets)),
        NOW,
      ),
    ).toBeLessThan(HERD);
  });

  it('no herd later, nor after all of them failed and were tried again fast', () => {
    let lasts = schedules.map((schedule) => firstStart(schedule, NOW, targets));
    const goTo = (untilMs: number, isConfirming: boolean) => {
      lasts = lasts.map((lastMs, i) => {
        let ms = lastMs;
        while (ms < untilMs) ms = nextStart(schedules[i]!, ms, isConfirming);
        return ms;
      });
    };
    goTo(NOW + 10_000, false);
    expect(fullest(lasts, NOW + 10_000)).toBeLessThan(HERD);
    goTo(NOW + 12_000, true);
    goTo(NOW + 20_000, false);
    expect(fullest(lasts, NOW + 20_000)).toBeLessThan(HERD);
  });

  it('a single new target is probed at once', () => {
    expect(firstStart({ timing, phase: 0.99, random: () => 0 }, NOW, 1) - NOW).toBeLessThan(1);
  });

  it('unless it is to be left alone at first', () => {
    const schedule = { timing: { ...timing, initialDelayMs: 5000 }, phase: 0, random: () => 0 };
    expect(firstStart(schedule, NOW, 1)).toBe(NOW + 5000);
  });
});

describe('the wheel', () => {
  it('runs each timer once, at the first tick at or after its time', async () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const beganMs = clock.nowMs();
    const ran: [number, number][] = [];
    // Below a turn, about a turn, several turns.
    const delays = [0, 1, 9, 10, 11, 500, 10_230, 10_240, 10_250, 45_000, 100_000];
    for (const delayMs of delays)
      wheel.at(beganMs + delayMs, () => ran.push([delayMs, clock.nowMs() - beganMs]));
    expect(wheel.size).toBe(delays.length);
    await clock.advance(200_000);
    // Those of one tick in no promised order.
    expect(ran.map(([delayMs]) => delayMs).sort((a, b) => a - b)).toEqual(delays);
    for (const [delayMs, atMs] of ran) {
      expect(atMs).toBeGreaterThanOrEqual(delayMs);
      expect(atMs - delayMs).toBeLessThanOrEqual(TICK_MS);
    }
    expect([wheel.size, clock.pending]).toEqual([0, 0]);
  });

  it('what is taken back does not run, even by another timer of the same tick', async () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const ran: string[] = [];
    const at = clock.nowMs() + 100;
    const entries: { cancel(): void }[] = [];
    for (const name of ['a', 'b', 'c']) {
      entries.push(
        wheel.at(at, () => {
          ran.push(name);
          for (const entry of entries) entry.cancel();
        }),
      );
    }
    wheel.at(at, () => {}).cancel();
    await clock.advance(1000);
    expect(ran).toHaveLength(1);
    expect([wheel.size, clock.pending]).toEqual([0, 0]);
  });

  it('loses nothing when the process stalls for longer than a turn', async () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const beganMs = clock.nowMs();
    let ran = 0;
    for (let delayMs = 0; delayMs < 40_000; delayMs += 7) wheel.at(beganMs + delayMs, () => ran++);
    clock.stall(30_000);
    await clock.advance(0);
    expect(ran).toBe(Math.ceil(30_001 / 7));
    await clock.advance(20_000);
    expect(ran).toBe(Math.ceil(40_000 / 7));
  });

  it('agrees with a sorted list on random timers, set, taken back and set by timers', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 30_000 }), fc.constantFrom('run', 'cancel', 'again')), {
          maxLength: 50,
        }),
        async (plan) => {
          const clock = new FakeClock();
          const wheel = new TimerWheel(clock);
          let ran = 0;
          for (const [delayMs, what] of plan) {
            const entry = wheel.at(clock.nowMs() + delayMs, () => {
              ran++;
              if (what === 'again') wheel.at(clock.nowMs() + delayMs, () => ran++);
            });
            if (what === 'cancel') entry.cancel();
          }
          await clock.advance(70_000);
          const expected = { run: 1, cancel: 0, again: 2 };
          expect(ran).toBe(plan.reduce((sum, [, what]) => sum + expected[what as keyof typeof expected], 0));
          expect([wheel.size, clock.pending]).toEqual([0, 0]);
        },
      ),
    );
  });

  it('clear takes all back', async () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const entries = [10, 20_000].map((ms) => wheel.at(clock.nowMs() + ms, () => expect.unreachable()));
    wheel.clear();
    for (const entry of entries) entry.cancel();
    await clock.advance(30_000);
    expect([wheel.size, clock.pending]).toEqual([0, 0]);
  });
});

describe('the time of a probe', () => {
  const TIMEOUT_MS = 500;
  /** A probe of a target that answers when the test says; when its time was over, if it was. */
  function probing(clock: FakeClock) {
    const controller = new AbortController();
    const began = clock.nowMs();
    let endedMs: number | undefined;
    controller.signal.addEventListener('abort', () => {
      endedMs = clock.nowMs() - began;
    });
    const wheel = new TimerWheel(clock);
    const probe = () => new Promise<ProbeResult>(() => {});
    void probeOnce({ clock, wheel }, controller, probe, { timeoutMs: TIMEOUT_MS });
    return { endedMs: () => endedMs };
  }

  it('is its timeout', async () => {
    const clock = new FakeClock();
    const { endedMs } = probing(clock);
    await clock.advance(2000);
    expect(endedMs()).toBeGreaterThanOrEqual(TIMEOUT_MS);
    expect(endedMs()).toBeLessThanOrEqual(TIMEOUT_MS + TICK_MS);
  });

  it('is longer by what the process stood still when it was over', async () => {
    const clock = new FakeClock();
    const { endedMs } = probing(clock);
    await clock.advance(300);
    clock.stall(400);
    await clock.advance(0);
    expect(endedMs()).toBeUndefined();
    await clock.advance(2000);
    expect(endedMs()).toBeGreaterThanOrEqual(700 + 200);
    expect(endedMs()).toBeLessThanOrEqual(700 + 200 + TICK_MS);
  });

  it('is twice its timeout at most in a process that stands still again and again', async () => {
    const clock = new FakeClock();
    const { endedMs } = probing(clock);
    for (let ms = 0; ms < 3000 && endedMs() === undefined; ms += 200) {
      clock.stall(200);
      await clock.advance(0);
    }
    expect(endedMs()).toBeLessThanOrEqual(2 * TIMEOUT_MS + 3 * 200);
  });
});
