import { describe, expect, it } from 'vitest';
import { type PoolMember, type PoolPolicy, poolUse } from '../../control-plane/health/pool-health.js';

const HEALTH = { H: 'healthy', U: 'unhealthy', N: 'unhealthy', '?': 'unknown', D: 'healthy' } as const;

/** H healthy, U unhealthy, N unhealthy and never was healthy, ? unknown, D drained; a, b, c … by place. */
function members(letters: string): PoolMember[] {
  return [...letters].map((letter, i) => ({
    key: String.fromCharCode(97 + i),
    weight: letter === 'D' ? 0 : 1,
    health: HEALTH[letter as keyof typeof HEALTH],
    everHealthy: letter !== 'N' && letter !== '?',
  }));
}

const POLICY: PoolPolicy = { panicPercent: 50, belowFloor: 'last-resort' };

describe('who is used', () => {
  const rows: readonly [
    rule: string,
    letters: string,
    mode: string,
    used: string,
    policy?: Partial<PoolPolicy>,
  ][] = [
    ['all healthy', 'HHH', 'healthy', 'abc'],
    ['the healthy ones', 'HUH', 'healthy', 'ac'],
    ['exactly at the floor', 'HUHU', 'healthy', 'ac'],
    ['below the floor: all', 'HUUU', 'last-resort', 'abcd'],
    ['below the floor, by policy: none', 'HUUU', 'none', '', { belowFloor: 'drop' }],
    ['none healthy: all', 'UUU', 'last-resort', 'abc'],
    ['none healthy, a floor of 0: all', 'UUU', 'last-resort', 'abc', { panicPercent: 0 }],
    ['one healthy, a floor of 0: it alone', 'HUUUUUUUUU', 'healthy', 'a', { panicPercent: 0 }],
    ['a floor of 100: one failure is too many', 'HHHU', 'last-resort', 'abcd', { panicPercent: 100 }],
    ['unknown ones get no traffic', 'H?', 'healthy', 'a'],
    ['unknown ones do not count towards the floor', 'HU????', 'healthy', 'a'],
    ['unknown ones get no traffic below the floor either', 'HUU?', 'last-resort', 'abc'],
    ['only unknown ones: nobody', '???', 'none', ''],
    ['one that never worked is no resort', 'HUUN', 'last-resort', 'abc'],
    ['unless none ever worked', 'NN?', 'last-resort', 'ab'],
    ['drained ones are not used and do not count', 'DDDHU', 'healthy', 'd'],
    ['drained ones are no resort', 'DUU', 'last-resort', 'bc'],
    ['a pool of nobody', '', 'none', ''],
  ];
  for (const [rule, letters, mode, used, policy] of rows) {
    it(`${rule}: ${letters || 'empty'}`, () => {
      const use = poolUse(members(letters), { ...POLICY, ...policy }, 0);
      expect([use.mode, [...use.weights.keys()].join('')]).toEqual([mode, used]);
      expect(use.nextStepMs).toBeUndefined();
    });
  }
});

describe('slow start', () => {
  const slowStart = { windowMs: 40_000, minPercent: 20, steps: 4 };
  const policy: PoolPolicy = { ...POLICY, slowStart };
  const pool = (recoveredMs: number | undefined, letters = 'HHH'): PoolMember[] =>
    members(letters).map((member, i) =>
      i === 0 && recoveredMs !== undefined ? { ...member, weight: 3, recoveredMs } : member,
    );
  const at = (nowMs: number, recoveredMs = 100_000) => {
    const { weights, nextStepMs } = poolUse(pool(recoveredMs), policy, nowMs);
    return { weights: [...weights.values()], nextStepMs };
  };

  it('goes from the least to full in equal steps', () => {
    expect(at(100_000)).toEqual({ weights: [60, 100, 100], nextStepMs: 110_000 });
    expect(at(109_999)).toEqual({ weights: [60, 100, 100], nextStepMs: 110_000 });
    expect(at(110_000)).toEqual({ weights: [120, 100, 100], nextStepMs: 120_000 });
    expect(at(120_000)).toEqual({ weights: [180, 100, 100], nextStepMs: 130_000 });
    expect(at(130_000)).toEqual({ weights: [240, 100, 100], nextStepMs: 140_000 });
    expect(at(140_000)).toEqual({ weights: [3, 1, 1], nextStepMs: undefined });
  });

  it('steps are taken at the same moments whenever a backend recovers', () => {
    for (const recoveredMs of [100_001, 103_000, 109_999]) {
      expect(at(recoveredMs, recoveredMs).weights[0]).toBe(60);
      expect(at(119_999, recoveredMs).weights[0]).toBe(60);
      expect(at(120_000, recoveredMs)).toEqual({ weights: [120, 100, 100], nextStepMs: 130_000 });
    }
  });

  it('asking at each next step leads to the end in as many steps as were asked for', () => {
    let { nextStepMs } = at(103_000, 103_000);
    let steps = 0;
    for (; nextStepMs !== undefined; steps++) nextStepMs = at(nextStepMs, 103_000).nextStepMs;
    // One more: the first step is whole, from the next multiple on.
    expect(steps).toBeGreaterThanOrEqual(slowStart.steps);
    expect(steps).toBeLessThanOrEqual(slowStart.steps + 1);
  });

  it('a clock that goes back keeps the least weight', () => {
    expect(at(50_000).weights[0]).toBe(60);
  });

  it('a backend that never failed has its full weight', () => {
    expect([...poolUse(pool(undefined), policy, 100_000).weights.values()]).toEqual([1, 1, 1]);
  });

  it('where all start at once, the weights are as configured', () => {
    const all = members('HHH').map((member) => ({ ...member, recoveredMs: 100_000 }));
    expect([...poolUse(all, policy, 100_000).weights.values()]).toEqual([1, 1, 1]);
  });

  it('there is none below the floor', () => {
    const use = poolUse(pool(100_000, 'HUUU'), policy, 100_000);
    expect([use.mode, ...use.weights.values()]).toEqual(['last-resort', 3, 1, 1, 1]);
  });
});
