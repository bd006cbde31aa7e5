import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { type ApiBed, ask, eachWithApi, refusal } from '../../test/support/api-bed.js';
import type { Backend__Output } from './generated/waggle/v1/Backend.js';
import type { ListBackendsResponse__Output } from './generated/waggle/v1/ListBackendsResponse.js';
import type { StatsSample__Output } from './generated/waggle/v1/StatsSample.js';
import type { Vip__Output } from './generated/waggle/v1/Vip.js';
import type { Worker__Output } from './generated/waggle/v1/Worker.js';

let bed: ApiBed;
eachWithApi((started) => {
  bed = started;
});

describe('resources', () => {
  it('are created, read, listed, changed and deleted', async () => {
    expect(await bed.createPool('web')).toMatchObject({ name: 'pools/web', revision: '1' });
    expect(await bed.createBackend('web', 'a', '10.0.0.1')).toMatchObject({
      name: 'pools/web/backends/a',
      address: '10.0.0.1',
      weight: 1,
      adminState: 'ADMIN_STATE_ENABLED',
      status: {
        effectiveWeight: 1,
        nextHop: { state: 'STATE_RESOLVED', macAddress: '02:00:0a:00:00:01' },
      },
    });
    const created = await bed.createVip('web', '192.0.2.1');
    expect(created).toMatchObject({
      name: 'vips/web',
      address: '192.0.2.1',
      port: 80,
      protocol: 'PROTOCOL_TCP',
      pool: 'pools/web',
      revision: '3',
      status: { state: 'STATE_ACTIVE', totalBackends: 1, servingBackends: 1 },
    });
    expect(await bed.getVip('vips/web')).toEqual(created);
    expect(
      bed.datapath.tables.getVip({
        address: { family: 4, bytes: Uint8Array.of(192, 0, 2, 1) },
        port: 80,
        protocol: 'tcp',
      }),
    ).toBeDefined();

    await bed.createPool('other');
    const changed = await ask<Vip__Output>((o, done) =>
      bed.vips.UpdateVip({ vip: { name: 'vips/web', pool: 'pools/other', etag: created.etag } }, o, done),
    );
    expect(changed).toMatchObject({ pool: 'pools/other', status: { state: 'STATE_DOWN', totalBackends: 0 } });
    expect(changed.etag).not.toBe(created.etag);

    await ask((o, done) => bed.vips.DeleteVip({ name: 'vips/web', etag: changed.etag }, o, done));
    expect((await refusal(bed.getVip('vips/web'))).code).toBe(status.NOT_FOUND);
    expect(bed.datapath.shielded.size).toBe(0);
  });

  it('lists come in pages', async () => {
    await bed.createPool('web');
    await bed.createPool('other');
    for (const id of ['a', 'b', 'c']) await bed.createBackend('web', id, `10.0.0.${id.charCodeAt(0)}`);
    await bed.createBackend('other', 'x', '10.0.0.1');
    const list = (parent: string, pageSize: number, pageToken = '') =>
      ask<ListBackendsResponse__Output>((o, done) =>
        bed.pools.ListBackends({ parent, pageSize, pageToken }, o, done),
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
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1', 5);
    const name = 'pools/web/backends/a';
    const update = (weight: number | undefined, paths?: string[]) =>
      ask<Backend__Output>((o, done) =>
        bed.pools.UpdateBackend(
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
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1', 5);
    await bed.createVip('web', '192.0.2.1');
    const name = 'pools/web/backends/a';
    expect((await bed.getBackend(name)).status?.tableShare).toBe(1);
    const draining = await ask<Backend__Output>((o, done) => bed.pools.DrainBackend({ name }, o, done));
    expect(draining).toMatchObject({
      weight: 5,
      adminState: 'ADMIN_STATE_DRAINING',
      status: { effectiveWeight: 0, tableShare: 0, drained: true },
    });
    expect(Number(draining.status?.drainStartTime?.seconds)).toBeGreaterThan(1.7e9);
    expect(await bed.getVip('vips/web')).toMatchObject({ status: { state: 'STATE_DOWN' } });
    const back = await ask<Backend__Output>((o, done) => bed.pools.UndrainBackend({ name }, o, done));
    expect(back).toMatchObject({
      adminState: 'ADMIN_STATE_ENABLED',
      status: { effectiveWeight: 5, tableShare: 1, drained: false },
    });
  });

  it('a backend whose next hop is silent is shown, and left out', async () => {
    bed.datapath.silent.set('10.0.0.2', 'its neighbour does not answer');
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1');
    await bed.createVip('web', '192.0.2.1');
    expect(await bed.createBackend('web', 'b', '10.0.0.2')).toMatchObject({
      weight: 1,
      status: {
        effectiveWeight: 0,
        tableShare: 0,
        nextHop: { state: 'STATE_UNREACHABLE', macAddress: '', reason: 'its neighbour does not answer' },
      },
    });
    expect(await bed.getVip('vips/web')).toMatchObject({ status: { totalBackends: 2, servingBackends: 1 } });
    bed.datapath.silent.clear();
    await expect
      .poll(async () => (await bed.getBackend('pools/web/backends/b')).status?.tableShare, { timeout: 5000 })
      .toBeCloseTo(0.5, 2);
  });

  it('validate_only answers what would be, and changes nothing', async () => {
    await bed.createPool('web');
    expect(await bed.createVip('web', '192.0.2.1', { validateOnly: true })).toMatchObject({
      name: 'vips/web',
    });
    expect((await refusal(bed.getVip('vips/web'))).code).toBe(status.NOT_FOUND);
    expect((await bed.node()).activeRevision).toBe('1');
    expect((await refusal(bed.createVip('web', '192.0.2', { validateOnly: true }))).code).toBe(
      status.INVALID_ARGUMENT,
    );
  });
});

describe('observation', () => {
  it('statistics of all, or of those that are named', async () => {
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1');
    await bed.createVip('web', '192.0.2.1');
    const get = (resources: string[]) =>
      ask<StatsSample__Output>((o, done) => bed.stats.GetStats({ resources }, o, done));
    const all = await get([]);
    expect(all.vips).toEqual([{ vip: 'vips/web', packets: '0', bytes: '0', newConnections: '0', drops: {} }]);
    expect(all.backends).toEqual([
      { backend: 'pools/web/backends/a', packets: '0', bytes: '0', newConnections: '0', trackedFlows: '0' },
    ]);
    expect(all.connections).toMatchObject({ packets: '0', tableMisses: '0' });
    expect((await get(['vips/web'])).backends).toEqual([]);
  });

  it('the node with its workers, one of which is killed', async () => {
    expect(await bed.node()).toMatchObject({
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
      bed.nodes.RestartWorker({ name: 'nodes/self', worker: 1 }, o, done),
    );
    expect(worker).toMatchObject({ worker: 1, restarts: '1', lastFault: 'killed' });
  });
});

describe('limits', () => {
  it('a request over 16 MiB is refused', async () => {
    const error = await refusal(
      ask((o, done) =>
        bed.pools.CreatePool({ poolId: 'x', pool: { displayName: 'x'.repeat(2 ** 24 + 1) } }, o, done),
      ),
    );
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
  });

  it('a change whose caller gave up while it waited is not made', async () => {
    await bed.createPool('web');
    bed.datapath.silent.set('10.0.0.1', '');
    const error = await refusal(
      ask(
        (o, done) =>
          bed.pools.CreateBackend(
            { parent: 'pools/web', backendId: 'a', backend: { address: '10.0.0.1' } },
            o,
            done,
          ),
        50,
      ),
    );
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    await expect
      .poll(async () => (await refusal(bed.getBackend('pools/web/backends/a'))).code)
      .toBe(status.NOT_FOUND);
    // Once the change had its turn and was given up, later ones go on from the same revision.
    expect(await bed.createPool('next')).toMatchObject({ revision: '2' });
  });

  it('a server that stops lets a running call end', async () => {
    await bed.createPool('web');
    bed.datapath.silent.set('10.0.0.1', '');
    const running = bed.createBackend('web', 'a', '10.0.0.1');
    await expect.poll(() => bed.datapath.asked.has('10.0.0.1'), { timeout: 5000 }).toBe(true);
    const stopping = bed.control.stop();
    expect(await running).toMatchObject({ name: 'pools/web/backends/a' });
    await stopping;
  });
});
