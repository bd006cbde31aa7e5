import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../test/support/cli.js';
import { type ConnectionFlags, resolveConnection } from './connection.js';
import { contextsPath } from './contexts.js';
import { CliError } from './faults.js';

const folder = mkdtempSync(join(tmpdir(), 'waggle-contexts-'));
const path = join(folder, 'sub', 'contexts.yaml');
const place = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const PEM = '-----BEGIN CERTIFICATE-----\n';
const files = {
  ca: place('ca.pem', PEM),
  cert: place('cert.pem', PEM),
  key: place('key.pem', PEM),
  token: place('token', 'wgl_abc\n'),
  other: place('other-token', 'wgl_other'),
};
const contexts = place(
  'contexts.yaml',
  `current: lab
contexts:
  lab: { server: unix:/run/lab.sock }
  prod: { server: "prod:9443", ca: ca.pem, cert: cert.pem, key: key.pem, tokenFile: token, serverName: lb.example }
  plain: { server: "10.0.0.1:9443", tokenFile: token }
`,
);
afterAll(() => rmSync(folder, { recursive: true }));

describe('which server, and as whom', () => {
  const rows: readonly [
    rule: string,
    flags: ConnectionFlags,
    env: Record<string, string>,
    server: string,
    token?: string,
  ][] = [
    ['the context in use', {}, {}, 'unix:/run/lab.sock'],
    ['without contexts the default', {}, { WAGGLE_CONFIG: join(folder, 'none.yaml') }, '127.0.0.1:9443'],
    ['a context of the environment', {}, { WAGGLE_CONTEXT: 'prod' }, 'prod:9443', 'wgl_abc'],
    ['a flag before the environment', { context: 'prod' }, { WAGGLE_CONTEXT: 'lab' }, 'prod:9443', 'wgl_abc'],
    [
      'a context of a flag before a server of the environment',
      { context: 'prod' },
      { WAGGLE_SERVER: 'x:1' },
      'prod:9443',
      'wgl_abc',
    ],
    ['a server of the environment before the context in use', {}, { WAGGLE_SERVER: 'x:1' }, 'x:1'],
    [
      'a server of a flag, without the credentials of a context',
      { server: 'x:1' },
      { WAGGLE_CONTEXT: 'prod' },
      'x:1',
    ],
    [
      'a server and a context of flags: both',
      { server: '127.0.0.1:1', context: 'prod' },
      {},
      '127.0.0.1:1',
      'wgl_abc',
    ],
    [
      'a token of the environment before the context',
      { context: 'prod' },
      { WAGGLE_TOKEN: 'wgl_env' },
      'prod:9443',
      'wgl_env',
    ],
    [
      'a token file of the environment',
      { context: 'prod' },
      { WAGGLE_TOKEN_FILE: files.other },
      'prod:9443',
      'wgl_other',
    ],
    [
      'a token file of a flag before all',
      { tokenFile: files.other },
      { WAGGLE_TOKEN: 'wgl_env' },
      'unix:/run/lab.sock',
      'wgl_other',
    ],
    ['an empty variable is none', {}, { WAGGLE_SERVER: '', WAGGLE_TOKEN: '' }, 'unix:/run/lab.sock'],
  ];
  for (const [rule, flags, env, server, token] of rows) {
    it(rule, () => {
      const found = resolveConnection(flags, { WAGGLE_CONFIG: contexts, ...env });
      expect({ server: found.server, token: found.token }).toEqual({ server, token });
    });
  }

  it('certificates are read, relative to the file that names them', () => {
    const { tls } = resolveConnection({ context: 'prod' }, { WAGGLE_CONFIG: contexts });
    expect(tls).toMatchObject({ serverName: 'lb.example' });
    expect([tls?.ca, tls?.identity?.cert, tls?.identity?.key].map(String)).toEqual([PEM, PEM, PEM]);
  });

  const faults: readonly [rule: string, flags: ConnectionFlags, env: Record<string, string>, says: RegExp][] =
    [
      [
        'a context that there is not',
        { context: 'nope' },
        {},
        /context: there is no "nope" in .*; it has lab, prod, plain/,
      ],
      ['a certificate without its key', { cert: files.cert }, {}, /key: is missing/],
      [
        'a file that is not there',
        { ca: '/nowhere.pem' },
        {},
        /ca: \/nowhere\.pem: cannot be read \(ENOENT\)/,
      ],
      ['a file that is not PEM', { ca: files.token }, {}, /ca: .*is not a PEM file/],
      [
        'a token in clear text to another host',
        { context: 'plain' },
        {},
        /token: is not sent in clear text to 10\.0\.0\.1:9443/,
      ],
      ['a token of two words', {}, { WAGGLE_TOKEN: 'a b' }, /token: is not one word/],
      ['a server name without TLS', { serverName: 'x' }, {}, /server name: goes with TLS/],
    ];
  for (const [rule, flags, env, says] of faults) {
    it(rule, () => {
      const resolve = () => resolveConnection(flags, { WAGGLE_CONFIG: contexts, ...env });
      expect(resolve).toThrow(CliError);
      expect(resolve).toThrow(says);
    });
  }

  it('a file of contexts with faults names each', () => {
    const wrong = place('wrong.yaml', 'current: a\ncontexts: { a: { server: "", pasword: x } }');
    expect(() => resolveConnection({}, { WAGGLE_CONFIG: wrong })).toThrow(
      /wrong\.yaml: contexts\.a\.server: .*; contexts\.a: .*pasword/,
    );
    const gone = place('gone.yaml', 'current: b\ncontexts: {}');
    expect(() => resolveConnection({}, { WAGGLE_CONFIG: gone })).toThrow(
      /gone\.yaml: current: there is no context "b"/,
    );
    const broken = place('broken.yaml', 'contexts: [');
    expect(() => resolveConnection({}, { WAGGLE_CONFIG: broken })).toThrow(/broken\.yaml: /);
  });

  it('the file is where the user keeps settings', () => {
    expect(contextsPath({ XDG_CONFIG_HOME: '/x' })).toBe('/x/waggle/contexts.yaml');
    expect(contextsPath({ XDG_CONFIG_HOME: 'relative' })).toMatch(/\/\.config\/waggle\/contexts\.yaml$/);
    expect(contextsPath({ WAGGLE_CONFIG: '/a.yaml', XDG_CONFIG_HOME: '/x' })).toBe('/a.yaml');
  });
});

describe('waggle context', () => {
  beforeEach(() => {
    rmSync(join(folder, 'sub'), { recursive: true, force: true });
  });
  const context = (...args: string[]) => runCli(['context', ...args], { WAGGLE_CONFIG: path });

  it('is set, listed, shown, used, changed and deleted', async () => {
    expect((await context('set', 'a', '--server', 'a:1', '--ca', files.ca)).stdout).toBe(
      'context a made; it is the one in use\n',
    );
    expect((await context('set', 'b', '--server', 'b:1', '--token-file', files.token)).stdout).toBe(
      'context b made\n',
    );
    expect((await context('list')).stdout).toMatch(/^\* +a +a:1 +yes +-\n +b +b:1 +no +\/.*token$/m);
    expect((await context('use', 'b')).stdout).toBe('context b is in use: b:1\n');
    expect((await context('set', 'b', '--server', 'b:2')).stdout).toBe(
      'context b changed; it is the one in use\n',
    );
    expect((await context('show')).stdout).toContain('server: b:2\n');
    expect((await context('show')).stdout).toContain('tokenFile: ');
    expect((await context('delete', 'b')).stdout).toBe('context b deleted; none is in use\n');
    expect(JSON.parse((await context('list', '-o', 'json')).stdout)).toEqual({
      contexts: { a: { server: 'a:1', ca: files.ca } },
    });
  });

  it('is for its user alone to read, and holds no token', async () => {
    await context('set', 'a', '--server', 'a:1', '--token-file', files.token);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'sub')).mode & 0o777).toBe(0o700);
    expect(readFileSync(path, 'utf8')).not.toContain('wgl_abc');
  });

  const wrong: readonly [rule: string, args: string[], says: RegExp][] = [
    ['one that there is not', ['use', 'x'], /there is no "x"/],
    ['a name that is none', ['set', '../x', '--server', 'a:1'], /\.\.\/x is not 1 to 63/],
    ['a new one without a server', ['set', 'x', '--ca', files.ca], /--server: is missing/],
    ['none in use', ['show'], /none is in use/],
  ];
  for (const [rule, args, says] of wrong) {
    it(`${rule} is wrong usage`, async () => {
      const { status, stderr } = await context(...args);
      expect(status).toBe(2);
      expect(stderr).toMatch(says);
    });
  }
});
