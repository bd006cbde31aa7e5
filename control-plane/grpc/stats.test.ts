import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ApiBed, ask, detailsOf, refusal } from '../../test/support/api-bed.js';
import { tcpFrame } from '../../test/support/packets.js';
import { StreamReader } from '../../test/support/stream.js';
import type { Event__Output } from './generated/waggle/v1/Event.js';
import type { StatsSample__Output } from './generated/waggle/v1/StatsSample.js';
import type { WatchEventsRequest } from './generated/waggle/v1/WatchEventsRequest.js';
import type { WatchStatsRequest } from './generated/waggle/v1/WatchStatsRequest.js';

let bed: ApiBed;
const readers: { cancel(): void }[] = [];
afterEach(() => {
  for (const reader of readers.splice(0)) reader.cancel();
});
afterAll(() => bed.stop());
beforeAll(async () => {
  bed = await ApiBed.start();
  await bed.createPool('web');
  await bed.createBackend('web', 'a', '10.0.0.1');
});
// A VIP's counters begin with it.
beforeEach(() => bed.createVip('web', '192.0.2.1'));
afterEach(() => ask((o, done) => bed.vips.DeleteVip({ name: 'vips/web' }, o, done)));

const send = (sport: number) =>
  bed.datapath.run(tcpFrame({ src: '198.51.100.7', dst: '192.0.2.1', sport, dport: 80 }));

function watchStats(request: WatchStatsRequest): StreamReader<StatsSample__Output> {
  const reader = new StreamReader(bed.stats.WatchStats(request));
  readers.push(reader);
  return reader;
}
function watchEvents(request: WatchEventsRequest): StreamReader<Event__Output> {
  const reader = new StreamReader(bed.stats.WatchEvents(request));
  readers.push(reader);
  return reader;
}

describe('WatchStats', () => {
  const interval = { nanos: 1e8 };

  it('gives totals again and again', async () => {
    send(1000);
    const reader = watchStats({ interval });
    const first = await reader.next();
    expect(first.period).toBeNull();
    expect(first.vips).toMatchObject([{ vip: 'vips/web', packets: '1' }]);
    expect(first.workers.map(({ worker }) => worker)).toEqual([0, 1]);
    send(1001);
    const told = await reader.until(({ vips }) => vips[0]?.packets === '2');
    expect(told.at(-1)).toMatchObject({
      missedSamples: '0',
      backends: [{ backend: 'pools/web/backends/a', packets: '2' }],
      connections: { packets: '2', tcpSynMisses: '0', tcpOtherMisses: '2' },
    });
  });

  it('gives what was added, beginning with an empty sample', async () => {
    send(1000);
    const reader = watchStats({ interval, deltas: true, resources: ['vips/web'] });
    expect(await reader.next()).toMatchObject({ vips: [], backends: [], workers: [], connections: null });
    expect(await reader.next()).toMatchObject({ vips: [{ packets: '0', bytes: '0' }], backends: [] });
    send(1001);
    send(1002);
    const told = await reader.until(({ vips }) => vips[0]?.packets !== '0');
    expect(told.at(-1)?.vips).toMatchObject([{ packets: '2' }]);
    expect(told.at(-1)?.workers[0]?.counters).toMatchObject({ received: '0' });
    expect((await reader.next()).vips).toMatchObject([{ packets: '0' }]);
  });

  it('leaves out what is gone, and counts what comes anew from its start', async () => {
    send(1000);
    const reader = watchStats({ interval, deltas: true });
    await reader.next();
    await ask((o, done) => bed.vips.DeleteVip({ name: 'vips/web' }, o, done));
    await reader.until(({ vips }) => vips.length === 0);
    await bed.createVip('web', '192.0.2.1');
    send(1001);
    const told = await reader.until(({ vips }) => vips[0]?.packets === '1');
    expect(told.at(-1)?.vips).toHaveLength(1);
  });

  it.each([
    ['an interval in a hurry', { interval: { nanos: 1e6 } }, 'interval'],
    ['an interval of a day', { interval: { seconds: 86400 } }, 'interval'],
    ['a resource without statistics', { resources: ['pools/web'] }, 'resources'],
  ])('%s is refused', async (_, request, field) => {
    const error = await watchStats(request).error();
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(detailsOf(error).details[0]).toMatchObject({ fieldViolations: [{ field }] });
  });
});

describe('WatchEvents', () => {
  it('gives what happened after a sequence, and what happens', async () => {
    const reader = watchEvents({ types: ['config.'], afterSequence: 1 });
    expect(await reader.next()).toMatchObject({
      sequence: '2',
      type: 'config.changed',
      resource: 'pools/web/backends/a',
      attributes: { revision: '2', action: 'create-backend', created: '1' },
      missed: '0',
    });
    expect(await reader.next()).toMatchObject({ sequence: '3', resource: 'vips/web' });
    await bed.createPool('new');
    const told = await reader.until(({ resource }) => resource === 'pools/new');
    expect(told.map(({ sequence }) => Number(sequence))).toEqual(told.map((_, i) => 4 + i));
    expect(told.at(-1)).toMatchObject({ actor: 'loopback' });
  });

  it('gives all that are remembered after 0', async () => {
    expect(await watchEvents({ afterSequence: 0 }).next()).toMatchObject({ sequence: '1', missed: '0' });
  });

  it('gives new ones alone unless asked, of the resources that were asked for', async () => {
    const reader = watchEvents({ resources: ['pools/dns'] });
    // Whoever asks for new ones alone is not told of what happened before the server has heard of it.
    await ask((o, done) => bed.stats.GetStats({}, o, done));
    await bed.createPool('ftp');
    await bed.createPool('dns');
    expect(await reader.next()).toMatchObject({ resource: 'pools/dns' });
  });

  it('tells of a worker that was replaced', async () => {
    const reader = watchEvents({ types: ['worker.restarted'] });
    await ask((o, done) => bed.stats.GetStats({}, o, done));
    await ask((o, done) => bed.nodes.RestartWorker({ name: 'nodes/self', worker: 1 }, o, done));
    expect(await reader.next()).toMatchObject({
      type: 'worker.restarted',
      resource: 'nodes/self',
      attributes: { worker: '1', restarts: '1', fault: 'killed' },
    });
  });

  it('refuses types that there are not', async () => {
    const error = await watchEvents({ types: ['config.changed', 'backend'] }).error();
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(detailsOf(error).details[0]).toMatchObject({ fieldViolations: [{ field: 'types[1]' }] });
  });

  it('refuses more names than 1000', async () => {
    const names = Array.from({ length: 1001 }, (_, i) => `pools/p${i}`);
    const error = await watchEvents({ resources: names }).error();
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(detailsOf(error).details).toEqual([
      {
        type: 'BadRequest',
        fieldViolations: [{ field: 'resources', description: '1001 names are more than 1000' }],
      },
    ]);
    // All of 1000 are watched.
    const reader = watchEvents({ resources: names.slice(1), afterSequence: 0 });
    await bed.createPool('p1000');
    expect(await reader.next()).toMatchObject({ resource: 'pools/p1000' });
  });

  it('refuses a sequence of another run', async () => {
    const error = await watchEvents({ afterSequence: 99 }).error();
    expect(error.code).toBe(status.OUT_OF_RANGE);
    expect(detailsOf(error).details[0]).toMatchObject({ reason: 'WATCH_SEQUENCE' });
  });
});

describe('the level of the log', () => {
  const get = () => ask((o, done) => bed.nodes.GetLogLevel({ name: 'nodes/self' }, o, done));
  const set = (level: string) =>
    ask((o, done) => bed.nodes.SetLogLevel({ name: 'nodes/self', level }, o, done));

  it('can be read and set', async () => {
    await set('debug');
    expect(await get()).toEqual({ level: 'debug' });
    await set('WARN');
    expect(await get()).toEqual({ level: 'warn' });
  });

  it('is one that there is', async () => {
    const error = await refusal(set('loud'));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(detailsOf(error).details[0]).toMatchObject({ fieldViolations: [{ field: 'level' }] });
  });
});
