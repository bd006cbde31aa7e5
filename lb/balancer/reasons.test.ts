import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  DROP_REASONS,
  PASS_REASONS,
  REASON_NAMES,
  REASONS,
  reasonOfCode,
  reasonRow,
  reasonsOf,
  VIP_REASON_NAMES,
  VIP_REASONS,
} from './reasons.js';

describe('reasons', () => {
  it('are found by their number, and no other number is one', () => {
    for (const name of REASON_NAMES) expect(reasonOfCode(REASONS[name].code)).toBe(name);
    expect([7, 31, 64, -1].map(reasonOfCode)).toEqual([undefined, undefined, undefined, undefined]);
  });

  it('are each of one kind, in the order of their numbers', () => {
    expect([...reasonsOf('answer'), ...DROP_REASONS, ...PASS_REASONS]).toEqual(REASON_NAMES);
    const codes = REASON_NAMES.map((name) => REASONS[name].code);
    expect(codes).toEqual(codes.toSorted((a, b) => a - b));
  });

  it('have a row of their own under each VIP that they are counted by, and one without a VIP', () => {
    const rows = [3, 4, 1024].flatMap((vip) => VIP_REASON_NAMES.map((reason) => reasonRow(reason, vip)!));
    const without = REASON_NAMES.map((reason) => reasonRow(reason, undefined)!);
    expect(new Set([...rows, ...without]).size).toBe(rows.length + without.length);
    expect(VIP_REASON_NAMES.length).toBeLessThanOrEqual(VIP_REASONS);
    expect(reasonRow('short_frame', 3)).toBeUndefined();
    // The numbers that no VIP has are 512 to 1,023.
    for (const row of without) expect(Math.floor(row / VIP_REASONS)).toBeGreaterThanOrEqual(512);
    for (const row of without) expect(Math.floor(row / VIP_REASONS)).toBeLessThan(1024);
  });

  it('stand in the manual as they say here', () => {
    const manual = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const rows = [...manual.matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(
      ([, name, says]) => `${name}: ${says}`,
    );
    for (const name of REASON_NAMES)
      if (name !== 'forwarded') expect(rows).toContain(`${name}: ${REASONS[name].says}`);
  });
});
