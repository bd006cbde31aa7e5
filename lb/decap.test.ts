import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missingRoot, noting } from '../test/support/capabilities.js';
import { attachDecap } from './decap.js';
import { formatIp, parseIp } from './net/address.js';

const addresses = [parseIp('10.0.0.1'), parseIp('2001:db8::1')];

it('names an interface that does not exist', () => {
  for (const name of ['no-such0', '', '../lo']) {
    expect(() => attachDecap({ interface: name, addresses, mode: 'auto' })).toThrow(
      expect.objectContaining({ fault: { code: 'DECAP_INTERFACE', interface: name } }),
    );
  }
});

it.each([
  ['guePort', -1],
  ['guePort', 65536],
  ['guePort', 1.5],
  ['serverId', 0],
  ['serverId', 2 ** 32],
])('refuses %s %d', (option, value) => {
  expect(() => attachDecap({ interface: 'lo', addresses, mode: 'auto', [option]: value })).toThrow(
    expect.objectContaining({ fault: { code: 'DECAP_OPTION', option, value } }),
  );
});

describe.skipIf(missingRoot)(`decapsulation in the kernel${noting(missingRoot)}`, () => {
  const device = `dcp${process.pid % 100_000}`;
  const peer = `${device}p`;
  const xdp = () =>
    execFileSync('ip', ['link', 'show', 'dev', device], { encoding: 'utf8' }).match(/ (xdp\w*)/)?.[1];
  beforeEach(() => {
    execFileSync('ip', ['link', 'add', device, 'type', 'veth', 'peer', 'name', peer]);
    for (const name of [device, peer]) execFileSync('ip', ['link', 'set', name, 'up']);
  });
  afterEach(() => {
    execFileSync('ip', ['link', 'delete', device]);
  });

  for (const [mode, shown] of [
    ['native', 'xdp'],
    ['generic', 'xdpgeneric'],
  ] as const) {
    it(`is attached ${mode}, counts from zero, and is gone after close`, () => {
      const decap = attachDecap({ interface: device, addresses, mode });
      expect(decap.mode).toBe(mode);
      expect(xdp()).toBe(shown);
      expect(decap.counters()).toMatchObject({ ipv4: 0n, ipv6: 0n, total: 0n });
      decap.close();
      decap.close();
      expect(xdp()).toBeUndefined();
      expect(decap.counters()).toMatchObject({ ipv4: 0n, ipv6: 0n, total: 0n });
    });
  }

  it('is native of its own accord where the driver has it, and says when another is there', () => {
    const decap = attachDecap({ interface: device, addresses, mode: 'auto' });
    try {
      expect(decap.mode).toBe('native');
      expect(() => attachDecap({ interface: device, addresses, mode: 'native' })).toThrow(/EBUSY.*detach/);
    } finally {
      decap.close();
    }
  });

  it('loads with every option', () => {
    const decap = attachDecap({
      interface: device,
      addresses,
      mode: 'auto',
      guePort: 0,
      serverId: 0xffffffff,
    });
    expect(xdp()).toBe('xdp');
    decap.close();
  });

  it('leaves nothing attached when an address cannot be noted', () => {
    const many = Array.from({ length: 513 }, (_, i) => parseIp(`10.1.${i >> 8}.${i & 255}`));
    expect(() => attachDecap({ interface: device, addresses: many, mode: 'auto' })).toThrow(
      expect.objectContaining({ fault: expect.objectContaining({ address: formatIp(many[512]!) }) }),
    );
    expect(xdp()).toBeUndefined();
  });
});
