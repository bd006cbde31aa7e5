import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Keep } from '../../control-plane/health/keep.js';
import { Probes } from '../../control-plane/health/prober.js';
import { Tunnel, type TunnelOptions } from '../../control-plane/health/tunnel.js';
import { type Probe, type ProbeResult, SYSTEM_CLOCK } from '../../control-plane/health/types.js';
import { formatIp, parseIp } from '../../lb/index.js';
import { openMarked } from '../../lb/sys/marked-socket.js';
import { missingRoot, noting } from '../support/capabilities.js';
import { enterNamespace, sh } from '../support/namespace.js';
import { checkOf, GRPC, HTTP, runProbe, targetOf } from './checks.js';
import { grpcServer, httpServer, MANNERS, type Running, tcpServer } from './servers.js';

const FIRST_MARK = 0x100;
const VIP = '127.0.0.1';
const TIMEOUT_MS = 500;

/** Marks and the addresses that they stand for, as the tables would hold them. */
function tunnelOf(changes: Partial<TunnelOptions> = {}): { tunnel: Tunnel; marks: Map<number, string> } {
  const marks = new Map<number, string>();
  const tables = {
    putReal: (mark: number, backend: Parameters<typeof formatIp>[0]) =>
      void marks.set(mark, formatIp(backend)),
    deleteReal: (mark: number) => void marks.delete(mark),
  };
  return {
    tunnel: new Tunnel({ tables, openMarked, firstMark: FIRST_MARK, capacity: 4, ...changes }),
    marks,
  };
}

async function run(
  tunnel: Tunnel | undefined,
  backend: string,
  port: number,
  probe: Probe,
  keep?: Keep,
): Promise<ProbeResult> {
  const probes = new Probes({ clock: SYSTEM_CLOCK, ...(tunnel && { tunnel }) });
  const target = { ...targetOf('a', port, backend), vip: parseIp(VIP) };
  return runProbe(probes, probe, target, TIMEOUT_MS, { path: 'tunnel', ...(keep && { keep }) });
}

describe.skipIf(missingRoot)(`checks through the tunnel${noting(missingRoot)}`, () => {
  const running: Running[] = [];
  beforeAll(() => enterNamespace());
  afterEach(async () => {
    await Promise.all(running.splice(0).map(({ stop }) => stop()));
  });
  const serve = async (server: Promise<Running>) => {
    const started = await server;
    running.push(started);
    return started.port;
  };

  const kinds: readonly [name: string, server: () => Promise<Running>, probe: Probe][] = [
    ['tcp', () => tcpServer(MANNERS.accept), { kind: 'tcp', port: 0 }],
    ['http', () => httpServer((_, answer) => answer.end()), HTTP],
    ['grpc', () => grpcServer({ '': 1 }), GRPC],
  ];
  for (const [name, server, probe] of kinds) {
    it(`${name}: goes to the VIP with the mark of the backend`, async () => {
      const { tunnel, marks } = tunnelOf();
      const port = await serve(server());
      sh('nft add table ip marks');
      sh('nft add chain ip marks out { type filter hook output priority 0 ; }');
      // What has another mark, or none, does not arrive.
      sh(`nft add rule ip marks out tcp dport ${port} meta mark != ${FIRST_MARK + 1} drop`);
      try {
        expect(await run(tunnel, '10.0.0.1', port, probe)).toMatchObject({ ok: false, local: false });
        expect(await run(tunnel, '10.0.0.2', port, probe)).toMatchObject({ ok: true });
        expect([...marks]).toEqual([
          [FIRST_MARK, '10.0.0.1'],
          [FIRST_MARK + 1, '10.0.0.2'],
        ]);
      } finally {
        sh('nft delete table ip marks');
      }
    });
  }

  it.each(['http', 'grpc'] as const)('%s: a connection is kept with its mark', async (kind) => {
    const opened: number[] = [];
    const { tunnel } = tunnelOf({
      openMarked: (family, mark) => {
        opened.push(mark);
        return openMarked(family, mark);
      },
    });
    const server = kind === 'http' ? httpServer((_, answer) => answer.end()) : grpcServer({ '': 1 });
    const port = await serve(server);
    const probe = kind === 'http' ? { ...HTTP, reuseConnection: true } : { ...GRPC, reuseConnection: true };
    const backends = ['10.0.0.1', '10.0.0.2'].map((backend) => ({ backend, keep: new Keep() }));
    for (let i = 0; i < 3; i++) {
      for (const { backend, keep } of backends)
        expect(await run(tunnel, backend, port, probe, keep)).toMatchObject({ ok: true });
    }
    expect(opened).toEqual([FIRST_MARK, FIRST_MARK + 1]);
    for (const { keep } of backends) keep.close();
    // What comes then is a connection of its own again, which is closed with its probe.
    expect(await run(tunnel, '10.0.0.1', port, probe, backends[0]?.keep)).toMatchObject({ ok: true });
    expect(opened).toHaveLength(3);
  });

  it('the mark is in the table before the socket is opened', async () => {
    const known: boolean[] = [];
    const { tunnel, marks } = tunnelOf({
      openMarked: (family, mark) => {
        known.push(marks.has(mark));
        return openMarked(family, mark);
      },
    });
    await run(tunnel, '10.0.0.1', await serve(tcpServer(MANNERS.accept)), { kind: 'tcp', port: 0 });
    expect(known).toEqual([true]);
  });

  it('no more backends than there are marks, and marks come back', async () => {
    const { tunnel, marks } = tunnelOf();
    const port = await serve(tcpServer(MANNERS.accept));
    const probe: Probe = { kind: 'tcp', port: 0 };
    for (const last of [1, 2, 3, 4, 1, 2])
      expect((await run(tunnel, `10.0.0.${last}`, port, probe)).ok).toBe(true);
    expect(await run(tunnel, '10.0.0.5', port, probe)).toMatchObject({
      ok: false,
      local: true,
      detail: 'this host: no marks left for checks through the tunnel (TUNNEL_FULL)',
    });
    tunnel.keep(['10.0.0.1', '10.0.0.3'].map(parseIp));
    expect([...marks.values()]).toEqual(['10.0.0.1', '10.0.0.3']);
    expect((await run(tunnel, '10.0.0.5', port, probe)).ok).toBe(true);
    expect(marks.get(FIRST_MARK + 1)).toBe('10.0.0.5');
  });

  it('a right that is missing blames this host', async () => {
    const { tunnel } = tunnelOf({
      openMarked: () => {
        throw Object.assign(new Error('setsockopt EPERM'), { code: 'EPERM' });
      },
    });
    const result = await run(tunnel, '10.0.0.1', 1, { kind: 'tcp', port: 0 });
    expect(result).toMatchObject({ ok: false, local: true, detail: 'this host: not permitted (EPERM)' });
  });
});

const missing: readonly [rule: string, probe: Probe, detail: string][] = [
  ['no tunnel', { kind: 'tcp', port: 0 }, 'this host: there is no tunnel for checks here'],
  ['ICMP', { kind: 'icmp', payloadBytes: 0 }, 'this host: a check of kind icmp cannot go through the tunnel'],
  [
    'UDP',
    { kind: 'udp', port: 0, send: Buffer.alloc(0) },
    'this host: a check of kind udp cannot go through the tunnel',
  ],
];
for (const [rule, probe, detail] of missing) {
  it(`what cannot be blames this host: ${rule}`, async () => {
    expect(await run(undefined, '10.0.0.1', 1, probe)).toMatchObject({ ok: false, local: true, detail });
  });
}

it('a backend without a VIP cannot be checked through the tunnel', async () => {
  const { tunnel } = tunnelOf();
  const probes = new Probes({ clock: SYSTEM_CLOCK, tunnel });
  const check = checkOf({ kind: 'tcp', port: 0 }, { path: 'tunnel' });
  const result = await probes.probe(targetOf('a', 1), check, new AbortController().signal);
  expect(result).toMatchObject({ ok: false, local: true, detail: expect.stringContaining('no VIP') });
});
