import { credentials, status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ApiBed, ask, detailsOf } from '../../test/support/api-bed.js';
import { StreamReader } from '../../test/support/stream.js';
import type { BackendEvent__Output } from './generated/waggle/v1/BackendEvent.js';
import type { ListPoolsResponse__Output } from './generated/waggle/v1/ListPoolsResponse.js';
import type { VipEvent__Output } from './generated/waggle/v1/VipEvent.js';
import type { WatchBackendsRequest } from './generated/waggle/v1/WatchBackendsRequest.js';
import type { WatchVipsRequest } from './generated/waggle/v1/WatchVipsRequest.js';
import { formatListen } from './listen.js';
import { loadApi } from './proto.js';

let bed: ApiBed;
/** Revision that a test begins with. */
let base: number;
const readers: { cancel(): void }[] = [];

beforeAll(async () => {
  bed = await ApiBed.start();
});
beforeEach(async () => {
  base = Number((await bed.node()).activeRevision);
});
afterEach(async () => {
  for (const reader of readers.splice(0)) reader.cancel();
  const { pools } = await ask<ListPoolsResponse__Output>((o, done) => bed.pools.ListPools({}, o, done));
  for (const { name } of pools) await ask((o, done) => bed.pools.DeletePool({ name, force: true }, o, done));
});
afterAll(() => bed.stop());

function watchBackends(request: WatchBackendsRequest = {}): StreamReader<BackendEvent__Output> {
  const reader = new StreamReader(bed.pools.WatchBackends({ parent: 'pools/-', ...request }));
  readers.push(reader);
  return reader;
}
function watchVips(request: WatchVipsRequest = {}): StreamReader<VipEvent__Output> {
  const reader = new StreamReader(bed.vips.WatchVips(request));
  readers.push(reader);
  return reader;
}
const isSynced = ({ type }: { type: string }) => type === 'EVENT_TYPE_SYNCED';
const text = ({ type, revision, ...event }: BackendEvent__Output | VipEvent__Output) => {
  const resource = 'backend' in event ? event.backend : event.vip;
  return [type.replace('EVENT_TYPE_', ''), resource?.name.split('/').at(-1), `${Number(revision) - base}`]
    .filter(Boolean)
    .join(' ');
};
const synced = async (reader: StreamReader<BackendEvent__Output> | StreamReader<VipEvent__Output>) => {
  const texts: string[] = [];
  for (;;) {
    const event = await reader.next();
    texts.push(text(event));
    if (isSynced(event)) return texts;
  }
};

const setWeight = (name: string, weight: number) =>
  ask((o, done) => bed.pools.UpdateBackend({ backend: { name, weight } }, o, done));
const remove = (name: string) => ask((o, done) => bed.pools.DeleteBackend({ name }, o, done));
const web = (id: string) => `pools/web/backends/${id}`;

describe('WatchBackends', () => {
  it('gives what is there, SYNCED, and then what becomes of it', async () => {
    await bed.createPool('web');
    await bed.createBackend('web', 'b', '10.0.0.2');
    await bed.createBackend('web', 'a', '10.0.0.1', 7);
    const reader = watchBackends();
    const first = await reader.until(isSynced);
    expect(first.map(text)).toEqual(['ADDED a 3', 'ADDED b 3', 'SYNCED 3']);
    expect(first[0]?.backend).toEqual(await bed.getBackend(web('a')));
    await setWeight(web('b'), 9);
    expect(await synced(reader)).toEqual(['MODIFIED b 4', 'SYNCED 4']);
    await remove(web('a'));
    const [gone] = await reader.until(isSynced);
    expect(gone).toMatchObject({ type: 'EVENT_TYPE_DELETED', revision: `${base + 5}` });
    expect(gone?.backend).toMatchObject({ name: web('a'), weight: 7 });
  });

  it('an empty set is SYNCED at once', async () => {
    expect(await synced(watchBackends())).toEqual(['SYNCED 0']);
  });

  it('of one pool tells of that alone', async () => {
    await bed.createPool('web');
    await bed.createPool('dns');
    await bed.createBackend('dns', 'x', '10.0.0.9');
    const reader = watchBackends({ parent: 'pools/web' });
    expect(await synced(reader)).toEqual(['SYNCED 3']);
    await bed.createBackend('dns', 'y', '10.0.0.8');
    await bed.createBackend('web', 'a', '10.0.0.1');
    expect(await synced(reader)).toEqual(['ADDED a 5', 'SYNCED 5']);
  });

  it('with a filter tells of what comes under it, and goes', async () => {
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1', 1);
    await bed.createBackend('web', 'b', '10.0.0.2', 5);
    const reader = watchBackends({ filter: 'weight >= 5' });
    expect(await synced(reader)).toEqual(['ADDED b 3', 'SYNCED 3']);
    await setWeight(web('a'), 6);
    expect(await synced(reader)).toEqual(['ADDED a 4', 'SYNCED 4']);
    await setWeight(web('b'), 4);
    expect(await synced(reader)).toEqual(['DELETED b 5', 'SYNCED 5']);
  });

  it('goes on after a revision', async () => {
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1');
    await bed.createBackend('web', 'b', '10.0.0.2');
    await remove(web('a'));
    const reader = watchBackends({ resumeRevision: base + 2 });
    expect(await synced(reader)).toEqual(['ADDED b 3', 'DELETED a 4', 'SYNCED 4']);
  });

  it('with include_status tells of what is observed too', async () => {
    bed.datapath.silent.set('10.0.0.1', 'no route');
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1');
    const reader = watchBackends({ includeStatus: true });
    await reader.until(isSynced);
    bed.datapath.silent.clear();
    const told = await reader.until(({ backend }) => backend?.status?.nextHop?.state === 'STATE_RESOLVED');
    expect(told.at(-1)).toMatchObject({ type: 'EVENT_TYPE_MODIFIED', revision: `${base + 2}` });
    // What is only observed is no revision.
    expect(told.filter(isSynced)).toEqual([]);
  });

  it('beats when it is quiet', async () => {
    await bed.createPool('web');
    const reader = watchBackends({ heartbeatInterval: { seconds: 1 } });
    await reader.until(isSynced);
    expect(text(await reader.next())).toBe('HEARTBEAT 1');
  });

  it('a reader that stops is told of the newest of each, and of every end', async () => {
    await bed.createPool('web');
    const ids = Array.from({ length: 200 }, (_, i) => `b${i}`);
    for (const [i, id] of ids.entries()) await bed.createBackend('web', id, `10.0.1.${i}`);
    const call = bed.pools.WatchBackends({ parent: 'pools/web' });
    call.pause();
    for (let round = 2; round <= 4; round++)
      for (const id of ids.slice(0, 20)) await setWeight(web(id), round);
    for (const id of ids.slice(10, 20)) await remove(web(id));
    const reader = new StreamReader(call);
    readers.push(reader);
    const events = await reader.until(
      ({ type, revision }) => isSynced({ type }) && Number(revision) === base + 271,
    );
    const kept = new Map<string, number>();
    for (const { type, backend } of events) {
      if (backend === null) continue;
      if (type === 'EVENT_TYPE_DELETED') kept.delete(backend.name);
      else kept.set(backend.name, backend.weight ?? 1);
    }
    const wanted = ids.flatMap((id, i): [string, number][] =>
      i >= 10 && i < 20 ? [] : [[web(id), i < 10 ? 4 : 1]],
    );
    expect(new Map([...kept].sort())).toEqual(new Map(wanted.sort()));
  });
});

describe('a watch is refused', () => {
  it.each([
    ['a filter that is none', { filter: 'weight >' }, status.INVALID_ARGUMENT, 'filter'],
    ['a parent that is none', { parent: 'vips/a' }, status.INVALID_ARGUMENT, 'parent'],
    [
      'heartbeats in a hurry',
      { heartbeatInterval: { nanos: 5e8 } },
      status.INVALID_ARGUMENT,
      'heartbeat_interval',
    ],
  ])('%s', async (_, request, code, field) => {
    const error = await watchBackends(request).error();
    expect(error.code).toBe(code);
    expect(detailsOf(error).details[0]).toMatchObject({ type: 'BadRequest', fieldViolations: [{ field }] });
  });

  it('of a pool that is not there', async () => {
    expect((await watchBackends({ parent: 'pools/none' }).error()).code).toBe(status.NOT_FOUND);
  });

  it('after a revision that is not remembered', async () => {
    await bed.createPool('web');
    const error = await watchBackends({ resumeRevision: base + 7 }).error();
    expect(error.code).toBe(status.OUT_OF_RANGE);
    expect(detailsOf(error).details[0]).toMatchObject({
      type: 'ErrorInfo',
      reason: 'WATCH_REVISION',
      metadata: { newest_revision: `${base + 1}` },
    });
  });
});

describe('WatchVips', () => {
  it('gives VIPs with their status, and what becomes of them', async () => {
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1');
    await bed.createVip('web', '192.0.2.1');
    const reader = watchVips();
    const [added] = await reader.until(isSynced);
    expect(added?.vip).toEqual(await bed.getVip('vips/web'));
    await bed.createVip('dns', '192.0.2.2', { port: 53 });
    expect(await synced(reader)).toEqual(['ADDED dns 4', 'SYNCED 4']);
    await ask((o, done) => bed.vips.DeleteVip({ name: 'vips/web' }, o, done));
    expect(await synced(reader)).toEqual(['DELETED web 5', 'SYNCED 5']);
  });

  it('with include_status gives a VIP again when who serves it changes, though its configuration does not', async () => {
    bed.datapath.silent.set('10.0.0.1', 'no route');
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1');
    await bed.createVip('web', '192.0.2.1');
    const reader = watchVips({ includeStatus: true });
    const [added] = await reader.until(isSynced);
    expect(added?.vip?.status).toMatchObject({ servingBackends: 0 });
    bed.datapath.silent.clear();
    const told = await reader.until(({ vip }) => vip?.status?.servingBackends === 1);
    expect(told.at(-1)).toMatchObject({ type: 'EVENT_TYPE_MODIFIED', revision: added?.revision });
  });
});

it('a watch ends when the server stops', async () => {
  const own = await ApiBed.start();
  const reader = new StreamReader(own.vips.WatchVips({}));
  await reader.until(isSynced);
  const ended = reader.error();
  await own.stop();
  expect((await ended).code).toBe(status.UNAVAILABLE);
});

it('WatchSnapshot gives the configuration, then each new one, and beats when it is quiet', async () => {
  const client = new (loadApi().v1.ConfigService)(
    formatListen(bed.control.address),
    credentials.createInsecure(),
  );
  readers.push({ cancel: () => client.close() });
  await bed.createPool('web');
  const reader = new StreamReader(client.WatchSnapshot({ heartbeatInterval: { seconds: 1 } }));
  readers.unshift(reader);
  expect(await reader.next()).toMatchObject({
    type: 'EVENT_TYPE_MODIFIED',
    revision: `${base + 1}`,
    snapshot: { pools: [{ name: 'pools/web' }], backends: [] },
  });
  await bed.createBackend('web', 'a', '10.0.0.1');
  expect(await reader.next()).toMatchObject({
    revision: `${base + 2}`,
    snapshot: { backends: [{ name: web('a') }], revision: `${base + 2}` },
  });
  expect(await reader.next()).toMatchObject({ type: 'EVENT_TYPE_HEARTBEAT', snapshot: null });
});
