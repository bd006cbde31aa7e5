import { status } from '@grpc/grpc-js';
import { beforeEach, describe, expect, it } from 'vitest';
import { type ApiBed, ask, detailsOf, eachWithApi, refusal } from '../../test/support/api-bed.js';

let bed: ApiBed;
eachWithApi((started) => {
  bed = started;
});

describe('refusals carry status, message and details, and change nothing', () => {
  beforeEach(async () => {
    bed.datapath.hostAddresses.add('192.0.2.99');
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1');
    await bed.createVip('web', '192.0.2.1');
    await bed.createPool('six');
    await bed.createVip('six', '2001:db8::80', { pool: 'pools/six' });
  });

  const update = (vip: { name: string; pool?: string; etag?: string; address?: string }, paths?: string[]) =>
    ask((o, done) => bed.vips.UpdateVip({ vip, ...(paths && { updateMask: { paths } }) }, o, done));

  const rows: readonly [
    rule: string,
    call: () => Promise<unknown>,
    code: status,
    message: RegExp,
    detail: Record<string, unknown>,
  ][] = [
    [
      'an unknown VIP',
      () => bed.getVip('vips/no'),
      status.NOT_FOUND,
      /^vips\/no does not exist$/,
      { type: 'ResourceInfo', resourceType: 'waggle.v1.Vip', resourceName: 'vips/no' },
    ],
    [
      'an unknown pool of a VIP',
      () => bed.createVip('x', '192.0.2.2', { pool: 'pools/no' }),
      status.NOT_FOUND,
      /pools\/no/,
      { type: 'ResourceInfo', resourceName: 'pools/no' },
    ],
    [
      'an unknown backend',
      () => bed.getBackend('pools/web/backends/no'),
      status.NOT_FOUND,
      /backends\/no/,
      { type: 'ResourceInfo' },
    ],
    [
      'an address that is none',
      () => bed.createBackend('web', 'x', '10.0.0'),
      status.INVALID_ARGUMENT,
      /^backend\.address: "10\.0\.0" is not an IPv4 or IPv6 address$/,
      {
        type: 'BadRequest',
        fieldViolations: [
          { field: 'backend.address', description: '"10.0.0" is not an IPv4 or IPv6 address' },
        ],
      },
    ],
    [
      'a weight over 65535',
      () => bed.createBackend('web', 'x', '10.0.0.2', 65536),
      status.INVALID_ARGUMENT,
      /^backend\.weight: 65536 is not in 0\.\.65535$/,
      { type: 'BadRequest' },
    ],
    // A uint32 has no -1: the client's library sends 2^32 - 1.
    [
      'a weight of -1',
      () => bed.createBackend('web', 'x', '10.0.0.2', -1),
      status.INVALID_ARGUMENT,
      /^backend\.weight: 4294967295 is not in 0\.\.65535$/,
      { type: 'BadRequest' },
    ],
    [
      'a port over 65535',
      () => bed.createVip('x', '192.0.2.2', { port: 70000 }),
      status.INVALID_ARGUMENT,
      /^vip\.port: 70000/,
      { type: 'BadRequest' },
    ],
    [
      'a backend of the wrong family',
      () => bed.createBackend('six', 'x', '10.0.0.2'),
      status.INVALID_ARGUMENT,
      /^backend\.address: 10\.0\.0\.2 is IPv4.*vips\/six/,
      {
        type: 'BadRequest',
        fieldViolations: [{ field: 'backend.address', description: expect.any(String) }],
      },
    ],
    [
      'a pool of the wrong family',
      () => update({ name: 'vips/six', pool: 'pools/web' }),
      status.INVALID_ARGUMENT,
      /^vip\.pool: .*10\.0\.0\.1/,
      { type: 'BadRequest' },
    ],
    [
      'a VIP that is taken',
      () => bed.createVip('again', '192.0.2.1'),
      status.ALREADY_EXISTS,
      /192\.0\.2\.1:80\/tcp is served by vips\/web/,
      { type: 'ResourceInfo', resourceName: 'vips/web' },
    ],
    [
      'an id that is taken',
      () => bed.createPool('web'),
      status.ALREADY_EXISTS,
      /pools\/web exists/,
      { type: 'ResourceInfo', resourceType: 'waggle.v1.Pool' },
    ],
    [
      'an address twice in a pool',
      () => bed.createBackend('web', 'b', '10.0.0.1'),
      status.ALREADY_EXISTS,
      /10\.0\.0\.1.*backends\/a/,
      { type: 'ResourceInfo' },
    ],
    [
      "a VIP that is the host's own address",
      () => bed.createVip('own', '192.0.2.99'),
      status.FAILED_PRECONDITION,
      /192\.0\.2\.99 is an address of this host/,
      {
        type: 'PreconditionFailure',
        violations: [{ type: 'VIP_REFUSED', subject: '192.0.2.99:80/tcp', description: expect.any(String) }],
      },
    ],
    [
      'an etag that is old',
      () => update({ name: 'vips/web', pool: 'pools/six', etag: 'old' }),
      status.ABORTED,
      /etag "old"/,
      {
        type: 'ErrorInfo',
        reason: 'ETAG_MISMATCH',
        domain: 'waggle.v1',
        metadata: { resource: 'vips/web', current_etag: expect.any(String) },
      },
    ],
    [
      'another address for a VIP',
      () => update({ name: 'vips/web', address: '192.0.2.5' }),
      status.FAILED_PRECONDITION,
      /^vip\.address: .*192\.0\.2\.5/,
      {
        type: 'PreconditionFailure',
        violations: [{ type: 'IMMUTABLE', subject: 'vips/web', description: expect.any(String) }],
      },
    ],
    [
      'a field that cannot be changed',
      () => update({ name: 'vips/web' }, ['status']),
      status.INVALID_ARGUMENT,
      /^update_mask: "status"/,
      { type: 'BadRequest' },
    ],
    [
      'a pool in use',
      () => ask((o, done) => bed.pools.DeletePool({ name: 'pools/web' }, o, done)),
      status.FAILED_PRECONDITION,
      /serves 1 VIP \(web\) and has 1 backend \(a\).*force/,
      { type: 'PreconditionFailure' },
    ],
    [
      'a request without its resource',
      () => ask((o, done) => bed.vips.CreateVip({ vipId: 'x' }, o, done)),
      status.INVALID_ARGUMENT,
      /^vip: is required$/,
      { type: 'BadRequest' },
    ],
    [
      'a page token that is none',
      () => ask((o, done) => bed.vips.ListVips({ pageToken: 'x' }, o, done)),
      status.INVALID_ARGUMENT,
      /^page_token/,
      { type: 'BadRequest' },
    ],
    [
      'statistics of something else',
      () => ask((o, done) => bed.stats.GetStats({ resources: ['web'] }, o, done)),
      status.INVALID_ARGUMENT,
      /^resources: "web"/,
      { type: 'BadRequest' },
    ],
    [
      'statistics of an unknown VIP',
      () => ask((o, done) => bed.stats.GetStats({ resources: ['vips/no'] }, o, done)),
      status.NOT_FOUND,
      /vips\/no/,
      { type: 'ResourceInfo' },
    ],
    [
      'a worker that does not exist',
      () => ask((o, done) => bed.nodes.RestartWorker({ name: 'nodes/self', worker: 7 }, o, done)),
      status.NOT_FOUND,
      /worker 7 does not exist: there are workers 0 to 1/,
      { type: 'ResourceInfo', resourceName: '7' },
    ],
    [
      'another node',
      () => ask((o, done) => bed.nodes.GetNode({ name: 'nodes/x' }, o, done)),
      status.NOT_FOUND,
      /nodes\/x/,
      { type: 'ResourceInfo' },
    ],
  ];
  for (const [rule, call, code, message, detail] of rows) {
    it(rule, async () => {
      const before = (await bed.node()).activeRevision;
      const error = await refusal(call());
      expect(status[error.code]).toBe(status[code]);
      expect(error.details).toMatch(message);
      const details = detailsOf(error);
      expect(details).toMatchObject({ code, message: error.details });
      expect(details.details).toEqual([expect.objectContaining(detail)]);
      expect((await bed.node()).activeRevision).toBe(before);
    });
  }

  it('there are as many VIPs as the datapath has numbers', async () => {
    const ports = Array.from({ length: 510 }, (_, i) => 1000 + i);
    await Promise.all(ports.map((port) => bed.createVip(`v${port}`, '192.0.2.1', { port })));
    const error = await refusal(bed.createVip('more', '192.0.2.1', { port: 9000 }));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error.details).toBe('no more than 512 VIPs are possible');
    expect(detailsOf(error).details).toEqual([expect.objectContaining({ type: 'QuotaFailure' })]);
  });

  it('a fault of ours is INTERNAL with an id for the log, and tells nothing else', async () => {
    Object.assign(bed.datapath, {
      workers: () => {
        throw new Error('secret');
      },
    });
    const error = await refusal(bed.node());
    expect(error.code).toBe(status.INTERNAL);
    expect(error.details).toMatch(/request [0-9a-f-]{36}$/);
    expect(error.message).not.toMatch(/secret/);
  });
});
