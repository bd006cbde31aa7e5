import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { runCli } from '../../test/support/cli.js';
import { CliBed } from '../../test/support/cli-bed.js';
import { Client } from './client.js';

let bed: CliBed;
/** For changes while a command runs: two command lines at once would print into each other. */
let client: Client;
beforeAll(async () => {
  bed = await CliBed.start();
  await bed.serve();
  client = new Client({ server: bed.server, tls: undefined, token: undefined });
});
afterAll(async () => {
  client.close();
  await bed.stop();
});

const DEADLINE_MS = 10_000;

/** What a command prints that goes on until Ctrl-C, which comes when `until` has come to pass. */
async function interrupted(
  args: readonly string[],
  until: (printed: () => string) => Promise<unknown>,
): Promise<string> {
  let printed = '';
  const running = runCli(['--server', bed.server, ...args], {}, (stdout) => {
    printed = stdout;
  });
  try {
    await until(() => printed);
  } finally {
    // As the terminal sends it: the command has a handler, so the process goes on.
    process.emit('SIGINT');
    await running;
  }
  const { status, stdout, stderr } = await running;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

/** Until a command has printed this. */
const prints = (wanted: RegExp) => (printed: () => string) =>
  expect.poll(printed, { timeout: DEADLINE_MS }).toMatch(wanted);

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
  const made: string[] = [];
  const isTold = async (printed: () => string) => {
    if (printed() !== '') return true;
    const poolId = `late-${made.length}`;
    await client.ask((options, done) => client.pools.CreatePool({ pool: {}, poolId }, options, done));
    made.push(poolId);
    return false;
  };
  const text = await interrupted(['events', '--follow', '--after', 'now'], async (printed) => {
    // What the server did before it had the request is not to come: pool by pool, until one is told of.
    await vi.waitUntil(() => isTold(printed), { timeout: DEADLINE_MS });
    await prints(new RegExp(`pools/${made.at(-1)}\\b`))(printed);
  });
  const told = text.trim().split('\n');
  const wanted = made.slice(-told.length);
  for (const [n, line] of told.entries())
    expect(line).toMatch(new RegExp(`^\\S+ \\S+ {2}config\\.changed .*pools/${wanted[n]}\\b`));
  expect(process.listenerCount('SIGINT')).toBe(before);
});

it('VIPs as they are, then nothing until something changes', async () => {
  const vip = { name: 'vips/web', displayName: 'changed' };
  const request = { vip, updateMask: { paths: ['display_name'] } };
  const text = await interrupted(['watch', 'vips'], async (printed) => {
    await prints(/^as of revision \d+$/m)(printed);
    await client.ask((options, done) => client.vips.UpdateVip(request, options, done));
    await prints(/^modified /m)(printed);
  });
  expect(text).toMatch(
    /^VIP +ADDRESS .*\nweb +192\.0\.2\.1:80 .*\nas of revision \d+\nmodified +web +192\.0\.2\.1:80 .*\n$/,
  );
});

it('statistics once, and again and again', async () => {
  expect(await bed.must('stats')).toMatch(/^VIP +PACKETS +BYTES +NEW +DROPS\nweb +0 +0 B/);
  expect(await bed.json('stats', 'web/a')).toMatchObject({
    vips: [],
    backends: [{ backend: 'pools/web/backends/a' }],
  });
  // A third sample begins behind two whole ones.
  const watched = ['stats', '--watch', '--interval', '100ms'];
  const text = await interrupted(watched, prints(/(^\S+ \S+ UTC$[\s\S]+){3}/m));
  expect(text.match(/ UTC$/gm)?.length).toBeGreaterThan(2);
  expect(text.match(/^web +0 +0 B/gm)?.length).toBeGreaterThan(1);
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
