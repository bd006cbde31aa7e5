import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../test/support/cli.js';
import { Authority, SecurityBed } from '../../test/support/security-bed.js';
import { createToken, hashToken } from '../security/tokens.js';

let authority: Authority;
let stranger: Authority;
let bed: SecurityBed;
const token = createToken();

beforeAll(async () => {
  authority = new Authority();
  stranger = new Authority('somebody else');
  const server = authority.issue('server', { names: ['DNS:lb.example'] });
  authority.issue('alice', { names: ['DNS:alice.example'] });
  const accessFile = authority.write(
    'access.yaml',
    `certificates: [{ dns: alice.example, role: admin }]
tokens: [{ name: bob, role: viewer, sha256: ${hashToken(token)} }]
`,
  );
  authority.write('token', `${token}\n`);
  bed = await SecurityBed.start({
    tls: { certFile: server.cert, keyFile: server.key, clientCaFile: authority.ca },
    accessFile,
  });
});
afterAll(async () => {
  await bed.stop();
  authority.remove();
  stranger.remove();
});

const trusting = () => ['--server', bed.address, '--ca', authority.ca, '--server-name', 'lb.example'];
const asAlice = () => ['--cert', authority.path('alice.pem'), '--key', authority.path('alice.key')];
const asBob = () => ['--token-file', authority.path('token')];

it('a certificate is shown, and the server known by its own', async () => {
  expect(await runCli([...trusting(), ...asAlice(), 'create', 'pool', 'web'])).toMatchObject({
    status: 0,
    stdout: 'pool web created\n',
  });
});

it('a token is shown, and may do what its role may', async () => {
  expect(await runCli([...trusting(), ...asBob(), 'get', 'pools'])).toMatchObject({ status: 0 });
  const refused = await runCli([...trusting(), ...asBob(), 'create', 'pool', 'x']);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/^Error: .*admin.* \[ACCESS_ROLE\]\n$/);
});

it('a context has all of it', async () => {
  const env = { WAGGLE_CONFIG: authority.path('contexts.yaml') };
  await runCli(['context', 'set', 'lab', ...trusting(), ...asBob()], env);
  expect(readFileSync(authority.path('contexts.yaml'), 'utf8')).not.toContain(token);
  expect(await runCli(['get', 'pools'], env)).toMatchObject({ status: 0 });
  expect(await runCli(['--context', 'lab', ...asAlice(), 'get', 'pools'], env)).toMatchObject({ status: 0 });
});

it('what goes wrong is a line that says what to do', async () => {
  const rows: readonly [args: string[], status: number, says: RegExp][] = [
    [[...trusting()], 1, /show a client certificate or a bearer token \[ACCESS_NOBODY\]$/],
    [
      ['--server', bed.address, '--tls', ...asBob()],
      69,
      /not signed by an authority that is trusted here: give --ca$/,
    ],
    [
      ['--server', bed.address, '--ca', stranger.ca],
      69,
      /not signed by an authority that is trusted here: give --ca$/,
    ],
    [
      ['--server', bed.address, '--ca', authority.ca],
      69,
      /its certificate is for another name: give --server-name$/,
    ],
    [['--server', bed.address], 69, /cannot reach the server/],
  ];
  for (const [args, status, says] of rows) {
    const result = await runCli([...args, 'get', 'pools']);
    expect(result.stdout).toBe('');
    expect(result.stderr.trim()).toMatch(says);
    expect(result.status).toBe(status);
  }
});

it('hash-token makes the entry that the access file takes', async () => {
  const { status, stdout, stderr } = await runCli(['hash-token', '--name', 'carol', '--role', 'operator']);
  expect(status).toBe(0);
  const made = /: (wgl_\S+)\n/.exec(stderr)?.[1] ?? '';
  expect(stdout).toBe(`- name: carol\n  role: operator\n  sha256: ${hashToken(made)}\n`);
});
