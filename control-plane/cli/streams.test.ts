import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CliBed } from '../../test/support/cli-bed.js';

let bed: CliBed;
beforeAll(async () => {
  bed = await CliBed.start();
  await bed.serve();
});
afterAll(() => bed.stop());

/** What a command prints that goes on until Ctrl-C, which comes when `until` is seen or has come to pass. */
async function interrupted(args: readonly string[], until: () => Promise<unknown>): Promise<string> {
  const running = bed.run(...args);
  await until();
  // As the terminal sends it: the command has a handler, so the process goes on.
  process.emit('SIGINT');
  const { status, stdout, stderr } = await running;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}
const hasListener = async () => {
  while (process.listenerCount('SIGINT') === 0) await sleep(10);
  await sleep(200);
};

it('events that were, by type', async () => {
  const all = await bed.must('events');
  expect(all).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}config\.changed +.*create-backend/m);
  expect(await bed.must('events', '--type', 'worker.')).toBe('');
  const [first = ''] = (await bed.must('events', '-o', 'json')).split('\n');
  expect(JSON.parse(first)).toMatchObject({
    sequence: '1',
    type: 'config.changed',
    time: expect.stringMatching(/Z$/),
  });
  expect(await bed.must('events', '--after', '1')).not.toMatch(/revision 1 by/);
  expect((await bed.run('events', '--after', 'then')).stderr).toMatch(/--after.*then/s);
});

it('events to come', async () => {
  const before = process.listenerCount('SIGINT');
  const text = await interrupted(['events', '--follow', '--after', 'now'], async () => {
    await hasListener();
    await import('./client.js').then(async ({ Client }) => {
      const client = new Client({ server: bed.server, tls: undefined, token: undefined });
      await client.ask((options, done) =>
        client.pools.CreatePool({ pool: {}, poolId: 'late' }, options, done),
      );
      client.close();
    });
    await sleep(300);
  });
  expect(text).toMatch(/^\S+ \S+ {2}config\.changed .*pools\/late/m);
  expect(text.trim().split('\n')).toHaveLength(1);
  expect(process.listenerCount('SIGINT')).toBe(before);
});

it('VIPs as they are, then nothing until something changes', async () => {
  const text = await interrupted(['watch', 'vips'], hasListener);
  expect(text).toMatch(/^VIP +ADDRESS .*\nweb +192\.0\.2\.1:80 .*\nas of revision \d+\n$/);
});

it('statistics once, and again and again', async () => {
  expect(await bed.must('stats')).toMatch(/^VIP +PACKETS +BYTES +NEW +DROPS\nweb +0 +0 B/);
  expect(await bed.json('stats', 'web/a')).toMatchObject({
    vips: [],
    backends: [{ backend: 'pools/web/backends/a' }],
  });
  const text = await interrupted(['stats', '--watch', '--interval', '100ms'], hasListener);
  expect(text.match(/ UTC$/gm)?.length).toBeGreaterThan(0);
});

it('top without a terminal is lines, and ends after as many samples as are asked for', async () => {
  const text = await bed.must('top', '--interval', '100ms', '--count', '2', '--view', 'backends');
  const lines = text.trim().split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[1]).toMatch(/^\S+ web\/a packets\/s=\d+ bits\/s=\d+.* flows=\d+$/);
});

it('what else is asked of a server', async () => {
  expect(await bed.must('table', 'web')).toMatch(
    /^ring of web: 65,537 slots, maglev-v2, fingerprint [0-9a-f]{64}\n.*\nweb\/a /,
  );
  expect(((await bed.json('table', 'web', '--slots')) as { slots: unknown[] }).slots).toHaveLength(65_537);
  expect(await bed.must('log-level')).toMatch(/^(trace|debug|info|warn|error|silent)\n$/);
  expect(await bed.must('log-level', 'debug')).toBe("the log's level is debug\n");
  expect(await bed.must('get', 'flows', '--vip', 'web')).toMatch(/^FLOW +VIP +BACKEND/);
  expect(await bed.must('get', 'node')).toMatch(/^self +ready +test0/m);
  expect(await bed.run('probe', 'web/a')).toMatchObject({ status: 1 });
});
