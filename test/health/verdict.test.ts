import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Health } from '../../control-plane/health/types.js';
import {
  combine,
  DEFAULT_DAMPING,
  initialVerdict,
  isConfirming,
  observe,
  type Verdict,
  type VerdictRules,
} from '../../control-plane/health/verdict.js';
import { resultOf } from './checks.js';

const RULES: VerdictRules = { rise: 2, fall: 3, firstResultDecides: true, damping: DEFAULT_DAMPING };

/** Results one second apart: + passes, - fails, ! fails by this host's fault. */
function run(results: string, rules = RULES, begin = initialVerdict(0)): Verdict[] {
  const states: Verdict[] = [];
  let verdict = begin;
  for (const [i, letter] of [...results].entries()) {
    verdict = observe(verdict, resultOf(letter === '+', (i + 1) * 1000, { local: letter === '!' }), rules);
    states.push(verdict);
  }
  return states;
}

const LETTER: Readonly<Record<Health, string>> = { healthy: 'H', unhealthy: 'U', unknown: '?' };
const letters = (verdicts: readonly Verdict[]) => verdicts.map(({ state }) => LETTER[state]).join('');

describe('state after each result', () => {
  const rows: readonly [
    rule: string,
    results: string,
    states: string,
    rules: Partial<VerdictRules>,
    begin?: Health,
  ][] = [
    ['a first pass decides at once', '+', 'H', {}],
    ['a first failure decides at once', '-', 'U', {}],
    ['without it a new target needs `rise` passes', '+-++', '???H', { firstResultDecides: false }],
    ['without it a new target needs `fall` failures', '--+---', '?????U', { firstResultDecides: false }],
    ['`fall` failures in a row', '+---', 'HHHU', {}],
    ['fewer do not count', '+--+--+', 'HHHHHHH', {}],
    ['`rise` passes in a row', '-++', 'UUH', {}],
    ['fewer passes do not count', '-+-+-', 'UUUUU', {}],
    ['one of each', '+-+-', 'HUHU', { rise: 1, fall: 1 }],
    ['a target from before a restart stays until `fall` failures', '---', 'HHU', {}, 'healthy'],
    ['one that was down stays down until `rise` passes', '++', 'UH', {}, 'unhealthy'],
    ['a fault of this host decides nothing', '+!!!!!-', 'HHHHHHH', {}],
    ['nor for a new target', '!!!+', '???H', {}],
    ['nor does it break a row', '+-!-!-', 'HHHHHU', {}],
  ];
  for (const [rule, results, states, rules, begin] of rows) {
    it(`${rule}: ${results} → ${states}`, () => {
      const verdicts = run(results, { ...RULES, ...rules }, initialVerdict(0, begin));
      expect(letters(verdicts)).toBe(states);
    });
  }

  it('agrees with a plain model on random results', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 60 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        (oks, rise, fall) => {
          const damping = { ...DEFAULT_DAMPING, maxChanges: 1000 };
          const verdicts = run(oks.map((ok) => (ok ? '+' : '-')).join(''), {
            rise,
            fall,
            firstResultDecides: true,
            damping,
          });
          for (const [i, { state, consecutive }] of verdicts.entries()) {
            const row = oks.slice(0, i + 1);
            const same = row.length - 1 - row.lastIndexOf(!row[i]);
            expect(consecutive).toBe(same);
            const before = i === 0 ? 'unknown' : verdicts[i - 1]!.state;
            const toward = row[i] ? 'healthy' : 'unhealthy';
            const enough = i === 0 || same >= (row[i] ? rise : fall);
            expect(state).toBe(enough ? toward : before);
          }
        },
      ),
    );
  });
});

describe('what the status tells', () => {
  it('since when, the last result, the last error, how many in a row', () => {
    const [, , , down, , up] = run('+---++');
    expect(down).toMatchObject({ state: 'unhealthy', sinceMs: 4000, consecutive: 3 });
    expect(up).toMatchObject({ state: 'healthy', sinceMs: 6000, consecutive: 2, everHealthy: true });
    expect(up?.last).toMatchObject({ ok: true, atMs: 6000 });
    expect(up?.lastError).toMatchObject({ ok: false, atMs: 4000 });
  });

  it('a fault of this host is the last error and not the last result', () => {
    const [, seen] = run('+!');
    expect(seen?.last?.ok).toBe(true);
    expect(seen?.lastError?.local).toBe(true);
  });

  it('a change is being confirmed while the last result speaks against the state', () => {
    expect(isConfirming(initialVerdict(0), 0)).toBe(true);
    expect(isConfirming(initialVerdict(0, 'healthy'), 0)).toBe(false);
    expect(run('+-+---+').map((verdict) => isConfirming(verdict, 0))).toEqual([
      false,
      true,
      false,
      true,
      true,
      false,
      true,
    ]);
  });
});

describe('flap damping', () => {
  const damping = { maxChanges: 3, windowMs: 100_000, holdMs: 10_000, maxHoldMs: 40_000 };
  const rules: VerdictRules = { rise: 1, fall: 1, firstResultDecides: true, damping };

  it('holds a target that changed too often, although it passes', () => {
    // Down at 2 s, up at 3 s, down at 4 s (three changes), up at 5 s, down at 6 s: the fifth, held until 16 s.
    const verdicts = run('+-+-+-++++++++++++', rules);
    expect(letters(verdicts)).toBe('HUHUHUUUUUUUUUUHHH');
    expect(verdicts[5]).toMatchObject({ flapping: true, heldUntilMs: 16_000 });
    expect(verdicts[15]).toMatchObject({ state: 'healthy', flapping: true, heldUntilMs: undefined });
  });

  it('holds longer each time, up to a limit', () => {
    let verdict = initialVerdict(0);
    let atMs = 0;
    const holds: number[] = [];
    while (holds.length < 5) {
      verdict = observe(verdict, resultOf(true, ++atMs * 1000), rules);
      if (verdict.state !== 'healthy') continue;
      verdict = observe(verdict, resultOf(false, ++atMs * 1000), rules);
      if (verdict.heldUntilMs !== undefined) holds.push(verdict.heldUntilMs - atMs * 1000);
    }
    expect(holds).toEqual([10_000, 20_000, 40_000, 40_000, 40_000]);
  });

  it('starts over after a calm window', () => {
    const [last] = run('+-+-+-', rules).slice(-1);
    let verdict = observe(last!, resultOf(true, 17_000), rules);
    expect(verdict.state).toBe('healthy');
    verdict = observe(verdict, resultOf(true, 300_000), rules);
    expect(verdict.flapping).toBe(false);
    for (let i = 0; i < 5; i++) verdict = observe(verdict, resultOf(i % 2 === 1, 400_000 + i * 1000), rules);
    expect(verdict.heldUntilMs).toBe(404_000 + 10_000);
  });

  it('does not hold one that changes seldom', () => {
    let verdict = initialVerdict(0);
    for (let i = 0; i < 40; i++) verdict = observe(verdict, resultOf(i % 2 === 0, i * 60_000), rules);
    expect(verdict).toMatchObject({ state: 'unhealthy', flapping: false, heldUntilMs: undefined });
  });

  it('one that simply stays down after a hold is not called flapping for ever', () => {
    let verdict = run('+-+-+-', rules).at(-1)!;
    for (let s = 7; s < 200; s++) verdict = observe(verdict, resultOf(false, s * 1000), rules);
    expect(verdict).toMatchObject({ state: 'unhealthy', flapping: false });
  });
});

describe('several checks of a target', () => {
  const of = (state: Health, atMs: number): Verdict => ({
    ...initialVerdict(atMs, state),
    last: resultOf(state === 'healthy', atMs, { detail: `${state} at ${atMs}` }),
  });
  const rows: readonly [rule: string, states: readonly Health[], combined: Health][] = [
    ['all pass', ['healthy', 'healthy'], 'healthy'],
    ['one fails', ['healthy', 'unhealthy', 'unknown'], 'unhealthy'],
    ['one has not decided', ['healthy', 'unknown'], 'unknown'],
  ];
  for (const [rule, states, combined] of rows) {
    it(`${rule} → ${combined}`, () => {
      expect(combine(states.map((state, i) => of(state, i * 1000))).state).toBe(combined);
    });
  }

  it('healthy since the last of them, unhealthy since the first', () => {
    expect(combine([of('healthy', 1), of('healthy', 5)]).sinceMs).toBe(5);
    expect(combine([of('unhealthy', 7), of('unhealthy', 3), of('healthy', 9)]).sinceMs).toBe(3);
  });

  it('the result that is shown is that of a check that speaks', () => {
    expect(combine([of('unhealthy', 3), of('healthy', 9)]).last?.detail).toBe('unhealthy at 3');
  });
});
