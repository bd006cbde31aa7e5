import { copyFileSync, readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Authority, SecurityBed } from '../support/security-bed.js';

let authority: Authority;
let stranger: Authority;
let bed: SecurityBed | undefined;
let tls: { certFile: string; keyFile: string; clientCaFile: string };
beforeAll(() => {
  authority = new Authority();
  stranger = new Authority('another authority');
  const server = authority.issue('server', { names: ['DNS:localhost', 'IP:127.0.0.1'] });
  tls = { certFile: server.cert, keyFile: server.key, clientCaFile: authority.ca };
  authority.issue('ops', { names: ['URI:spiffe://example.org/ops/alice'] });
  authority.issue('monitor', { names: ['DNS:probe1.monitoring.example.org'] });
  authority.issue('bob');
  authority.issue('nobody', { names: ['URI:spiffe://example.org/batch/job'] });
  authority.issue('expired', { names: ['URI:spiffe://example.org/ops/alice'], days: -1 });
  stranger.issue('ops', { names: ['URI:spiffe://example.org/ops/alice'] });
});
afterEach(async () => {
  await bed?.stop();
  bed = undefined;
});
afterAll(() => {
  authority.remove();
  stranger.remove();
});

const RULES = `
certificates:
  - uri: spiffe://example.org/ops/*
    role: admin
  - dns: "*.monitoring.example.org"
    role: viewer
  - cn: bob
    role: operator
`;
const access = (text = RULES) => authority.write('access.yaml', text);

describe('a client certificate', () => {
  it('gives the role of the first rule that fits a name of it, and none where no rule does', async () => {
    bed = await SecurityBed.start({ tls, accessFile: access() });
    const rows: readonly [name: string, view: status | undefined, change: status | undefined][] = [
      ['ops', undefined, undefined],
      ['monitor', undefined, status.PERMISSION_DENIED],
      ['bob', undefined, status.PERMISSION_DENIED],
      ['nobody', status.PERMISSION_DENIED, status.PERMISSION_DENIED],
    ];
    for (const [name, view, change] of rows) {
      const client = bed.client(authority.client(name));
      expect([name, (await client.view()).error?.code]).toEqual([name, view]);
      expect([name, (await client.createPool('web')).error?.code]).toEqual([name, change]);
    }
    expect(bed.logged('audit').map(({ caller, role }) => [caller, role])).toEqual([
      ['spiffe://example.org/ops/alice', 'admin'],
      ['probe1.monitoring.example.org', 'viewer'],
      ['bob', 'operator'],
      ['spiffe://example.org/batch/job', ''],
      ['spiffe://example.org/batch/job', ''],
    ]);
  });

  it('is asked for in the handshake, where nobody has a token', async () => {
    bed = await SecurityBed.start({ tls, accessFile: access() });
    for (const channel of [
      authority.client(),
      authority.client('expired'),
      stranger.client('ops', authority.ca),
      // Clear text.
      undefined,
    ]) {
      const { error } = await bed.client(channel).view();
      expect(error?.code).toBe(status.UNAVAILABLE);
    }
    expect(bed.logged('audit')).toEqual([]);
  });

  it('of another authority is none, where a token would do', async () => {
    const sha256 = 'ab'.repeat(32);
    bed = await SecurityBed.start({
      tls,
      accessFile: access(`${RULES}\ntokens:\n  - { name: ci, role: admin, sha256: ${sha256} }\n`),
    });
    expect((await bed.client(authority.client('ops')).view()).error).toBeUndefined();
    for (const channel of [authority.client(), stranger.client('ops', authority.ca)]) {
      expect((await bed.client(channel).view()).error?.code).toBe(status.UNAUTHENTICATED);
    }
  });
});

const ADDRESS = { host: '127.0.0.1', servername: 'localhost', ALPNProtocols: ['h2'] };

/** The fingerprint of the certificate that a new connection is shown; the connection stays open. */
async function shown(): Promise<{ fingerprint: string; socket: TLSSocket }> {
  const port = Number(bed!.address.split(':').at(-1));
  const socket = connect({
    ...ADDRESS,
    port,
    ca: [readFileSync(authority.ca), readFileSync(stranger.ca)],
    cert: readFileSync(authority.path('ops.pem')),
    key: readFileSync(authority.path('ops.key')),
  });
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  return { fingerprint: socket.getPeerCertificate().fingerprint256, socket };
}

async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!(await what())) {
    if (Date.now() > deadline) throw new Error('it did not come to that');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('new certificates', () => {
  const files = () => ({
    ...{ certFile: authority.path('live.pem'), keyFile: authority.path('live.key') },
    clientCaFile: authority.path('live-ca.pem'),
  });
  const put = (name: string, from = authority) => {
    copyFileSync(from.path(`${name}.key`), authority.path('live.key'));
    authority.write('live.pem', readFileSync(from.path(`${name}.pem`), 'utf8'));
  };
  const start = async () => {
    put('server');
    authority.write('live-ca.pem', readFileSync(authority.ca, 'utf8'));
    bed = await SecurityBed.start({ tls: files(), accessFile: access() });
  };
  const fingerprint = async () => {
    const { fingerprint: seen, socket } = await shown();
    socket.destroy();
    return seen;
  };

  it('are used by new connections, and old connections go on', async () => {
    await start();
    const before = await fingerprint();
    const old = bed!.client(authority.client('ops'));
    expect((await old.view()).error).toBeUndefined();
    authority.issue('next', { names: ['DNS:localhost', 'IP:127.0.0.1'] });
    put('next');
    await until(async () => (await fingerprint()) !== before);
    expect((await old.view()).error).toBeUndefined();
    expect((await bed!.client(authority.client('ops')).view()).error).toBeUndefined();
    expect(bed!.logged('certificates and access rules are read again').length).toBeGreaterThan(0);
  });

  it('that cannot be used are said to be so, and the old ones stay', async () => {
    await start();
    const before = await fingerprint();
    const broken: readonly [string, string, RegExp][] = [
      ['live.pem', 'not a certificate', /holds no certificate/],
      ['live.key', readFileSync(authority.path('ops.key'), 'utf8'), /is not the key of the certificate/],
      ['live.key', '-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----', /no private key/],
      ['live-ca.pem', readFileSync(authority.path('ops.pem'), 'utf8'), /not an authority/],
    ];
    for (const [file, content, reason] of broken) {
      const good = readFileSync(authority.path(file), 'utf8');
      authority.write(file, content);
      expect(await bed!.reload()).toBe(false);
      const [fault] = bed!
        .logged('certificates or access rules cannot be used: those of before stay')
        .slice(-1);
      expect(JSON.stringify(fault)).toMatch(reason);
      expect(await fingerprint()).toBe(before);
      authority.write(file, good);
      expect(await bed!.reload()).toBe(true);
    }
    expect(bed!.lines.join()).not.toContain('CANARY');
  });

  it('of the client authority shut out clients of the old one, though they kept their session', async () => {
    await start();
    const first = await shown();
    const session = await new Promise<Buffer>((resolve) => first.socket.once('session', resolve));
    first.socket.destroy();
    const comeBack = async () => {
      const port = Number(bed!.address.split(':').at(-1));
      const ca = readFileSync(authority.ca);
      const again = connect({ ...ADDRESS, port, session, ca });
      const outcome = await new Promise((resolve) => {
        again.once('secureConnect', () => resolve(again.isSessionReused() ? 'reused' : 'new'));
        again.once('error', () => resolve('refused'));
      });
      again.destroy();
      return outcome;
    };
    expect(await comeBack()).toBe('reused');
    const old = bed!.client(authority.client('ops'));
    expect((await old.view()).error).toBeUndefined();
    authority.write('live-ca.pem', readFileSync(stranger.ca, 'utf8'));
    expect(await bed!.reload()).toBe(true);
    expect(await comeBack()).not.toBe('reused');
    // Its connection was open.
    expect((await old.view()).error?.code).toBe(status.UNAVAILABLE);
    expect((await bed!.client(authority.client('ops')).view()).error?.code).toBe(status.UNAVAILABLE);
    expect((await bed!.client(stranger.client('ops', authority.ca)).view()).error).toBeUndefined();
  });
});
