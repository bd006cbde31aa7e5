import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { ask } from '../test/support/api-bed.js';
import { LOOPBACK } from '../test/support/memory-control.js';
import { MemoryDatapath } from '../test/support/memory-datapath.js';
import { silentLog } from '../test/support/silent-log.js';
import { ControlPlane } from './control.js';
import type { Event__Output } from './grpc/generated/waggle/v1/Event.js';
import type { ListPoolsResponse__Output } from './grpc/generated/waggle/v1/ListPoolsResponse.js';
import { formatListen } from './grpc/listen.js';
import { loadApi } from './grpc/proto.js';

const { v1 } = loadApi();

it('a state directory that was damaged is told to who asks for events, and to who reads the metrics', async () => {
  const state = mkdtempSync(join(tmpdir(), 'waggle-damaged-'));
  const start = () =>
    ControlPlane.start({
      ...{ datapath: new MemoryDatapath(), listen: LOOPBACK, metrics: LOOPBACK, version: '1.2.3', state },
      log: silentLog(),
    });
  const clientsOf = (control: ControlPlane) => {
    const address = formatListen(control.address);
    const plaintext = credentials.createInsecure();
    return { pools: new v1.PoolService(address, plaintext), stats: new v1.StatsService(address, plaintext) };
  };

  let control = await start();
  let { pools, stats } = clientsOf(control);
  for (const poolId of ['kept', 'lost'])
    await ask((o, done) => pools.CreatePool({ pool: {}, poolId }, o, done));
  pools.close();
  stats.close();
  await control.stop();
  const [journal] = readdirSync(state).filter((name) => name.startsWith('journal-'));
  const bytes = readFileSync(join(state, journal!));
  bytes[bytes.length - 2]! ^= 1;
  writeFileSync(join(state, journal!), bytes);

  control = await start();
  ({ pools, stats } = clientsOf(control));
  try {
    const listed = await ask<ListPoolsResponse__Output>((o, done) => pools.ListPools({}, o, done));
    expect(listed.pools.map(({ name }) => name)).toEqual(['pools/kept']);
    const events = stats.WatchEvents({ types: ['state.damaged'], afterSequence: 0 });
    const told = await new Promise<Event__Output>((resolve, reject) => {
      events.once('data', resolve).once('error', reject);
    });
    events.on('error', () => undefined).cancel();
    expect(told).toMatchObject({
      type: 'state.damaged',
      attributes: { file: journal, aside: `${journal}.damaged` },
    });
    const text = await (await fetch(`http://${formatListen(control.metricsAddress!)}/metrics`)).text();
    expect(text).toContain('waggle_events_total{type="state.damaged"} 1\n');
  } finally {
    pools.close();
    stats.close();
    await control.stop();
    rmSync(state, { recursive: true });
  }
});
