import { beforeAll, describe, expect, it } from 'vitest';
import { missingRoot } from '../../test/support/capabilities.js';
import { addVeth, enterNamespace, sh } from '../../test/support/namespace.js';
import { ReceiveOffloads } from '../engine/receive-offloads.js';
import { isOffloadOn, setOffload } from './ethtool.js';

/** What the ethtool command says. */
const gro = () => /^generic-receive-offload: (\w+)/m.exec(sh('ethtool -k eth-test'))?.[1];

describe.skipIf(missingRoot)(`ethtool${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  beforeAll(() => {
    enterNamespace();
    addVeth('eth-test', 'eth-peer');
  });

  it('turns GRO off and on again', () => {
    for (const [on, said] of [
      [true, 'on'],
      [false, 'off'],
      [true, 'on'],
    ] as const) {
      expect(setOffload('eth-test', 'gro', on)).toBe(true);
      expect(isOffloadOn('eth-test', 'gro')).toBe(on);
      expect(gro()).toBe(said);
    }
  });

  it('knows an offload that the driver does not have to be off', () => {
    expect(isOffloadOn('eth-test', 'lro')).toBe(false);
  });

  it('knows nothing of an interface that is not there', () => {
    expect(isOffloadOn('eth-none', 'gro')).toBeUndefined();
    expect(isOffloadOn('eth-none', 'lro')).toBeUndefined();
    expect(setOffload('eth-none', 'gro', false)).toBe(false);
    expect(setOffload('eth-none', 'lro', false)).toBe(false);
  });

  it.each([
    ['on is off while the datapath runs, and on again after', true],
    ['off stays off', false],
  ])('what was %s', (_, before) => {
    setOffload('eth-test', 'gro', before);
    const offloads = new ReceiveOffloads('eth-test');
    expect(isOffloadOn('eth-test', 'gro')).toBe(false);
    const said: unknown[] = [];
    offloads.reportStuck((...line) => void said.push(line));
    expect(said).toEqual([]);
    offloads.restore();
    expect(isOffloadOn('eth-test', 'gro')).toBe(before);
  });

  it('is restored once', () => {
    setOffload('eth-test', 'gro', true);
    const offloads = new ReceiveOffloads('eth-test');
    offloads.restore();
    setOffload('eth-test', 'gro', false);
    offloads.restore();
    expect(isOffloadOn('eth-test', 'gro')).toBe(false);
  });
});
