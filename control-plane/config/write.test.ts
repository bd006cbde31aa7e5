import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stateArbitrary } from '../../test/support/random-states.js';
import { EMPTY_STATE } from '../state/model.js';
import { loadConfig } from './load.js';
import { desiredState } from './state.js';
import { configText } from './write.js';

const read = (text: string) => desiredState(loadConfig(text, 'node.yaml'));

describe('a state as a file', () => {
  it('read again is the state, and written again the same text', () => {
    fc.assert(
      fc.property(stateArbitrary, (state) => {
        const text = configText(state);
        expect(read(text)).toEqual(state);
        expect(configText(read(text))).toBe(text);
      }),
      { numRuns: 100 },
    );
  });

  it('the order in which things were made does not count', () => {
    fc.assert(
      fc.property(stateArbitrary, (state) => {
        const turned = <T>(resources: ReadonlyMap<string, T>) => new Map([...resources].reverse());
        const other = {
          ...state,
          vips: turned(state.vips),
          pools: turned(state.pools),
          backends: turned(state.backends),
        };
        expect(configText(other)).toBe(configText(state));
      }),
      { numRuns: 50 },
    );
  });

  it('with what the file said of the process', () => {
    const text = `node: { interface: eth0, limits: { connections: 5, vips: 9 } }
appliance:
  { engine: xdp, pin: true, listen: "[::1]:1", metrics: 127.0.0.1:2, state: /var/lib/waggle, access: roles.yaml, insecure: false,
    log: { level: debug, format: json }, tls: { cert: a.pem, key: b.pem, clientCa: c.pem },
    audit: { file: audit.log, keep: 0, onFault: refuse },
    rateLimits: { eachCaller: { reads: { perSecond: 1, burst: 2 }, streams: 3 }, all: { changes: { perSecond: 4, burst: 5 } } } }
`;
    const config = loadConfig(text, '/etc/waggle/node.yaml');
    const again = loadConfig(configText(EMPTY_STATE, config), '/etc/waggle/node.yaml');
    expect(again).toEqual(config);
  });

  it('a drain whose beginning is not known is that of the reading', () => {
    const text = configText(
      read('pools: [{ name: web, drainTimeout: 1m, backends: [{ address: 10.0.0.1, state: draining }] }]'),
    );
    expect(text).toContain('{ address: 10.0.0.1, state: draining }\n');
  });

  it('of nothing is a file all the same', () => {
    expect(configText(EMPTY_STATE)).toBe('vips: []\n');
    expect(read(configText(EMPTY_STATE)).vips.size).toBe(0);
  });
});
