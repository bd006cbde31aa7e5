import { describe, expect, it } from 'vitest';
import { type BalancerOptions, parseIp, VIP_FLAGS, type VipFlagName } from '../../lb/index.js';
import { backendAt } from '../../test/support/backends.js';
import { type DesiredState, EMPTY_STATE, type Vip } from './model.js';
import { effectiveOptions, missingSources, optionConflicts } from './options.js';
import { firstVersion } from './version.js';

const VERSION = firstVersion({ revision: 1, timeMs: 0, etag: 'e' });
const [V4, V6] = [parseIp('10.0.0.1'), parseIp('fc00::1')];

function stateWith(parts: Partial<DesiredState>, options: BalancerOptions = {}): DesiredState {
  return { ...EMPTY_STATE, ...parts, node: { ...EMPTY_STATE.node, ...parts.node, options } };
}
const vip = (flags: readonly VipFlagName[], prefixBits?: number): Partial<DesiredState> => {
  const key = { address: V6, port: 0, protocol: 'udp' as const };
  const one: Vip = {
    name: 'vips/a',
    displayName: '',
    key: prefixBits === undefined ? key : { ...key, prefixBits },
    pool: 'pools/a',
    flags: flags.reduce((bits, flag) => bits | VIP_FLAGS[flag], 0),
    ringAlgorithm: undefined,
    downBackends: [],
    ...VERSION,
  };
  return { vips: new Map([[one.name, one]]) };
};
const IDS: Partial<DesiredState> = { serverIds: [{ id: 7, backend: V4 }] };
const ROUTE: Partial<DesiredState> = { sourceRoutes: [{ prefix: { address: V4, bits: 32 }, backend: V4 }] };
const FLOW: Partial<DesiredState> = {
  globalFlows: [{ flow: { src: V4, dst: V4, sport: 1, dport: 2, protocol: 'tcp' }, backend: V4 }],
};
const tunnels = (egress: boolean): Partial<DesiredState> => ({
  node: { ...EMPTY_STATE.node, decapDestinations: [{ address: V4, egress }] },
});

const on = (state: DesiredState) =>
  Object.entries(effectiveOptions(state)).flatMap(([name, value]) => (value === true ? [name] : []));
const conflicts = (state: DesiredState) =>
  optionConflicts(state).map(({ option, need }) => `${option}: ${need.what}`);

describe('options of a state', () => {
  it('are the defaults where nothing needs more', () => {
    expect(effectiveOptions(EMPTY_STATE)).toMatchObject({
      newConnectionsPerSecond: 125_000,
      udpTimeoutNs: 30e9,
      gue: false,
      guePort: 6080,
      dropSampleRate: 0,
    });
    expect(on(EMPTY_STATE)).toEqual(['sendTooBig', 'vlanTags']);
  });

  it('leave the longest frame to the link unless it is given', () => {
    expect(effectiveOptions(EMPTY_STATE)).not.toHaveProperty('maxFrameBytes');
    expect(effectiveOptions(stateWith({}, { maxFrameBytes: 9014 })).maxFrameBytes).toBe(9014);
  });

  it.each([
    ['a flag', vip(['QUIC_VIP', 'LOCAL_VIP']), ['quicRouting', 'localDelivery']],
    ['a prefix', vip([], 64), ['prefixVips']],
    ['a source route', ROUTE, ['sourceRouting']],
    ['a flow from outside', FLOW, ['globalLru']],
    ['server ids that nothing else reads', IDS, ['tcpServerIds']],
    ['server ids of QUIC', { ...IDS, ...vip(['QUIC_VIP']) }, ['quicRouting']],
    ['a tunnel', tunnels(false), ['ipipDecap', 'gueDecap']],
  ])('are on for %s', (_, parts, names) => {
    expect(on(stateWith(parts)).sort()).toEqual(['sendTooBig', 'vlanTags', ...names].sort());
  });

  it('are as they are given', () => {
    const given = { sendTooBig: false, vlanTags: false, quicRouting: true, eventsEnabled: true, gue: true };
    expect(on(stateWith({}, given))).toEqual(['gue', 'quicRouting', 'eventsEnabled']);
    expect(on(stateWith(IDS, { tcpServerIds: false }))).not.toContain('tcpServerIds');
    expect(on(stateWith(tunnels(false), { gueDecap: false }))).toContain('ipipDecap');
  });

  it.each<[string, Partial<DesiredState>, BalancerOptions, readonly string[]]>([
    ['none where what is off is not needed', {}, { quicRouting: false, globalLru: false }, []],
    ['a flag', vip(['GLOBAL_LRU']), { globalLru: false }, ['globalLru: the flag GLOBAL_LRU of vips/a']],
    ['a prefix', vip([], 64), { prefixVips: false }, ['prefixVips: the prefix of vips/a']],
    ['a source route', ROUTE, { sourceRouting: false }, ['sourceRouting: the source route 10.0.0.1/32']],
    ['a flow', FLOW, { globalLru: false }, ['globalLru: the global flow to 10.0.0.1:2/tcp']],
    ['server ids may wait for a VIP', IDS, { tcpServerIds: false }, []],
    ['samples', {}, { eventsEnabled: false, dropSampleRate: 2 }, ['eventsEnabled: the drop sample rate']],
    ['one kind of tunnel is enough', tunnels(false), { ipipDecap: false }, []],
    [
      'both kinds are off',
      tunnels(false),
      { ipipDecap: false, gueDecap: false },
      ['ipipDecap: the decapsulation destination 10.0.0.1'],
    ],
    [
      'what goes back is GUE',
      tunnels(true),
      { gueDecap: false },
      ['gueDecap: the decapsulation destination 10.0.0.1 with egress'],
    ],
  ])('conflicts: %s', (_, parts, given, expected) => {
    expect(conflicts(stateWith(parts, given))).toEqual(expected);
  });

  it('GUE needs an own address of each family of backends', () => {
    const made = [V4, V6].map((address, i) => backendAt(address, { name: `pools/a/backends/b${i}` }));
    const backends = new Map(made.map((backend) => [backend.name, backend]));
    const node = { ...EMPTY_STATE.node, ownAddresses: [V4] };
    expect(missingSources(stateWith({ backends, node }))).toEqual([]);
    expect(missingSources(stateWith({ backends, node }, { gue: true }))).toEqual([
      { family: 6, backend: 'pools/a/backends/b1' },
    ]);
  });
});
