import { describe, expect, it } from 'vitest';
import { CallLimiter, type CallLimits, TokenBucket } from './rate-limit.js';

describe('a bucket', () => {
  it('gives its burst at once, then its rate', () => {
    const bucket = new TokenBucket({ perSecond: 2, burst: 3 }, 0);
    const taken = (nowMs: number) => {
      let count = 0;
      while (bucket.waitMs(nowMs) === 0) {
        bucket.take();
        count++;
      }
      return count;
    };
    expect(taken(0)).toBe(3);
    expect(bucket.waitMs(0)).toBe(500);
    expect(bucket.waitMs(400)).toBe(100);
    expect(taken(500)).toBe(1);
    expect(taken(60_000)).toBe(3);
  });
});

describe('calls', () => {
  const rates = { reads: { perSecond: 1, burst: 2 }, changes: { perSecond: 1, burst: 1 }, streams: 2 };
  const limiter = (all: Partial<CallLimits['all']> = {}) => {
    let nowMs = 0;
    const wide = {
      reads: { perSecond: 100, burst: 100 },
      changes: { perSecond: 100, burst: 100 },
      streams: 9,
    };
    const limits = new CallLimiter({ eachCaller: rates, all: { ...wide, ...all } }, () => nowMs);
    return { limits, pass: (ms: number) => (nowMs += ms) };
  };
  const refused = (fault: object) => expect.objectContaining({ fault: expect.objectContaining(fault) });

  it('are counted for each caller and kind', () => {
    const { limits, pass } = limiter();
    limits.count('a', 'changes');
    expect(() => limits.count('a', 'changes')).toThrow(
      refused({ code: 'ACCESS_RATE', subject: 'a', retryAfterMs: 1000 }),
    );
    limits.count('a', 'reads');
    limits.count('b', 'changes');
    pass(1000);
    limits.count('a', 'changes');
  });

  it('are counted for all together', () => {
    const { limits } = limiter({ changes: { perSecond: 1, burst: 2 } });
    limits.count('a', 'changes');
    limits.count('b', 'changes');
    expect(() => limits.count('c', 'changes')).toThrow(refused({ subject: 'all callers' }));
  });

  it('that are refused are not counted', () => {
    const { limits, pass } = limiter();
    limits.count('a', 'changes');
    for (let i = 0; i < 50; i++) expect(() => limits.count('a', 'changes')).toThrow();
    pass(1000);
    limits.count('a', 'changes');
  });

  it('that stay open are counted until they end', () => {
    const { limits } = limiter();
    const end = limits.open('a');
    limits.open('a');
    expect(() => limits.open('a')).toThrow(refused({ code: 'ACCESS_STREAMS', subject: 'a', limit: 2 }));
    end();
    end();
    limits.open('a');
    expect(() => limits.open('a')).toThrow();
  });

  it('of more callers than can be told apart keep the streams of each', () => {
    const { limits } = limiter({ reads: { perSecond: 1e6, burst: 1e6 } });
    limits.open('a');
    limits.open('a');
    for (let i = 0; i < 3000; i++) limits.count(`other ${i}`, 'reads');
    expect(() => limits.open('a')).toThrow(refused({ code: 'ACCESS_STREAMS' }));
  });
});
