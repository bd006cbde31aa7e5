import {
  type CallOptions,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type requestCallback,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MemoryDatapath } from '../../test/support/memory-datapath.js';
import { ControlPlane } from '../control.js';
import { decodeStatus, STATUS_DETAILS_KEY } from './details.js';
import type { Backend__Output } from './generated/waggle/v1/Backend.js';
import type { ListBackendsResponse__Output } from './generated/waggle/v1/ListBackendsResponse.js';
import type { Node__Output } from './generated/waggle/v1/Node.js';
import type { NodeServiceClient } from './generated/waggle/v1/NodeService.js';
import type { Pool__Output } from './generated/waggle/v1/Pool.js';
import type { PoolServiceClient } from './generated/waggle/v1/PoolService.js';
import type { StatsSample__Output } from './generated/waggle/v1/StatsSample.js';
import type { StatsServiceClient } from './generated/waggle/v1/StatsService.js';
import type { Vip__Output } from './generated/waggle/v1/Vip.js';
import type { VipServiceClient } from './generated/waggle/v1/VipService.js';
import type { Worker__Output } from './generated/waggle/v1/Worker.js';
import { formatListen } from './listen.js';
import { loadApi } from './proto.js';

const api = loadApi();
let datapath: MemoryDatapath;
let control: ControlPlane;
let vips: VipServiceClient;
let pools: PoolServiceClient;
let stats: StatsServiceClient;
let nodes: NodeServiceClient;

/** A call; what it answers, or the ServiceError that it fails with. */
function ask<T>(
  start: (options: CallOptions, done: requestCallback<T>) => unknown,
  deadlineMs = 5000,
): Promise<T> {
  return new Promise((resolve, reject) => {
    start({ deadline: Date.now() + deadlineMs }, (error, value) =>
      error ? reject(error) : resolve(value as T),
    );
  });
}
async function refusal(call: Promise<unknown>): Promise<ServiceError> {
  return call.then(
    () => {
      throw new Error('the call was not refused');
    },
    (error: ServiceError) => error,
  );
}
const detailsOf = ({ metadata }: ServiceError) => {
  const bytes = metadata.get(STATUS_DETAILS_KEY)[0];
  if (!(bytes instanceof Uint8Array)) throw new Error('no google.rpc.Status');
  return decodeStatus(bytes);
};

const createPool = (poolId: string) =>
  ask<Pool__Output>((o, done) => pools.CreatePool({ pool: {}, poolId }, o, done));
const createBackend = (poolId: string, backendId: string, address: string, weight?: number) =>
  ask<Backend__Output>((o, done) =>
    pools.CreateBackend(
      { parent: `pools/${poolId}`, backendId, backend: { address, ...(weight !== undefined && { weight }) } },
      o,
      done,
    ),
  );
const createVip = (
  vipId: string,
  address: string,
  fields: { port?: number; pool?: string; validateOnly?: boolean } = {},
) =>
  ask<Vip__Output>((o, done) =>
    vips.CreateVip(
      {
        vipId,
        vip: { address, port: fields.port ?? 80, protocol: 'PROTOCOL_TCP', pool: fields.pool ?? 'pools/web' },
        validateOnly: fields.validateOnly ?? false,
      },
      o,
      done,
    ),
  );
const getVip = (name: string) => ask<Vip__Output>((o, done) => vips.GetVip({ name }, o, done));
const getBackend = (name: string) => ask<Backend__Output>((o, done) => pools.GetBackend({ name }, o, done));
const node = () => ask<Node__Output>((o, done) => nodes.GetNode({ name: 'nodes/self' }, o, done));

beforeEach(async () => {
  datapath = new MemoryDatapath();
  control = await ControlPlane.start({
    datapath,
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    version: '1.2.3',
    log: () => undefined,
  });
  const address = formatListen(control.address);
  const plaintext = credentials.createInsecure();
  vips = new api.v1.VipService(address, plaintext);
  pools = new api.v1.PoolService(address, plaintext);
  stats = new api.v1.StatsService(address, plaintext);
  nodes = new api.v1.NodeService(address, plaintext);
});
afterEach(async () => {
  for (const client of [vips, pools, stats, nodes]) client.close();
  await control.stop();
});

describe('resources', () => {
  it('are created, read, listed, changed and deleted', async () => {
    expect(await createPool('web')).toMatchObject({ name: 'pools/web', revision: '1' });
    expect(await createBackend('web', 'a', '10.0.0.1')).toMatchObject({
      name: 'pools/web/backends/a',
      address: '10.0.0.1',
      weight: 1,
      adminState: 'ADMIN_STATE_ENABLED',
      status: {
        effectiveWeight: 1,
        nextHop: { state: 'STATE_RESOLVED', macAddress: '02:00:0a:00:00:01' },
      },
    });
    const created = await createVip('web', '192.0.2.1');
    expect(created).toMatchObject({
      name: 'vips/web',
      address: '192.0.2.1',
      port: 80,
      protocol: 'PROTOCOL_TCP',
      pool: 'pools/web',
      revision: '3',
      status: { state: 'STATE_ACTIVE', totalBackends: 1, servingBackends: 1 },
    });
    expect(await getVip('vips/web')).toEqual(created);
    expect(
      datapath.tables.getVip({
        address: { family: 4, bytes: Uint8Array.of(192, 0, 2, 1) },
        port: 80,
        protocol: 'tcp',
      }),
    ).toBeDefined();

    await createPool('other');
    const changed = await ask<Vip__Output>((o, done) =>
      vips.UpdateVip({ vip: { name: 'vips/web', pool: 'pools/other', etag: created.etag } }, o, done),
    );
    expect(changed).toMatchObject({ pool: 'pools/other', status: { state: 'STATE_DOWN', totalBackends: 0 } });
    expect(changed.etag).not.toBe(created.etag);

    await ask((o, done) => vips.DeleteVip({ name: 'vips/web', etag: changed.etag }, o, done));
    expect((await refusal(getVip('vips/web'))).code).toBe(status.NOT_FOUND);
    expect(datapath.shielded.size).toBe(0);
  });

  it('lists come in pages', async () => {
    await createPool('web');
    await createPool('other');
    for (const id of ['a', 'b', 'c']) await createBackend('web', id, `10.0.0.${id.charCodeAt(0)}`);
    await createBackend('other', 'x', '10.0.0.1');
    const list = (parent: string, pageSize: number, pageToken = '') =>
      ask<ListBackendsResponse__Output>((o, done) =>
        pools.ListBackends({ parent, pageSize, pageToken }, o, done),
      );
    const first = await list('pools/web', 2);
    const second = await list('pools/web', 2, first.nextPageToken);
    expect([...first.backends, ...second.backends].map(({ name }) => name)).toEqual(
      ['a', 'b', 'c'].map((id) => `pools/web/backends/${id}`),
    );
    expect(second.nextPageToken).toBe('');
    expect((await list('pools/-', 0)).backends).toHaveLength(4);
    expect((await refusal(list('pools/no', 0))).code).toBe(status.NOT_FOUND);
  });

  it('a weight is changed alone, to 0 and back to the default', async () => {
    await createPool('web');
    await createBackend('web', 'a', '10.0.0.1', 5);
    const name = 'pools/web/backends/a';
    const update = (weight: number | undefined, paths?: string[]) =>
      ask<Backend__Output>((o, done) =>
        pools.UpdateBackend(
          {
            backend: { name, ...(weight !== undefined && { weight }) },
            ...(paths && { updateMask: { paths } }),
          },
          o,
          done,
        ),
      );
    expect(await update(0)).toMatchObject({ weight: 0, status: { effectiveWeight: 0 } });
    expect(await update(undefined)).toMatchObject({ weight: 0 });
    expect(await update(undefined, ['weight'])).toMatchObject({ weight: 1 });
  });

  it('draining shows, and ends when told', async () => {
    await createPool('web');
    await createBackend('web', 'a', '10.0.0.1', 5);
    await createVip('web', '192.0.2.1');
    const name = 'pools/web/backends/a';
    expect((await getBackend(name)).status?.tableShare).toBe(1);
    const draining = await ask<Backend__Output>((o, done) => pools.DrainBackend({ name }, o, done));
    expect(draining).toMatchObject({
      weight: 5,
      adminState: 'ADMIN_STATE_DRAINING',
      status: { effectiveWeight: 0, tableShare: 0, drained: true },
    });
    expect(Number(draining.status?.drainStartTime?.seconds)).toBeGreaterThan(1.7e9);
    expect(await getVip('vips/web')).toMatchObject({ status: { state: 'STATE_DOWN' } });
    const back = await ask<Backend__Output>((o, done) => pools.UndrainBackend({ name }, o, done));
    expect(back).toMatchObject({
      adminState: 'ADMIN_STATE_ENABLED',
      status: { effectiveWeight: 5, tableShare: 1, drained: false },
    });
  });

  it('a backend whose next hop is silent is shown, and left out', async () => {
    datapath.silent.set('10.0.0.2', 'its neighbour does not answer');
    await createPool('web');
    await createBackend('web', 'a', '10.0.0.1');
    await createVip('web', '192.0.2.1');
    expect(await createBackend('web', 'b', '10.0.0.2')).toMatchObject({
      weight: 1,
      status: {
        effectiveWeight: 0,
        tableShare: 0,
        nextHop: { state: 'STATE_UNREACHABLE', macAddress: '', reason: 'its neighbour does not answer' },
      },
    });
    expect(await getVip('vips/web')).toMatchObject({ status: { totalBackends: 2, servingBackends: 1 } });
    datapath.silent.clear();
    await expect
      .poll(async () => (await getBackend('pools/web/backends/b')).status?.tableShare, { timeout: 5000 })
      .toBeCloseTo(0.5, 2);
  });

  it('validate_only answers what would be, and changes nothing', async () => {
    await createPool('web');
    expect(await createVip('web', '192.0.2.1', { validateOnly: true })).toMatchObject({ name: 'vips/web' });
    expect((await refusal(getVip('vips/web'))).code).toBe(status.NOT_FOUND);
    expect((await node()).activeRevision).toBe('1');
    expect((await refusal(createVip('web', '192.0.2', { validateOnly: true }))).code).toBe(
      status.INVALID_ARGUMENT,
    );
  });
});

describe('refusals carry status, message and details, and change nothing', () => {
  beforeEach(async () => {
    datapath.hostAddresses.add('192.0.2.99');
    await createPool('web');
    await createBackend('web', 'a', '10.0.0.1');
    await createVip('web', '192.0.2.1');
    await createPool('six');
    await createVip('six', '2001:db8::80', { pool: 'pools/six' });
  });

  const update = (vip: { name: string; pool?: string; etag?: string; address?: string }, paths?: string[]) =>
    ask((o, done) => vips.UpdateVip({ vip, ...(paths && { updateMask: { paths } }) }, o, done));

  const rows: readonly [
    rule: string,
    call: () => Promise<unknown>,
    code: status,
    message: RegExp,
    detail: Record<string, unknown>,
  ][] = [
    [
      'an unknown VIP',
      () => getVip('vips/no'),
      status.NOT_FOUND,
      /^vips\/no does not exist$/,
      { type: 'ResourceInfo', resourceType: 'waggle.v1.Vip', resourceName: 'vips/no' },
    ],
    [
      'an unknown pool of a VIP',
      () => createVip('x', '192.0.2.2', { pool: 'pools/no' }),
      status.NOT_FOUND,
      /pools\/no/,
      { type: 'ResourceInfo', resourceName: 'pools/no' },
    ],
    [
      'an unknown backend',
      () => getBackend('pools/web/backends/no'),
      status.NOT_FOUND,
      /backends\/no/,
      { type: 'ResourceInfo' },
    ],
    [
      'an address that is none',
      () => createBackend('web', 'x', '10.0.0'),
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
      () => createBackend('web', 'x', '10.0.0.2', 65536),
      status.INVALID_ARGUMENT,
      /^backend\.weight: 65536 is not in 0\.\.65535$/,
      { type: 'BadRequest' },
    ],
    // A uint32 has no -1: the client's library sends 2^32 - 1.
    [
      'a weight of -1',
      () => createBackend('web', 'x', '10.0.0.2', -1),
      status.INVALID_ARGUMENT,
      /^backend\.weight: 4294967295 is not in 0\.\.65535$/,
      { type: 'BadRequest' },
    ],
    [
      'a port over 65535',
      () => createVip('x', '192.0.2.2', { port: 70000 }),
      status.INVALID_ARGUMENT,
      /^vip\.port: 70000/,
      { type: 'BadRequest' },
    ],
    [
      'a backend of the wrong family',
      () => createBackend('six', 'x', '10.0.0.2'),
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
      () => createVip('again', '192.0.2.1'),
      status.ALREADY_EXISTS,
      /192\.0\.2\.1:80\/tcp is served by vips\/web/,
      { type: 'ResourceInfo', resourceName: 'vips/web' },
    ],
    [
      'an id that is taken',
      () => createPool('web'),
      status.ALREADY_EXISTS,
      /pools\/web exists/,
      { type: 'ResourceInfo', resourceType: 'waggle.v1.Pool' },
    ],
    [
      'an address twice in a pool',
      () => createBackend('web', 'b', '10.0.0.1'),
      status.ALREADY_EXISTS,
      /10\.0\.0\.1.*backends\/a/,
      { type: 'ResourceInfo' },
    ],
    [
      "a VIP that is the host's own address",
      () => createVip('own', '192.0.2.99'),
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
      () => ask((o, done) => pools.DeletePool({ name: 'pools/web' }, o, done)),
      status.FAILED_PRECONDITION,
      /serves 1 VIP \(web\) and has 1 backend \(a\).*force/,
      { type: 'PreconditionFailure' },
    ],
    [
      'a request without its resource',
      () => ask((o, done) => vips.CreateVip({ vipId: 'x' }, o, done)),
      status.INVALID_ARGUMENT,
      /^vip: is required$/,
      { type: 'BadRequest' },
    ],
    [
      'a page token that is none',
      () => ask((o, done) => vips.ListVips({ pageToken: 'x' }, o, done)),
      status.INVALID_ARGUMENT,
      /^page_token/,
      { type: 'BadRequest' },
    ],
    [
      'statistics of something else',
      () => ask((o, done) => stats.GetStats({ resources: ['web'] }, o, done)),
      status.INVALID_ARGUMENT,
      /^resources: "web"/,
      { type: 'BadRequest' },
    ],
    [
      'statistics of an unknown VIP',
      () => ask((o, done) => stats.GetStats({ resources: ['vips/no'] }, o, done)),
      status.NOT_FOUND,
      /vips\/no/,
      { type: 'ResourceInfo' },
    ],
    [
      'a worker that does not exist',
      () => ask((o, done) => nodes.RestartWorker({ name: 'nodes/self', worker: 7 }, o, done)),
      status.NOT_FOUND,
      /worker 7 does not exist: there are workers 0 to 1/,
      { type: 'ResourceInfo', resourceName: '7' },
    ],
    [
      'another node',
      () => ask((o, done) => nodes.GetNode({ name: 'nodes/x' }, o, done)),
      status.NOT_FOUND,
      /nodes\/x/,
      { type: 'ResourceInfo' },
    ],
  ];
  for (const [rule, call, code, message, detail] of rows) {
    it(rule, async () => {
      const before = (await node()).activeRevision;
      const error = await refusal(call());
      expect(status[error.code]).toBe(status[code]);
      expect(error.details).toMatch(message);
      const details = detailsOf(error);
      expect(details).toMatchObject({ code, message: error.details });
      expect(details.details).toEqual([expect.objectContaining(detail)]);
      expect((await node()).activeRevision).toBe(before);
    });
  }

  it('there are as many VIPs as the datapath has numbers', async () => {
    const ports = Array.from({ length: 510 }, (_, i) => 1000 + i);
    await Promise.all(ports.map((port) => createVip(`v${port}`, '192.0.2.1', { port })));
    const error = await refusal(createVip('more', '192.0.2.1', { port: 9000 }));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error.details).toBe('no more than 512 VIPs are possible');
    expect(detailsOf(error).details).toEqual([expect.objectContaining({ type: 'QuotaFailure' })]);
  });

  it('a fault of ours is INTERNAL with an id for the log, and tells nothing else', async () => {
    Object.assign(datapath, {
      workers: () => {
        throw new Error('secret');
      },
    });
    const error = await refusal(node());
    expect(error.code).toBe(status.INTERNAL);
    expect(error.details).toMatch(/request [0-9a-f-]{36}$/);
    expect(error.message).not.toMatch(/secret/);
  });
});

describe('observation', () => {
  it('statistics of all, or of those that are named', async () => {
    await createPool('web');
    await createBackend('web', 'a', '10.0.0.1');
    await createVip('web', '192.0.2.1');
    const get = (resources: string[]) =>
      ask<StatsSample__Output>((o, done) => stats.GetStats({ resources }, o, done));
    const all = await get([]);
    expect(all.vips).toEqual([{ vip: 'vips/web', packets: '0', bytes: '0', drops: {} }]);
    expect(all.backends).toEqual([
      { backend: 'pools/web/backends/a', packets: '0', bytes: '0', trackedFlows: '0' },
    ]);
    expect(all.connections).toMatchObject({ packets: '0', tableMisses: '0' });
    expect((await get(['vips/web'])).backends).toEqual([]);
  });

  it('the node with its workers, one of which is killed', async () => {
    expect(await node()).toMatchObject({
      version: '1.2.3',
      dataplaneMode: 'DATAPLANE_MODE_AF_PACKET',
      state: 'STATE_READY',
      interface: 'test0',
      mtu: 1500,
      activeRevision: '0',
      workers: [
        { worker: 0, restarts: '0' },
        { worker: 1, counters: { received: '10' } },
      ],
    });
    const worker = await ask<Worker__Output>((o, done) =>
      nodes.RestartWorker({ name: 'nodes/self', worker: 1 }, o, done),
    );
    expect(worker).toMatchObject({ worker: 1, restarts: '1', lastFault: 'killed' });
  });
});

describe('limits', () => {
  it('a request over 1 MiB is refused', async () => {
    const error = await refusal(
      ask((o, done) =>
        pools.CreatePool({ poolId: 'x', pool: { displayName: 'x'.repeat(2 ** 20 + 1) } }, o, done),
      ),
    );
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
  });

  it('a change whose caller gave up while it waited is not made', async () => {
    await createPool('web');
    datapath.silent.set('10.0.0.1', '');
    const error = await refusal(
      ask(
        (o, done) =>
          pools.CreateBackend(
            { parent: 'pools/web', backendId: 'a', backend: { address: '10.0.0.1' } },
            o,
            done,
          ),
        50,
      ),
    );
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    await expect
      .poll(async () => (await refusal(getBackend('pools/web/backends/a'))).code)
      .toBe(status.NOT_FOUND);
    // Once the change had its turn and was given up, later ones go on from the same revision.
    expect(await createPool('next')).toMatchObject({ revision: '2' });
  });

  it('a server that stops lets a running call end', async () => {
    await createPool('web');
    datapath.silent.set('10.0.0.1', '');
    const running = createBackend('web', 'a', '10.0.0.1');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const stopping = control.stop();
    expect(await running).toMatchObject({ name: 'pools/web/backends/a' });
    await stopping;
  });
});

describe('reflection', () => {
  interface Reply {
    readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
    readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
    readonly errorResponse?: { readonly errorCode: number };
  }
  /** The protocol as a client that knows nothing of this API speaks it (grpc/reflection/v1/reflection.proto). */
  const definition = fromJSON(
    protobuf
      .parse(`syntax = "proto3";
      package grpc.reflection.v1;
      message ServerReflectionRequest { string host = 1; oneof message_request {
        string file_by_filename = 3; string file_containing_symbol = 4; string list_services = 7; } }
      message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
      message ServiceResponse { string name = 1; }
      message ListServiceResponse { repeated ServiceResponse service = 1; }
      message ErrorResponse { int32 error_code = 1; string error_message = 2; }
      message ServerReflectionResponse { oneof message_response {
        FileDescriptorResponse file_descriptor_response = 4; ListServiceResponse list_services_response = 6;
        ErrorResponse error_response = 7; } }
      service ServerReflection {
        rpc ServerReflectionInfo(stream ServerReflectionRequest) returns (stream ServerReflectionResponse); }`)
      .root.toJSON(),
    {},
  );
  const service = definition['grpc.reflection.v1.ServerReflection'];
  const reflect = async (request: Record<string, string>): Promise<Reply> => {
    if (!service || 'format' in service) throw new Error('no service');
    const Client = makeGenericClientConstructor(service, 'ServerReflection');
    const client = new Client(formatListen(control.address), credentials.createInsecure());
    try {
      return await new Promise<Reply>((resolve, reject) => {
        const method = service.ServerReflectionInfo;
        if (!method) throw new Error('no method');
        const stream = client.makeBidiStreamRequest<object, Reply>(
          method.path,
          method.requestSerialize,
          (bytes) => method.responseDeserialize(bytes) as Reply,
          new Metadata(),
        );
        stream.on('data', resolve).on('error', reject);
        stream.write(request);
        stream.end();
      });
    } finally {
      client.close();
    }
  };

  it('lists the services', async () => {
    const { listServicesResponse } = await reflect({ listServices: '*' });
    expect(listServicesResponse?.service.map(({ name }) => name).sort()).toEqual([
      'waggle.v1.NodeService',
      'waggle.v1.PoolService',
      'waggle.v1.StatsService',
      'waggle.v1.VipService',
    ]);
  });

  it('describes a service, and all that it needs', async () => {
    const { fileDescriptorResponse } = await reflect({ fileContainingSymbol: 'waggle.v1.VipService' });
    const text = (fileDescriptorResponse?.fileDescriptorProto ?? [])
      .map((bytes) => bytes.toString('latin1'))
      .join('\n');
    for (const symbol of ['CreateVip', 'UpdateVipRequest', 'display_name', 'FieldMask', 'PROTOCOL_UDP']) {
      expect(text).toContain(symbol);
    }
  });

  it('says that it does not know a symbol', async () => {
    expect(await reflect({ fileContainingSymbol: 'waggle.v1.Nope' })).toMatchObject({
      errorResponse: { errorCode: status.NOT_FOUND },
    });
  });
});

describe('a server on a Unix socket', () => {
  let plane: ControlPlane | undefined;
  const path = `/tmp/waggle-api-${process.pid}.sock`;
  beforeAll(async () => {
    plane = await ControlPlane.start({
      datapath: new MemoryDatapath(),
      listen: { kind: 'unix', path },
      version: '1',
      log: () => undefined,
    });
  });
  afterAll(() => plane?.stop());

  it('answers, and is open to its own user alone', async () => {
    const { statSync } = await import('node:fs');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const client = new api.v1.NodeService(`unix:${path}`, credentials.createInsecure());
    expect(
      await ask<Node__Output>((o, done) => client.GetNode({ name: 'nodes/self' }, o, done)),
    ).toMatchObject({ version: '1' });
    client.close();
  });

  it('refuses to share its socket', async () => {
    await expect(
      ControlPlane.start({
        datapath: new MemoryDatapath(),
        listen: { kind: 'unix', path },
        version: '1',
        log: () => undefined,
      }),
    ).rejects.toMatchObject({ code: 'LISTEN_IN_USE' });
  });
});
