import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { CliBed } from '../../test/support/cli-bed.js';

const FILE = `
healthChecks:
  - { name: web, tcp: {}, interval: 1h, timeout: 1s }
pools:
  - name: web
    backends:
      - { name: a, address: 10.0.0.1, weight: 3 }
      - { name: b, address: 10.0.0.2 }
vips:
  - { name: web, address: 192.0.2.1, port: 80, protocol: tcp, pool: web }
`;

const folder = mkdtempSync(join(tmpdir(), 'waggle-cli-'));
const file = (text: string) => {
  const path = join(folder, 'node.yaml');
  writeFileSync(path, text);
  return path;
};
let bed: CliBed;
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  bed = await CliBed.start();
});
afterEach(() => bed.stop());

it('apply says what changes and what that does, once', async () => {
  const path = file(FILE);
  const first = await bed.must('apply', '-f', path, '--comment', 'from nothing');
  expect(first).toMatch(/^\+ pools\/web$/m);
  expect(first).toMatch(/^5 resources to create$/m);
  expect(first).toMatch(/^applied as revision 1$/m);
  expect(await bed.must('apply', '-f', path)).toBe('nothing differs: nothing was changed\n');
  expect(await bed.must('history')).toMatch(/^ +1 +\S+ \S+ +\S+ +apply +from nothing +create /m);
});

it('diff: 0 for the same, 1 for what differs with fields and shares, 2 for any fault', async () => {
  await bed.must('apply', '-f', file(FILE));
  expect(await bed.run('diff', '-f', file(FILE))).toMatchObject({ status: 0, stdout: 'nothing differs\n' });
  const changed = file(FILE.replace('weight: 3', 'weight: 1'));
  const { status, stdout, stderr } = await bed.run('diff', '-f', changed);
  expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
  expect(stdout).toMatch(/^~ pools\/web\/backends\/a\n {4}weight: 3 -> 1$/m);
  // Weights 3:1 become 1:1: a quarter of the slots goes from a to b.
  expect(stdout).toMatch(/^web +web +25\.\d% +25\.\d% +0 +0$/m);
  expect(await bed.json('get', 'backend', 'web/a')).toMatchObject({ weight: 3 });
  expect(await bed.run('diff', '-f', file('vips: {'))).toMatchObject({ status: 2, stdout: '' });
  expect(await bed.run('diff', '-f', '/nowhere.yaml')).toMatchObject({ status: 2, stdout: '' });
  const unreachable = await bed.run('--server', '127.0.0.1:1', 'diff', '-f', file(FILE));
  expect(unreachable).toMatchObject({ status: 2, stdout: '' });
  expect(unreachable.stderr).toMatch(/^Error: cannot reach the server at 127\.0\.0\.1:1 /);
  // What the TLS library says of these is no fault of the command line's own kind.
  const pem = join(folder, 'broken.pem');
  writeFileSync(pem, '-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n');
  const broken = await bed.run('--cert', pem, '--key', pem, 'diff', '-f', file(FILE));
  expect(broken).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(/^Error: .+\n$/) });
});

it('without --prune what the file lacks stays, with it it goes', async () => {
  await bed.must('apply', '-f', file(FILE));
  await bed.must('create', 'pool', 'other');
  expect(await bed.must('apply', '-f', file(FILE))).toMatch(/^nothing differs/);
  const pruned = await bed.must('apply', '-f', file(FILE), '--prune', '--dry-run');
  expect(pruned).toMatch(/^- pools\/other\n[\s\S]*dry run: nothing was changed$/m);
  await bed.must('apply', '-f', file(FILE), '--prune');
  expect((await bed.run('get', 'pool', 'other')).status).toBe(1);
});

it('what export prints, validate takes, and diff finds nothing in', async () => {
  await bed.must('apply', '-f', file(FILE));
  await bed.must('drain', 'backend', 'web/b');
  await bed.must('set', 'node', '--option', 'udp-timeout=1m');
  const exported = file(await bed.must('export'));
  expect(await bed.must('validate', exported)).toContain('valid (1 VIP, 1 pool, 2 backends)');
  expect(await bed.run('diff', '-f', exported, '--prune')).toMatchObject({ status: 0 });
});

it('rollback goes back, as a new revision', async () => {
  await bed.must('apply', '-f', file(FILE));
  await bed.must('weight', 'web/a', '9');
  expect(await bed.must('rollback', '1', '--dry-run')).toMatch(/weight: 9 -> 3[\s\S]*dry run/);
  expect(await bed.must('rollback', '1', '--comment', 'too much')).toMatch(
    /^revision 3 is what revision 1 was$/m,
  );
  expect(await bed.json('get', 'backend', 'web/a')).toMatchObject({ weight: 3 });
  expect(await bed.must('get', 'revisions', '--limit', '1')).toMatch(/too much/);
  expect(await bed.run('rollback', '99')).toMatchObject({ status: 1, stdout: '' });
});

it('a file with faults changes nothing; each fault has its line', async () => {
  const { status, stderr } = await bed.run(
    'apply',
    '-f',
    file(FILE.replace('port: 80', 'port: 80000').replace('weight: 3', 'weight: -1')),
  );
  expect(status).toBe(1);
  const lines = stderr.trim().split('\n');
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(line).toMatch(/^Error: .*node\.yaml:\d+:\d+: \S+: /);
  expect(await bed.json('get', 'vips')).toEqual([]);
});
