import { randomUUID } from 'node:crypto';
import { credentials, type ServiceError, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ApiBed, ask, eachWithApi } from '../../test/support/api-bed.js';
import type { ApplySnapshotRequest } from './generated/waggle/v1/ApplySnapshotRequest.js';
import type { ApplySnapshotResponse__Output } from './generated/waggle/v1/ApplySnapshotResponse.js';
import type { ConfigServiceClient } from './generated/waggle/v1/ConfigService.js';
import type { ConfigSnapshot__Output } from './generated/waggle/v1/ConfigSnapshot.js';
import type { ListBackendsResponse__Output } from './generated/waggle/v1/ListBackendsResponse.js';
import type { ListRevisionsResponse__Output } from './generated/waggle/v1/ListRevisionsResponse.js';
import type { NodeConfig__Output } from './generated/waggle/v1/NodeConfig.js';
import type { ReplaceBackendsResponse__Output } from './generated/waggle/v1/ReplaceBackendsResponse.js';
import { formatListen } from './listen.js';
import { loadApi } from './proto.js';

const { v1 } = loadApi();
let bed: ApiBed;
let config: ConfigServiceClient;
eachWithApi((each) => {
  bed = each;
});
beforeEach(() => {
  config = new v1.ConfigService(formatListen(bed.control.address), credentials.createInsecure());
});
afterEach(() => config.close());

const snapshot = () => ask<ConfigSnapshot__Output>((o, done) => config.GetSnapshot({}, o, done));
const apply = (request: ApplySnapshotRequest) =>
  ask<ApplySnapshotResponse__Output>((o, done) => config.ApplySnapshot(request, o, done));
const revisions = async () => {
  const list = await ask<ListRevisionsResponse__Output>((o, done) => config.ListRevisions({}, o, done));
  return list.revisions.length;
};
/** Codes of calls' ends, in the order of the calls. */
async function codesOf(calls: readonly Promise<unknown>[]): Promise<status[]> {
  const ends = await Promise.allSettled(calls);
  return ends.map((end) => (end.status === 'fulfilled' ? status.OK : (end.reason as ServiceError).code));
}

/**
 * A change that waits for the next hop of its backend, so that those asked for meanwhile wait for their turn.
 * @returns ends the wait, once the calls that were made since have come to the server
 */
async function hold(): Promise<() => Promise<void>> {
  await bed.createPool('slow');
  bed.datapath.silent.set('10.9.9.9', '');
  const slow = bed.createBackend('slow', 'a', '10.9.9.9');
  await expect.poll(() => bed.datapath.asked.has('10.9.9.9')).toBe(true);
  return async () => {
    // A read of the same connection comes after them.
    await snapshot();
    await bed.node();
    bed.datapath.silent.clear();
    await slow;
  };
}

describe('changes that wait for their turn are made of the state that they change', () => {
  it('of two configurations that replace the same one, the second is refused', async () => {
    const { etag } = await snapshot();
    bed.datapath.silent.set('10.0.0.1', '');
    const asked = (pool: string) =>
      apply({
        snapshot: {
          etag,
          pools: [{ name: `pools/${pool}` }],
          backends: [{ name: `pools/${pool}/backends/a`, address: '10.0.0.1' }],
        },
      });
    const ends = codesOf([asked('one'), asked('two')]);
    await expect.poll(() => bed.datapath.asked.has('10.0.0.1')).toBe(true);
    await snapshot();
    bed.datapath.silent.clear();
    expect(await ends).toEqual([status.OK, status.ABORTED]);
    expect((await snapshot()).pools.map(({ name }) => name)).toEqual(['pools/one']);
  });

  it('what a configuration changes is told by what was there when its turn had come', async () => {
    const release = await hold();
    const [first, second] = ['first', 'second'].map((displayName) =>
      apply({ snapshot: { pools: [{ name: 'pools/one', displayName }] } }),
    );
    await release();
    expect((await first!).changes).toMatchObject([{ action: 'ACTION_CREATE', resource: 'pools/one' }]);
    expect((await second!).changes).toMatchObject([
      { action: 'ACTION_UPDATE', fields: [{ field: 'display_name', before: 'first', after: 'second' }] },
    ]);
  });

  it('backends that are replaced are those that are there by then', async () => {
    const release = await hold();
    const parent = 'pools/slow';
    const replace = (ids: readonly string[]) =>
      ask<ReplaceBackendsResponse__Output>((o, done) =>
        bed.pools.ReplaceBackends(
          {
            parent,
            backends: ids.map((id, i) => ({ name: `${parent}/backends/${id}`, address: `10.0.0.${i + 1}` })),
          },
          o,
          done,
        ),
      );
    const answers = [replace(['b']), replace(['c'])];
    await release();
    await Promise.all(answers);
    const { backends } = await ask<ListBackendsResponse__Output>((o, done) =>
      bed.pools.ListBackends({ parent }, o, done),
    );
    expect(backends.map(({ name }) => name)).toEqual(['pools/slow/backends/c']);
  });

  it('options of the node that others set meanwhile stay', async () => {
    const release = await hold();
    const update = (options: object, path: string) =>
      ask<NodeConfig__Output>((o, done) =>
        bed.nodes.UpdateNodeConfig({ config: { options }, updateMask: { paths: [path] } }, o, done),
      );
    const answers = [
      update({ sendTooBig: false }, 'options.send_too_big'),
      update({ sourceRouting: true }, 'options.source_routing'),
    ];
    await release();
    await Promise.all(answers);
    expect((await snapshot()).node?.options).toMatchObject({ sendTooBig: false, sourceRouting: true });
  });
});

describe('a configuration that is sent again', () => {
  it('with its id is answered as before, though the etag that it was read with is no longer that of now', async () => {
    const { etag } = await snapshot();
    const request = { snapshot: { etag, pools: [{ name: 'pools/one' }] }, requestId: randomUUID() };
    const first = await apply(request);
    expect(first.changes).toHaveLength(1);
    expect(await apply(request)).toEqual(first);
    expect(await revisions()).toBe(1);
    expect(await codesOf([apply({ ...request, requestId: randomUUID() })])).toEqual([status.ABORTED]);
  });

  it('that is only looked at is looked at again', async () => {
    const request = {
      ...{ snapshot: { pools: [{ name: 'pools/one' }] }, requestId: randomUUID() },
      validateOnly: true,
    };
    expect((await apply(request)).changes).toHaveLength(1);
    await bed.createPool('one');
    expect((await apply(request)).changes).toEqual([]);
  });
});
