import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { WAGGLE } from '../../demo/appliance.js';

const folder = mkdtempSync(join(tmpdir(), 'waggle-validate-'));
afterAll(() => rmSync(folder, { recursive: true }));

function validate(text: string | undefined) {
  const file = join(folder, 'node.yaml');
  if (text !== undefined) writeFileSync(file, text);
  const run = spawnSync(
    process.execPath,
    [WAGGLE, 'validate', text === undefined ? join(folder, 'none') : file],
    {
      encoding: 'utf8',
    },
  );
  const clean = (output: string) => output.replaceAll(folder, '');
  return { status: run.status, stdout: clean(run.stdout), stderr: clean(run.stderr) };
}

it('a file that is right: what is in it', () => {
  const text = `
vips:
  - { name: web, address: 192.0.2.80, port: 80, protocol: tcp, pool: web }
pools:
  - { name: web, backends: [10.0.0.1, 10.0.0.2] }
`;
  expect(validate(text)).toEqual({
    status: 0,
    stdout: '/node.yaml: valid (1 VIP, 1 pool, 2 backends)\n',
    stderr: '',
  });
});

it('a file that is wrong: every fault, with its place', () => {
  const text =
    'vips:\n  - { address: 192.0.2.80, port: 70000, protocol: tcp, backends: [] }\n  - { adress: 192.0.2.81 }\n';
  const { status, stdout, stderr } = validate(text);
  expect([status, stdout]).toEqual([1, '']);
  const lines = stderr.trimEnd().split('\n');
  expect(lines).toContain(
    'Error: /node.yaml:2:34: vips[0].port: 70000: is not a whole number from 0 to 65535',
  );
  expect(lines).toContainEqual(
    expect.stringMatching(/^Error: \/node\.yaml:3:7: vips\[1\]\.adress: .*did you mean address\?$/),
  );
  expect(lines).toContainEqual(
    expect.stringMatching(/^Error: \/node\.yaml:3:5: vips\[1\]\.protocol: .*required/),
  );
});

it('no file', () => {
  expect(validate(undefined)).toMatchObject({ status: 1, stderr: 'Error: /none: cannot be read (ENOENT)\n' });
});
