import { describe, expect, it } from 'vitest';
import { backendFields, poolFields, protocolOf, timestampOf, vipFields } from './convert.js';
import type { Backend__Output } from './generated/waggle/v1/Backend.js';
import type { Pool__Output } from './generated/waggle/v1/Pool.js';
import type { Vip__Output } from './generated/waggle/v1/Vip.js';

const version = { etag: '', createTime: null, updateTime: null, revision: '0', status: null };
const vip = (fields: Partial<Vip__Output> = {}): Vip__Output => ({
  name: 'vips/web',
  displayName: '',
  address: '',
  port: 0,
  protocol: 'PROTOCOL_UNSPECIFIED',
  pool: '',
  ...version,
  ...fields,
});
const backend = (fields: Partial<Backend__Output> = {}): Backend__Output => ({
  name: 'pools/web/backends/a',
  address: '',
  adminState: 'ADMIN_STATE_UNSPECIFIED',
  ...version,
  ...fields,
});
const pool = (displayName: string): Pool__Output => ({ name: 'pools/web', displayName, ...version });

it('times keep their milliseconds, also before 1970', () => {
  expect(timestampOf(1_700_000_000_123)).toEqual({ seconds: '1700000000', nanos: 123_000_000 });
  expect(timestampOf(-1)).toEqual({ seconds: '-1', nanos: 999_000_000 });
});

it('protocols that the API does not know are none', () => {
  const values = ['PROTOCOL_TCP', 'PROTOCOL_UDP', 'PROTOCOL_UNSPECIFIED', 'tcp', 99];
  expect(values.map(protocolOf)).toEqual(['tcp', 'udp', undefined, undefined, undefined]);
});

describe('what an update sets', () => {
  it('of a VIP, without a mask: what is there', () => {
    expect(vipFields(vip({ pool: 'pools/x', port: 80 }), null)).toEqual({ pool: 'pools/x', port: 80 });
  });
  it('of a VIP, by name: also the empty text', () => {
    expect(vipFields(vip({ pool: 'pools/x' }), { paths: ['display_name'] })).toEqual({ displayName: '' });
  });
  it('of a VIP, "*": what can be changed, and what is there', () => {
    expect(vipFields(vip({ protocol: 'PROTOCOL_UDP' }), { paths: ['*'] })).toEqual({
      displayName: '',
      pool: '',
      protocol: 'udp',
    });
  });
  it('of a backend, a weight of 0 is one, and no weight is none', () => {
    expect(backendFields(backend({ weight: 0 }), null)).toEqual({ weight: 0 });
    expect(backendFields(backend(), null)).toEqual({});
    expect(backendFields(backend(), { paths: ['weight'] })).toEqual({ weight: 1 });
  });
  it('of a pool', () => {
    expect(poolFields(pool('x'), null)).toEqual({ displayName: 'x' });
    expect(poolFields(pool(''), null)).toEqual({});
    expect(poolFields(pool(''), { paths: ['display_name'] })).toEqual({ displayName: '' });
  });
});
