import { credentials, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ApiBed, ask, detailsOf, eachWithApi, refusal } from '../../test/support/api-bed.js';
import type { ApplySnapshotResponse__Output } from './generated/waggle/v1/ApplySnapshotResponse.js';
import type { ConfigServiceClient } from './generated/waggle/v1/ConfigService.js';
import type { ConfigSnapshot__Output } from './generated/waggle/v1/ConfigSnapshot.js';
import type { HealthCheck__Output } from './generated/waggle/v1/HealthCheck.js';
import type { HealthCheckServiceClient } from './generated/waggle/v1/HealthCheckService.js';
import type { HostResponse__Output } from './generated/waggle/v1/HostResponse.js';
import type { ListBackendsResponse__Output } from './generated/waggle/v1/ListBackendsResponse.js';
import type { ListRevisionsResponse__Output } from './generated/waggle/v1/ListRevisionsResponse.js';
import type { ListServerIdsResponse__Output } from './generated/waggle/v1/ListServerIdsResponse.js';
import type { ListVipsResponse__Output } from './generated/waggle/v1/ListVipsResponse.js';
import type { NodeConfig__Output } from './generated/waggle/v1/NodeConfig.js';
import type { Pool__Output } from './generated/waggle/v1/Pool.js';
import type { ReplaceBackendsResponse__Output } from './generated/waggle/v1/ReplaceBackendsResponse.js';
import type { RoutingServiceClient } from './generated/waggle/v1/RoutingService.js';
import type { UpdateServerIdsResponse__Output } from './generated/waggle/v1/UpdateServerIdsResponse.js';
import type { Vip__Output } from './generated/waggle/v1/Vip.js';
import { formatListen } from './listen.js';
import { loadApi } from './proto.js';

const { v1 } = loadApi();
let bed: ApiBed;
let config: ConfigServiceClient;
let checks: HealthCheckServiceClient;
let routing: RoutingServiceClient;
eachWithApi((each) => {
  bed = each;
});
beforeEach(() => {
  const address = formatListen(bed.control.address);
  config = new v1.ConfigService(address, credentials.createInsecure());
  checks = new v1.HealthCheckService(address, credentials.createInsecure());
  routing = new v1.RoutingService(address, credentials.createInsecure());
});
afterEach(() => {
  for (const client of [config, checks, routing]) client.close();
});

/** Fields that a refusal names. */
async function fieldsOf(call: Promise<unknown>): Promise<string[]> {
  const error = await refusal(call);
  expect(error.code).toBe(status.INVALID_ARGUMENT);
  const [detail] = detailsOf(error).details;
  const violations = (detail?.fieldViolations ?? []) as readonly { readonly field: string }[];
  return violations.map(({ field }) => field);
}
const snapshot = () => ask<ConfigSnapshot__Output>((o, done) => config.GetSnapshot({}, o, done));
const apply = (request: Parameters<ConfigServiceClient['ApplySnapshot']>[0]) =>
  ask<ApplySnapshotResponse__Output>((o, done) => config.ApplySnapshot(request, o, done));

describe('health checks', () => {
  const create = (healthCheckId: string, healthCheck: object) =>
    ask<HealthCheck__Output>((o, done) => checks.CreateHealthCheck({ healthCheckId, healthCheck }, o, done));

  it('are made with all that is not said, changed field by field, and removed when no pool names them', async () => {
    const made = await create('web', { http: { port: 8080 }, interval: { seconds: 10 } });
    expect(made).toMatchObject({
      name: 'healthChecks/web',
      http: { port: 8080, path: '/', method: 'GET', expectedStatuses: [{ first: 200, last: 399 }] },
      path: 'PATH_DIRECT',
      timeout: { seconds: '2', nanos: 0 },
      fastInterval: { seconds: '2', nanos: 0 },
      healthyThreshold: 2,
      unhealthyThreshold: 3,
      jitterPercent: 10,
      firstResultDecides: true,
    });
    const changed = await ask<HealthCheck__Output>((o, done) =>
      checks.UpdateHealthCheck(
        {
          healthCheck: { name: made.name, etag: made.etag, unhealthyThreshold: 5 },
          updateMask: { paths: ['unhealthy_threshold'] },
        },
        o,
        done,
      ),
    );
    expect(changed).toMatchObject({
      unhealthyThreshold: 5,
      http: { port: 8080 },
      interval: { seconds: '10' },
    });
    await ask((o, done) =>
      bed.pools.CreatePool({ poolId: 'web', pool: { healthChecks: [made.name] } }, o, done),
    );
    const error = await refusal(ask((o, done) => checks.DeleteHealthCheck({ name: made.name }, o, done)));
    expect([error.code, error.details]).toEqual([
      status.FAILED_PRECONDITION,
      'healthChecks/web is used by pools/web: take it out of them first',
    ]);
    await ask((o, done) => bed.pools.DeletePool({ name: 'pools/web' }, o, done));
    await ask((o, done) => checks.DeleteHealthCheck({ name: made.name, etag: changed.etag }, o, done));
    expect((await snapshot()).healthChecks).toEqual([]);
  });

  it.each([
    ['none at all', {}, ['health_check.probe']],
    [
      'an interval that is a flood',
      { icmp: {}, interval: { nanos: 1_000_000 } },
      ['health_check.interval', 'health_check.timeout'],
    ],
    ['a timeout longer than the interval', { icmp: {}, timeout: { seconds: 9 } }, ['health_check.timeout']],
    ['too large an echo', { icmp: { payloadBytes: 9000 } }, ['health_check.icmp.payload_bytes']],
    ['a path without its slash', { http: { path: 'x' } }, ['health_check.http.path']],
    [
      'a range of statuses that is none',
      { http: { expectedStatuses: [{ first: 300, last: 200 }] } },
      ['health_check.http.expected_statuses[0].last'],
    ],
    ['ICMP through the tunnel', { icmp: {}, path: 'PATH_TUNNEL' }, ['health_check.path']],
    ['a threshold of none', { icmp: {}, healthyThreshold: 0 }, ['health_check.healthy_threshold']],
    ['a negative time', { icmp: {}, initialDelay: { seconds: -1 } }, ['health_check.initial_delay']],
  ])('refuses %s', async (_, check, fields) => {
    expect(await fieldsOf(create('x', check))).toEqual(fields);
  });

  it('probing a backend that is not checked is refused', async () => {
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1');
    const probe = (backend: string) => ask((o, done) => checks.ProbeBackend({ backend }, o, done));
    expect(await fieldsOf(probe('pools/web/backends/a'))).toEqual(['backend']);
    expect((await refusal(probe('pools/web/backends/x'))).code).toBe(status.NOT_FOUND);
  });
});

describe('VIPs and pools, with everything that they have', () => {
  it('come back as they were set, and change field by field', async () => {
    const pool = await ask<Pool__Output>((o, done) =>
      bed.pools.CreatePool(
        {
          poolId: 'web',
          pool: {
            ringAlgorithm: 'RING_ALGORITHM_MAGLEV_V1',
            panicThresholdPercent: 30,
            panicPolicy: 'PANIC_POLICY_DROP',
            slowStart: { window: { seconds: 60 } },
            drainTimeout: { seconds: 90 },
          },
        },
        o,
        done,
      ),
    );
    expect(pool).toMatchObject({
      ringAlgorithm: 'RING_ALGORITHM_MAGLEV_V1',
      panicThresholdPercent: 30,
      panicPolicy: 'PANIC_POLICY_DROP',
      slowStart: { window: { seconds: '60' }, minWeightPercent: 10, steps: 10 },
      drainTimeout: { seconds: '90' },
    });
    const cleared = await ask<Pool__Output>((o, done) =>
      bed.pools.UpdatePool(
        { pool: { name: pool.name }, updateMask: { paths: ['slow_start', 'drain_timeout'] } },
        o,
        done,
      ),
    );
    expect(cleared).toMatchObject({ slowStart: null, drainTimeout: null, panicThresholdPercent: 30 });
    const vip = await ask<Vip__Output>((o, done) =>
      bed.vips.CreateVip(
        {
          vipId: 'net',
          vip: {
            address: '2001:db8::/64',
            protocol: 'PROTOCOL_UDP',
            pool: 'pools/web',
            flags: ['VIP_FLAG_SRC_ROUTING', 'VIP_FLAG_HASH_NO_SRC_PORT'],
          },
        },
        o,
        done,
      ),
    );
    expect(vip).toMatchObject({
      address: '2001:db8::/64',
      flags: ['VIP_FLAG_HASH_NO_SRC_PORT', 'VIP_FLAG_SRC_ROUTING'],
      ringAlgorithm: 'RING_ALGORITHM_UNSPECIFIED',
    });
    expect(bed.datapath.options).toMatchObject({ prefixVips: true, sourceRouting: true });
    const bare = await ask<Vip__Output>((o, done) =>
      bed.vips.UpdateVip({ vip: { name: vip.name }, updateMask: { paths: ['flags'] } }, o, done),
    );
    expect(bare.flags).toEqual([]);
  });

  it('a resource that is not there is made by an update that allows it', async () => {
    const update = (allowMissing: boolean) =>
      ask<Pool__Output>((o, done) =>
        bed.pools.UpdatePool({ pool: { name: 'pools/new', displayName: 'N' }, allowMissing }, o, done),
      );
    expect((await refusal(update(false))).code).toBe(status.NOT_FOUND);
    expect(await update(true)).toMatchObject({ name: 'pools/new', displayName: 'N' });
  });

  it('a request with an id that is sent again is answered as before, and makes nothing twice', async () => {
    const create = (requestId: string, displayName = '') =>
      ask<Pool__Output>((o, done) =>
        bed.pools.CreatePool({ poolId: 'once', pool: { displayName }, requestId }, o, done),
      );
    const [first, again] = await Promise.all([create('r1'), create('r1')]);
    expect(again).toEqual(first);
    expect(await create('r1')).toEqual(first);
    expect((await refusal(create(''))).code).toBe(status.ALREADY_EXISTS);
    expect(await fieldsOf(create('r1', 'other'))).toEqual(['request_id']);
    expect(await fieldsOf(create('x'.repeat(37)))).toEqual(['request_id']);
  });

  it('lists are filtered, ordered and counted', async () => {
    await bed.createPool('web');
    for (const [id, port] of [
      ['a', 443],
      ['b', 80],
      ['c', 8080],
    ] as const)
      await bed.createVip(id, '192.0.2.10', { port });
    const list = (request: object) =>
      ask<ListVipsResponse__Output>((o, done) => bed.vips.ListVips(request, o, done));
    const page = await list({ filter: 'port < 1000', orderBy: 'port desc', pageSize: 1 });
    expect([page.vips.map(({ name }) => name), page.totalSize]).toEqual([['vips/a'], 2]);
    const next = await list({
      filter: 'port < 1000',
      orderBy: 'port desc',
      pageSize: 1,
      pageToken: page.nextPageToken,
    });
    expect([next.vips.map(({ name }) => name), next.nextPageToken]).toEqual([['vips/b'], '']);
    expect(await fieldsOf(list({ orderBy: 'port', pageToken: page.nextPageToken }))).toEqual(['page_token']);
    expect(await fieldsOf(list({ filter: 'port <' }))).toEqual(['filter']);
    expect(await fieldsOf(list({ orderBy: 'warp' }))).toEqual(['order_by']);
  });
});

describe('backends together', () => {
  beforeEach(async () => {
    await bed.createPool('web');
    await bed.createPool('other');
    for (const [pool, id, address] of [
      ['web', 'a', '10.0.0.1'],
      ['web', 'b', '10.0.0.2'],
      ['other', 'a', '10.0.0.1'],
    ] as const)
      await bed.createBackend(pool, id, address);
    await bed.createVip('web', '192.0.2.10');
  });
  const states = async () => {
    const { backends } = await ask<ListBackendsResponse__Output>((o, done) =>
      bed.pools.ListBackends({ parent: 'pools/-' }, o, done),
    );
    return Object.fromEntries(
      backends.map(({ name, adminState }) => [name.replace(/pools\/|backends\//g, ''), adminState]),
    );
  };

  it('a host is drained in all its pools, as one revision, and taken back', async () => {
    const before = Number((await snapshot()).revision);
    const { backends } = await ask<HostResponse__Output>((o, done) =>
      bed.pools.DrainHost({ address: '10.0.0.1', timeout: { seconds: 60 } }, o, done),
    );
    expect(backends.map(({ name }) => name)).toEqual(['pools/web/backends/a', 'pools/other/backends/a']);
    expect(backends[0]?.status?.drainDeadline).not.toBeNull();
    expect(await states()).toEqual({
      'web/a': 'ADMIN_STATE_DRAINING',
      'web/b': 'ADMIN_STATE_ENABLED',
      'other/a': 'ADMIN_STATE_DRAINING',
    });
    expect(Number((await snapshot()).revision)).toBe(before + 1);
    await ask((o, done) => bed.pools.UndrainHost({ address: '10.0.0.1' }, o, done));
    expect(Object.values(await states())).toEqual(Array(3).fill('ADMIN_STATE_ENABLED'));
    const nobody = await refusal(ask((o, done) => bed.pools.DrainHost({ address: '10.9.9.9' }, o, done)));
    expect(nobody.code).toBe(status.NOT_FOUND);
  });

  it('those of a pool are replaced as one revision, and it says what that does to traffic', async () => {
    const before = Number((await snapshot()).revision);
    const replace = (request: object) =>
      ask<ReplaceBackendsResponse__Output>((o, done) =>
        bed.pools.ReplaceBackends({ parent: 'pools/web', ...request }, o, done),
      );
    const backend = (id: string, address: string) => ({ name: `pools/web/backends/${id}`, address });
    const answer = await replace({ backends: [backend('b', '10.0.0.2'), backend('c', '10.0.0.3')] });
    expect(answer.backends.map(({ name }) => name)).toEqual(['pools/web/backends/b', 'pools/web/backends/c']);
    expect(Number((await snapshot()).revision)).toBe(before + 1);
    const [table] = answer.impact?.tables ?? [];
    expect(table).toMatchObject({ pool: 'pools/web', vips: ['vips/web'] });
    // Half of the slots have to move; a ring of two moves some more.
    expect(table?.minimumRatio).toBeCloseTo(0.5, 2);
    expect(table?.movedRatio).toBeGreaterThanOrEqual(table?.minimumRatio ?? 1);
    expect(table?.movedRatio).toBeLessThan(0.7);
    expect(
      await fieldsOf(replace({ backends: [{ name: 'pools/other/backends/x', address: '10.0.0.9' }] })),
    ).toEqual(['backends[0].name']);
    expect((await refusal(replace({ poolEtag: 'old' }))).code).toBe(status.ABORTED);
  });

  it('with a drain, those that go stay until their flows have ended', async () => {
    bed.datapath.tables.trackedFlows = () =>
      new Map([
        [1, 5],
        [2, 5],
      ]);
    await ask((o, done) =>
      bed.pools.ReplaceBackends(
        {
          parent: 'pools/web',
          backends: [{ name: 'pools/web/backends/b', address: '10.0.0.2' }],
          drainTimeout: { seconds: 60 },
        },
        o,
        done,
      ),
    );
    expect(await states()).toMatchObject({ 'web/a': 'ADMIN_STATE_DRAINING', 'web/b': 'ADMIN_STATE_ENABLED' });
    bed.datapath.tables.trackedFlows = () => new Map();
    await vi.waitFor(async () => expect(Object.keys(await states())).not.toContain('web/a'), {
      timeout: 10_000,
    });
  });

  it('one that is disabled, and one with its own next hop', async () => {
    const update = (backend: object, paths: string[]) =>
      ask((o, done) =>
        bed.pools.UpdateBackend(
          { backend: { name: 'pools/web/backends/b', ...backend }, updateMask: { paths } },
          o,
          done,
        ),
      );
    expect(await update({ adminState: 'ADMIN_STATE_DISABLED' }, ['admin_state'])).toMatchObject({
      adminState: 'ADMIN_STATE_DISABLED',
      status: { effectiveWeight: 0 },
    });
    expect(await update({ macAddress: '02:00:00:00:00:77' }, ['mac_address'])).toMatchObject({
      macAddress: '02:00:00:00:00:77',
      status: { nextHop: { macAddress: '02:00:00:00:00:77', state: 'STATE_RESOLVED' } },
    });
    expect(await fieldsOf(update({ macAddress: '01:00:00:00:00:77' }, ['mac_address']))).toEqual([
      'backend.mac_address',
    ]);
  });
});

describe('routes', () => {
  it('server ids are set and deleted together, and listed by their number', async () => {
    const set = (request: object) =>
      ask<UpdateServerIdsResponse__Output>((o, done) => routing.UpdateServerIds(request, o, done));
    const ids = Array.from({ length: 12 }, (_, i) => ({ id: i + 1, backendAddress: '10.0.0.1' }));
    expect((await set({ set: ids })).total).toBe(12);
    expect((await set({ set: [{ id: 3, backendAddress: '10.0.0.2' }], delete: [1, 99] })).total).toBe(11);
    const { serverIds, nextPageToken } = await ask<ListServerIdsResponse__Output>((o, done) =>
      routing.ListServerIds({ pageSize: 10 }, o, done),
    );
    expect(serverIds.map(({ id }) => id)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(serverIds[1]?.backendAddress).toBe('10.0.0.2');
    expect(nextPageToken).not.toBe('');
    expect(await fieldsOf(set({ set: [{ id: 0, backendAddress: 'x' }] }))).toEqual([
      'set[0].id',
      'set[0].backend_address',
    ]);
    expect((await snapshot()).serverIds).toHaveLength(11);
  });

  it('source routes and flows from outside', async () => {
    const routes = (request: object) =>
      ask<{ total: number }>((o, done) => routing.UpdateSourceRoutes(request, o, done));
    await routes({ set: [{ prefix: '198.51.100.0/24', backendAddress: '10.0.0.1' }] });
    expect(bed.datapath.options.sourceRouting).toBe(true);
    expect((await routes({ delete: ['198.51.100.0/24'] })).total).toBe(0);
    expect(bed.datapath.options.sourceRouting).toBe(false);
    expect(await fieldsOf(routes({ set: [{ prefix: '10.0.0.1/8', backendAddress: '10.0.0.1' }] }))).toEqual([
      'set[0].prefix',
    ]);
    const flow = {
      sourceAddress: '198.51.100.1',
      sourcePort: 1000,
      destinationAddress: '192.0.2.10',
      destinationPort: 80,
      protocol: 'PROTOCOL_TCP',
    } as const;
    const flows = (request: object) =>
      ask<{ total: number }>((o, done) => routing.UpdateGlobalFlows(request, o, done));
    expect(await fieldsOf(flows({ set: [{ backendAddress: '10.0.0.1' }] }))).toContain(
      'set[0].flow.source_address',
    );
    expect((await flows({ delete: [flow] })).total).toBe(0);
  });
});

describe('the configuration as a whole', () => {
  const SMALL = {
    vips: [
      { name: 'vips/web', address: '192.0.2.10', port: 80, protocol: 'PROTOCOL_TCP', pool: 'pools/web' },
    ],
    pools: [{ name: 'pools/web' }],
    backends: [{ name: 'pools/web/backends/a', address: '10.0.0.1' }],
  } satisfies Parameters<ConfigServiceClient['ApplySnapshot']>[0]['snapshot'];

  it('is applied all at once, shown, and led back', async () => {
    const first = await apply({ snapshot: SMALL, prune: true, comment: 'the first' });
    expect(first.changes.map(({ action, resource }) => [action, resource])).toEqual([
      ['ACTION_CREATE', 'pools/web'],
      ['ACTION_CREATE', 'pools/web/backends/a'],
      ['ACTION_CREATE', 'vips/web'],
    ]);
    const shown = await snapshot();
    expect(shown.etag).toBe(first.snapshot?.etag);
    expect((await apply({ snapshot: shown, prune: true })).changes).toEqual([]);
    const second = await apply({
      snapshot: { ...SMALL, backends: [{ ...SMALL.backends[0], weight: 7 }], vips: [] },
      prune: true,
    });
    expect(second.changes).toEqual([
      {
        action: 'ACTION_UPDATE',
        resource: 'pools/web/backends/a',
        fields: [{ field: 'weight', before: '1', after: '7' }],
      },
      { action: 'ACTION_DELETE', resource: 'vips/web', fields: [] },
    ]);
    const { revisions } = await ask<ListRevisionsResponse__Output>((o, done) =>
      config.ListRevisions({ pageSize: 5 }, o, done),
    );
    expect(revisions.map(({ revision, comment, action }) => [revision, comment, action])).toEqual([
      ['2', '', 'apply'],
      ['1', 'the first', 'apply'],
    ]);
    const back = await ask<ApplySnapshotResponse__Output>((o, done) =>
      config.RollbackRevision({ revision: 1 }, o, done),
    );
    expect(back.snapshot?.vips.map(({ name }) => name)).toEqual(['vips/web']);
    expect(back.snapshot?.backends[0]?.weight).toBe(1);
    const gone = await refusal(ask((o, done) => config.RollbackRevision({ revision: 77 }, o, done)));
    expect(gone.code).toBe(status.OUT_OF_RANGE);
  });

  it('is only looked at when that is asked for', async () => {
    const answer = await apply({ snapshot: SMALL, prune: true, validateOnly: true });
    expect(answer.changes).toHaveLength(3);
    expect((await snapshot()).revision).toBe('0');
  });

  it('is refused whole, with every fault; or where it is no longer what was read', async () => {
    const [backend] = SMALL.backends;
    expect(
      await fieldsOf(
        apply({
          snapshot: { ...SMALL, backends: [{ ...backend, weight: 70_000 }], pools: [{ name: 'pools/W' }] },
          prune: true,
        }),
      ),
    ).toEqual(FAULTS);
    expect((await refusal(apply({ snapshot: { ...SMALL, etag: 'old' } }))).code).toBe(status.ABORTED);
    expect(await fieldsOf(apply({ prune: true }))).toEqual(['snapshot']);
    expect(await fieldsOf(apply({ snapshot: SMALL, comment: 'x\ny' }))).toEqual(['comment']);
    expect((await snapshot()).revision).toBe('0');
  });

  it("the node's own part: options one by one, which the program then runs with", async () => {
    const update = (nodeConfig: object, paths: string[]) =>
      ask<NodeConfig__Output>((o, done) =>
        bed.nodes.UpdateNodeConfig({ config: nodeConfig, updateMask: { paths } }, o, done),
      );
    const set = await update(
      { ownAddresses: ['10.0.0.7'], options: { encapsulation: 'ENCAPSULATION_GUE', guePort: 9886 } },
      ['own_addresses', 'options.encapsulation', 'options.gue_port'],
    );
    expect(set.options).toMatchObject({ encapsulation: 'ENCAPSULATION_GUE', guePort: 9886 });
    expect(bed.datapath.options).toMatchObject({ gue: true, guePort: 9886 });
    await update({ options: { udpTimeout: { seconds: 5 } } }, ['options.udp_timeout']);
    expect(bed.datapath.options).toMatchObject({ guePort: 9886, udpTimeoutNs: 5e9 });
    expect(await fieldsOf(update({ options: { guePort: 70_000 } }, ['options.gue_port']))).toEqual([
      'config.options.gue_port',
    ]);
    expect(
      (await refusal(update({ etag: 'old', routerMacAddress: '02:00:00:00:00:01' }, ['router_mac_address'])))
        .code,
    ).toBe(status.ABORTED);
  });
});

/** Faults are in the order in which resources are read, and what they say of each other comes last. */
const FAULTS = [
  'snapshot.pools[0].name',
  'snapshot.backends[0].weight',
  'snapshot.backends[0].name',
  'snapshot.vips[0].pool',
];
