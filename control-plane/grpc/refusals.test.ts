import { credentials, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OptionsError } from '../../lb/index.js';
import { type ApiBed, ask, detailsOf, eachWithApi, refusal } from '../../test/support/api-bed.js';

import type { ConfigServiceClient } from './generated/waggle/v1/ConfigService.js';
import type { DiagnosticsServiceClient } from './generated/waggle/v1/DiagnosticsService.js';
import { formatListen } from './listen.js';
import { encodeToken } from './page.js';
import { loadApi } from './proto.js';

const { v1 } = loadApi();
let bed: ApiBed;
let config: ConfigServiceClient;
let diagnostics: DiagnosticsServiceClient;
eachWithApi((started) => {
  bed = started;
});
beforeEach(() => {
  const address = formatListen(bed.control.address);
  config = new v1.ConfigService(address, credentials.createInsecure());
  diagnostics = new v1.DiagnosticsService(address, credentials.createInsecure());
});
afterEach(() => {
  for (const client of [config, diagnostics]) client.close();
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

  const deleteBackend = (seconds: number) => {
    const request = { name: 'pools/web/backends/a', drainTimeout: { seconds } };
    return ask((o, done) => bed.pools.DeleteBackend(request, o, done));
  };

  type Row = readonly [
    rule: string,
    call: () => Promise<unknown>,
    code: status,
    message: RegExp,
    detail: Record<string, unknown>,
  ];
  const rows: readonly Row[] = [
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
      'a page token of a list in an order, which is no place in it',
      () => {
        const pageToken = encodeToken('vips?&port', '-1');
        return ask((o, done) => bed.vips.ListVips({ orderBy: 'port', pageToken }, o, done));
      },
      status.INVALID_ARGUMENT,
      /^page_token: was not given by this list$/,
      { type: 'BadRequest', fieldViolations: [{ field: 'page_token', description: expect.any(String) }] },
    ],
    [
      'a page token of a list in an order, which is no number',
      () => {
        const pageToken = encodeToken('vips?port = 80&', 'vips/web');
        return ask((o, done) => bed.vips.ListVips({ filter: 'port = 80', pageToken }, o, done));
      },
      status.INVALID_ARGUMENT,
      /^page_token: was not given by this list$/,
      { type: 'BadRequest', fieldViolations: [{ field: 'page_token', description: expect.any(String) }] },
    ],
    [
      'a drain of less than no time before a backend is removed',
      () => deleteBackend(-1),
      status.INVALID_ARGUMENT,
      /^drain_timeout: -1 s and 0 ns are not a duration of 0 or more$/,
      { type: 'BadRequest', fieldViolations: [{ field: 'drain_timeout', description: expect.any(String) }] },
    ],
    [
      'a drain of more than a day before a backend is removed',
      () => deleteBackend(86_401),
      status.INVALID_ARGUMENT,
      /^drain_timeout: 86401 is not in 0\.\.86400$/,
      { type: 'BadRequest', fieldViolations: [{ field: 'drain_timeout', description: expect.any(String) }] },
    ],
    [
      'a program that is not there',
      () => ask((o, done) => bed.bpf.SwapBpfProgram({}, o, done)),
      status.INVALID_ARGUMENT,
      /^object: is missing$/,
      { type: 'BadRequest', fieldViolations: [{ field: 'object', description: 'is missing' }] },
    ],
    [
      'a simulation that the program cannot do',
      () => {
        Object.assign(bed.datapath, {
          simulate: () => {
            throw new OptionsError({ code: 'OPTIONS_MISSING', option: 'decisions' }, 'no such constant');
          },
        });
        return ask((o, done) => diagnostics.SimulateFlow({ packet: Buffer.alloc(64) }, o, done));
      },
      status.INVALID_ARGUMENT,
      /^no such constant$/,
      { type: 'ErrorInfo', reason: 'OPTIONS_MISSING', domain: 'waggle.v1', metadata: { log: '' } },
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
    ...(['xdp_native', 'xdp_generic'] as const).map(
      (mode): Row => [
        `a worker where the kernel runs the program: ${mode}`,
        () => {
          Object.assign(bed.datapath, { mode });
          return ask((o, done) => bed.nodes.RestartWorker({ name: 'nodes/self', worker: 0 }, o, done));
        },
        status.UNIMPLEMENTED,
        /^the kernel runs the program: there is no worker to restart$/,
        { type: 'ErrorInfo', reason: 'API_MODE', domain: 'waggle.v1', metadata: { mode } },
      ],
    ),
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

  /** Pools, backends and VIPs, all at once. */
  const apply = (snapshot: NonNullable<Parameters<ConfigServiceClient['ApplySnapshot']>[0]['snapshot']>) =>
    ask((o, done) => config.ApplySnapshot({ snapshot, prune: true }, o, done), 30_000);
  const WEB = [{ name: 'pools/web' }];

  it('VIPs that go have their numbers until those that come are in the tables', async () => {
    const vips = Array.from({ length: 512 }, (_, i) => ({
      name: `vips/v${i}`,
      address: '192.0.2.1',
      port: 1000 + i,
      protocol: 'PROTOCOL_TCP' as const,
      pool: 'pools/web',
    }));
    const before = (await bed.node()).activeRevision;
    const error = await refusal(apply({ pools: WEB, vips }));
    expect(status[error.code]).toBe('RESOURCE_EXHAUSTED');
    expect(error.details).toBe(
      'all 512 numbers of VIPs are taken: one that the same change removes has its number until the change is made',
    );
    expect(detailsOf(error).details).toEqual([
      { type: 'QuotaFailure', violations: [{ subject: 'VIPs', description: error.details }] },
    ]);
    expect((await bed.node()).activeRevision).toBe(before);
    expect((await bed.getVip('vips/web')).name).toBe('vips/web');
    await apply({ pools: WEB });
    await apply({ pools: WEB, vips });
  });

  it('rows of backends that were deleted rest while flows point at them', async () => {
    const address = (i: number) => `10.1.${i >> 8}.${i & 255}`;
    const backends = Array.from({ length: 4095 }, (_, i) => ({
      name: `pools/web/backends/b${i}`,
      address: address(i),
    }));
    await apply({ pools: WEB });
    await apply({ pools: WEB, backends });
    bed.datapath.tables.trackedFlows = () => new Map(backends.map((_, i) => [i + 1, 1]));
    await ask((o, done) => bed.pools.DeleteBackend({ name: 'pools/web/backends/b7' }, o, done));
    const before = (await bed.node()).activeRevision;
    const error = await refusal(bed.createBackend('web', 'new', '10.9.9.9'));
    expect(status[error.code]).toBe('RESOURCE_EXHAUSTED');
    expect(error.details).toBe(
      'all 4095 rows for backends are taken: 4094 by backends, 1 by flows to backends that were deleted',
    );
    expect(detailsOf(error).details).toEqual([
      {
        type: 'QuotaFailure',
        violations: [{ subject: 'backend addresses', description: error.details }],
      },
    ]);
    expect((await bed.node()).activeRevision).toBe(before);
    // The one that comes back has its row, and with it the flows that are left.
    await bed.createBackend('web', 'again', address(7));
    await ask((o, done) => bed.pools.DeleteBackend({ name: 'pools/web/backends/again' }, o, done));
    // Without flows it is given to another.
    bed.datapath.tables.trackedFlows = () => new Map();
    await bed.createBackend('web', 'new', '10.9.9.9');
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
