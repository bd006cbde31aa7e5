import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { decodeStatus, STATUS_DETAILS_KEY } from '../../control-plane/grpc/details.js';
import type { ApiSecurity } from '../../control-plane/grpc/exposure.js';
import type { ListenAddress } from '../../control-plane/grpc/listen.js';
import { DEFAULT_LIMITS } from '../../control-plane/security/rate-limit.js';
import { createToken, hashToken } from '../../control-plane/security/tokens.js';
import { Authority, SecurityBed } from '../support/security-bed.js';

const TOKENS = { viewer: createToken(), operator: createToken(), admin: createToken(), old: createToken() };
const line = (name: keyof typeof TOKENS, role: string, more = '') =>
  `  - { name: ${name}, role: ${role}, sha256: ${hashToken(TOKENS[name])}${more} }`;
const ACCESS = `local: none
tokens:
${line('viewer', 'viewer')}
${line('operator', 'operator')}
${line('admin', 'admin', ', expires: 2999-01-01T00:00:00Z')}
${line('old', 'admin', ', expires: 2020-01-01T00:00:00Z')}
`;

let authority: Authority;
let bed: SecurityBed | undefined;
beforeAll(() => {
  authority = new Authority();
});
afterEach(async () => {
  await bed?.stop();
  bed = undefined;
});
afterAll(() => authority.remove());
const start = async (security: ApiSecurity = {}, listen?: ListenAddress) => {
  bed = await SecurityBed.start(security, listen);
  return bed;
};
const withAccess = (text: string) => start({ accessFile: authority.write('access.yaml', text) });

/** Details of a refusal by their types. */
function detailsOf(
  error: ServiceError | undefined,
): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  const [bytes] = error?.metadata.get(STATUS_DETAILS_KEY) ?? [];
  if (!(bytes instanceof Uint8Array)) throw new Error('no google.rpc.Status');
  return Object.fromEntries(decodeStatus(bytes).details.map((detail) => [detail.type, detail]));
}

describe('a bearer token', () => {
  it('gives its role, and what the role lacks is refused with the role that it takes', async () => {
    const { control } = await withAccess(ACCESS);
    expect(control.address.kind).toBe('tcp');
    const admin = bed!.client(undefined, TOKENS.admin);
    expect((await admin.createPool('web')).error).toBeUndefined();
    expect((await admin.createBackend('web', 'b1', '10.0.0.1')).error).toBeUndefined();
    const [name, weight] = ['pools/web/backends/b1', 5] as const;
    const rows = [
      ['viewer', 'view', undefined],
      ['viewer', 'drain', 'operator'],
      ['viewer', 'weigh', 'operator'],
      ['viewer', 'create', 'admin'],
      ['operator', 'view', undefined],
      ['operator', 'drain', undefined],
      ['operator', 'weigh', undefined],
      ['operator', 'rename', 'admin'],
      ['operator', 'setAll', 'admin'],
      ['operator', 'create', 'admin'],
      ['admin', 'setAll', undefined],
    ] as const;
    for (const [role, verb, required] of rows) {
      const client = bed!.client(undefined, TOKENS[role]);
      const calls = {
        view: () => client.view(),
        drain: () => client.drain(name),
        weigh: () => client.updateBackend(name, weight, ['weight']),
        rename: () => client.updateBackend(name, weight, ['weight', 'display_name']),
        setAll: () => client.updateBackend(name, weight, []),
        create: () => client.createPool(`p-${role}`),
      };
      const { error } = await calls[verb]();
      if (required === undefined) expect(error, `${role} ${verb}`).toBeUndefined();
      else {
        expect(error?.code, `${role} ${verb}`).toBe(status.PERMISSION_DENIED);
        expect(detailsOf(error).ErrorInfo).toMatchObject({
          reason: 'ACCESS_ROLE',
          metadata: { required_role: required, role },
        });
      }
    }
  });

  it('that is none, not known, expired or of another kind: UNAUTHENTICATED', async () => {
    await withAccess(ACCESS);
    const wrong: readonly [what: string, token: string | undefined, headers: Record<string, string>][] = [
      ['none at all', undefined, {}],
      ['one that is not known', createToken(), {}],
      ['one that has expired', TOKENS.old, {}],
      ['a password', undefined, { authorization: 'Basic YWRtaW46YWRtaW4=' }],
      ['an empty one', undefined, { authorization: 'Bearer ' }],
    ];
    for (const [what, token, headers] of wrong) {
      const { error } = await bed!.client(undefined, token).view(headers);
      expect(error?.code, what).toBe(status.UNAUTHENTICATED);
      expect(detailsOf(error).ErrorInfo?.reason).toMatch(/^ACCESS_(NOBODY|TOKEN)$/);
    }
  });

  it('that is wrong is not passed over for a socket that needs none', async () => {
    await withAccess(ACCESS.replace('local: none', 'local: admin'));
    expect((await bed!.client().createPool('web')).error).toBeUndefined();
    expect((await bed!.client(undefined, createToken()).view()).error?.code).toBe(status.UNAUTHENTICATED);
  });

  it('that is taken out of the file is good no more', async () => {
    await withAccess(ACCESS);
    const client = bed!.client(undefined, TOKENS.operator);
    expect((await client.view()).error).toBeUndefined();
    authority.write('access.yaml', ACCESS.replace(line('operator', 'operator'), ''));
    expect(await bed!.reload()).toBe(true);
    expect((await client.view()).error?.code).toBe(status.UNAUTHENTICATED);
  });

  it('stays good where the new file cannot be used', async () => {
    await withAccess(ACCESS);
    authority.write('access.yaml', 'local: root\n');
    expect(await bed!.reload()).toBe(false);
    expect((await bed!.client(undefined, TOKENS.viewer).view()).error).toBeUndefined();
  });
});

describe('without credentials', () => {
  it('loopback is the role of local callers: the administrator', async () => {
    await start();
    expect((await bed!.client().createPool('web')).error).toBeUndefined();
  });

  it('a Unix socket is the role of local callers', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'waggle-unix-'));
    const accessFile = authority.write('unix.yaml', 'local: operator\n');
    await start({ accessFile }, { kind: 'unix', path: join(folder, 's') });
    expect((await bed!.client().view()).error).toBeUndefined();
    const { error } = await bed!.client().createPool('web');
    expect(error?.code).toBe(status.PERMISSION_DENIED);
    expect(error?.details).toMatch(/^unix has the role operator/);
    await bed!.stop();
    rmSync(folder, { recursive: true });
  });

  const everywhere: ListenAddress = { kind: 'tcp', host: '0.0.0.0', port: 0 };
  it('an address that other hosts reach is refused', async () => {
    await expect(start({}, everywhere)).rejects.toMatchObject({
      code: 'SECURITY_OPEN',
      message: expect.stringContaining('--insecure'),
    });
    const accessFile = authority.write('open.yaml', ACCESS);
    await expect(start({ accessFile }, everywhere)).rejects.toMatchObject({ code: 'SECURITY_OPEN' });
  });

  it('an address that other hosts reach is used where an operator insists, and that is said', async () => {
    await start({ isInsecureAllowed: true }, everywhere);
    expect(bed!.lines.join()).toContain('in clear text');
  });

  it('a server that nobody could use is refused', async () => {
    const { cert, key } = authority.issue('server', { names: ['DNS:localhost'] });
    const tls = { certFile: cert, keyFile: key };
    const accessFile = authority.write('nobody.yaml', 'local: none\n');
    for (const security of [{ tls }, { tls: { ...tls, clientCaFile: authority.ca } }, { accessFile }]) {
      await expect(start(security)).rejects.toMatchObject({ code: 'SECURITY_NOBODY' });
    }
  });

  it('TLS on loopback asks who calls', async () => {
    const { cert, key } = authority.issue('server', { names: ['DNS:localhost'] });
    const accessFile = authority.write('access.yaml', ACCESS.replace('local: none', 'local: admin'));
    await start({ tls: { certFile: cert, keyFile: key }, accessFile });
    const { error } = await bed!.client(authority.client()).view();
    expect(error?.code).toBe(status.UNAUTHENTICATED);
    expect((await bed!.client(authority.client(), TOKENS.viewer).view()).error).toBeUndefined();
  });
});

describe('the id of a call', () => {
  it('is the one that the client gave, in a refusal too; ours where that is none', async () => {
    await withAccess(ACCESS);
    const known = bed!.client(undefined, TOKENS.viewer);
    const id = `cli-${randomUUID()}`;
    expect((await known.view({ 'x-request-id': id })).metadata.get('x-request-id')).toEqual([id]);
    const { error } = await bed!.client().view({ 'x-request-id': id });
    expect(error?.metadata.get('x-request-id')).toEqual([id]);
    for (const [what, headers] of [
      ['none was given', {}],
      ['it is too long', { 'x-request-id': 'x'.repeat(129) }],
      ['it could forge a line', { 'x-request-id': 'a b' }],
    ] as const) {
      const { metadata } = await known.view(headers);
      expect(String(metadata.get('x-request-id')[0]), what).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  it('is that of a fault of ours, in the answer and in the log', async () => {
    await start();
    bed!.datapath.workers = () => {
      throw new Error('the datapath broke');
    };
    const { error } = await bed!.client().view({ 'x-request-id': 'mine' });
    expect(error?.code).toBe(status.INTERNAL);
    expect(error?.details).toContain('mine');
    expect(detailsOf(error).RequestInfo).toMatchObject({ requestId: 'mine' });
    expect(bed!.logged('request failed')).toMatchObject([
      { requestId: 'mine', error: { message: 'the datapath broke' } },
    ]);
  });
});

describe('too many calls', () => {
  const slow = { perSecond: 0.5, burst: 2 };
  const limits = { ...DEFAULT_LIMITS, eachCaller: { reads: slow, changes: slow, streams: 1 } };

  it('RESOURCE_EXHAUSTED, and when to try again, for each kind of call; others go on', async () => {
    await start({ accessFile: authority.write('access.yaml', ACCESS), limits });
    const client = bed!.client(undefined, TOKENS.admin);
    for (const call of [() => client.view(), () => client.createPool('web', true)]) {
      expect((await call()).error).toBeUndefined();
      expect((await call()).error).toBeUndefined();
      const { error } = await call();
      expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
      const { QuotaFailure, RetryInfo } = detailsOf(error);
      expect(QuotaFailure?.violations).toMatchObject([{ subject: 'token admin' }]);
      expect(RetryInfo?.retryDelay).toBeDefined();
    }
    expect((await bed!.client(undefined, TOKENS.viewer).view()).error).toBeUndefined();
  });
});

it('a secret that a client sends is in no log, not even where it is refused', async () => {
  await start({
    accessFile: authority.write('access.yaml', ACCESS),
    audit: { file: authority.path('audit') },
  });
  const unknown = createToken();
  await bed!.client(undefined, unknown).createPool('web');
  await bed!.client(undefined, TOKENS.admin).createPool('web');
  await bed!.client(undefined, TOKENS.viewer).createPool('web');
  expect(bed!.lines.length).toBeGreaterThan(2);
  for (const secret of [unknown, ...Object.values(TOKENS), hashToken(TOKENS.admin)])
    expect(bed!.lines.join('')).not.toContain(secret);
});
