import { describe, expect, it } from 'vitest';
import { parseIp } from '../../lb/index.js';
import { EMPTY_STATE, type Vip } from '../state/model.js';
import { stateChanges } from './state-changes.js';

const vip: Vip = {
  ...{ name: 'vips/web', displayName: 'Web', pool: 'pools/web', flags: 0, ringAlgorithm: undefined },
  ...{ downBackends: [], etag: 'a-1', createTimeMs: 1, updateTimeMs: 1, revision: 1 },
  key: { address: parseIp('192.0.2.1'), port: 80, protocol: 'tcp' },
};
const withVip = (changed: Partial<Vip> = {}) => ({
  ...EMPTY_STATE,
  revision: 2,
  vips: new Map([[vip.name, { ...vip, ...changed, etag: 'a-2', revision: 2, updateTimeMs: 2 }]]),
});

describe('what became of resources', () => {
  it('a new one: all that it has', () => {
    const after = {
      displayName: 'Web',
      pool: 'pools/web',
      flags: 0,
      downBackends: [],
      key: '192.0.2.1:80/tcp',
    };
    expect(stateChanges(EMPTY_STATE, withVip())).toEqual([{ name: 'vips/web', how: 'created', after }]);
    expect(stateChanges(withVip(), EMPTY_STATE)).toEqual([
      { name: 'vips/web', how: 'deleted', before: after },
    ]);
  });

  it('a changed one: the fields that differ', () => {
    const after = withVip({ pool: 'pools/api', ringAlgorithm: 'v1' });
    expect(stateChanges(withVip(), after)).toEqual([
      {
        name: 'vips/web',
        how: 'updated',
        before: { pool: 'pools/web', ringAlgorithm: null },
        after: { pool: 'pools/api', ringAlgorithm: 'v1' },
      },
    ]);
  });

  it('one that has only another version: nothing', () => {
    expect(stateChanges(withVip(), withVip())).toEqual([]);
  });

  it('lists beside the resources: as they were, and as they are', () => {
    const after = { ...EMPTY_STATE, revision: 1, serverIds: [{ id: 7, backend: parseIp('2001:db8::1') }] };
    expect(stateChanges(EMPTY_STATE, after)).toEqual([
      {
        name: 'serverIds',
        how: 'updated',
        before: { serverIds: [] },
        after: { serverIds: [{ id: 7, backend: '2001:db8::1' }] },
      },
    ]);
  });
});
