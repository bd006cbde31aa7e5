import { readdirSync } from 'node:fs';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { Keep } from '../../control-plane/health/keep.js';
import { Probes } from '../../control-plane/health/prober.js';
import { TIMED_OUT } from '../../control-plane/health/probes/attempt.js';
import {
  type GrpcProbe,
  type HttpProbe,
  type Probe,
  SYSTEM_CLOCK,
} from '../../control-plane/health/types.js';
import { checkOf, GRPC, HTTP, runProbe, targetOf } from './checks.js';
import {
  certificates,
  grpcServer,
  httpServer,
  MANNERS,
  type Running,
  tcpServer,
  udpServer,
} from './servers.js';

const certs = certificates();
const probes = new Probes({ clock: SYSTEM_CLOCK, ca: certs.ca });
afterAll(() => probes.close());

const running: Running[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ stop }) => stop()));
});

/** The port of a server that stops with the test. */
async function serve(server: Promise<Running>): Promise<number> {
  const started = await server;
  running.push(started);
  return started.port;
}

const run = (probe: Probe, port: number, timeoutMs = 2000) =>
  runProbe(probes, probe, targetOf('t', port), timeoutMs);

const PING = Buffer.from('PING\r\n');
const PONG = Buffer.from('+PONG');
const SERVING = { '': 1 };

describe('whatever the kind', () => {
  const kinds: readonly Probe[] = [
    { kind: 'tcp', port: 0, expect: PONG },
    HTTP,
    { ...HTTP, tls: true },
    GRPC,
    { ...GRPC, tls: true },
  ];
  for (const probe of kinds) {
    const name = `${probe.kind}${'tls' in probe && probe.tls ? ' with TLS' : ''}`;
    it(`${name}: a signal that was aborted before ends it`, async () => {
      const port = await serve(tcpServer(MANNERS.accept));
      const result = await probes.probe(targetOf('t', port), checkOf(probe), AbortSignal.abort(TIMED_OUT));
      expect(result).toMatchObject({ ok: false, local: false });
    });

    it(`${name}: a thousand that hang leave nothing behind`, { timeout: 60_000 }, async () => {
      const port = await serve(tcpServer(MANNERS.accept));
      const handles = () =>
        process.getActiveResourcesInfo().filter((kind) => /TCP|Pipe|Timeout/.test(kind)).length;
      const before = handles();
      const results = await Promise.all(Array.from({ length: 1000 }, () => run(probe, port, 1500)));
      expect(results.filter(({ ok }) => ok)).toEqual([]);
      expect(new Set(results.map(({ local }) => local))).toEqual(new Set([false]));
      // The server's ends close with ours, and stay as long as they.
      await expect.poll(handles, { timeout: 10_000 }).toBeLessThanOrEqual(before);
    });
  }

  const ends: Readonly<Record<string, readonly [server: () => Promise<Running>, probe: Probe]>> = {
    'a connection': [() => tcpServer(MANNERS.accept), { kind: 'tcp', port: 0 }],
    'an answer': [() => tcpServer(MANNERS.pong), { kind: 'tcp', port: 0, send: PING, expect: PONG }],
    'another answer': [() => tcpServer(MANNERS.wrong), { kind: 'tcp', port: 0, send: PING, expect: PONG }],
    'a close': [() => tcpServer(MANNERS.close), { kind: 'tcp', port: 0, expect: PONG }],
    'a reset': [() => tcpServer(MANNERS.reset), { kind: 'tcp', port: 0, expect: PONG }],
    HTTP: [() => httpServer((_, answer) => answer.end('x')), HTTP],
    'HTTP 503': [() => httpServer((_, answer) => answer.writeHead(503).end('x')), HTTP],
    'HTTP, closed': [() => tcpServer(MANNERS.close), HTTP],
    'HTTP, reset': [() => tcpServer(MANNERS.reset), HTTP],
    HTTPS: [() => httpServer((_, answer) => answer.end('x'), certs.good), { ...HTTP, tls: true }],
    'HTTPS, expired': [
      () => httpServer((_, answer) => answer.end('x'), certs.expired),
      { ...HTTP, tls: true },
    ],
    gRPC: [() => grpcServer(SERVING), GRPC],
    'gRPC, closed': [() => tcpServer(MANNERS.close), GRPC],
    'gRPC over TLS': [() => grpcServer(SERVING, certs.good), { ...GRPC, tls: true }],
    UDP: [() => udpServer(() => 'x'), { kind: 'udp', port: 0, send: PING }],
  };
  for (const [name, [server, probe]] of Object.entries(ends)) {
    it(`a probe that ends with ${name} leaves no descriptor`, async () => {
      const port = await serve(server());
      const descriptors = () => readdirSync('/proc/self/fd').length;
      await run(probe, port);
      const before = descriptors();
      for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 10 }, () => run(probe, port)));
      await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before + 5);
    });
  }
});

describe('checks that keep their connection', () => {
  const kinds: Readonly<
    Record<string, readonly [server: () => Promise<Running>, probe: HttpProbe | GrpcProbe]>
  > = {
    HTTP: [() => httpServer((_, answer) => answer.end('x')), HTTP],
    HTTPS: [() => httpServer((_, answer) => answer.end('x'), certs.good), { ...HTTP, tls: true }],
    gRPC: [() => grpcServer(SERVING), GRPC],
    'gRPC over TLS': [() => grpcServer(SERVING, certs.good), { ...GRPC, tls: true }],
  };
  for (const [name, [server, probe]] of Object.entries(kinds)) {
    it(`${name}: have one each, and none when they end`, async () => {
      const port = await serve(server());
      const kept = { ...probe, reuseConnection: true };
      const descriptors = () => readdirSync('/proc/self/fd').length;
      await run(kept, port);
      const before = descriptors();
      const keeps = Array.from({ length: 50 }, () => new Keep());
      for (let i = 0; i < 3; i++) {
        const results = await Promise.all(
          keeps.map((keep) => runProbe(probes, kept, targetOf('t', port), 20_000, { keep })),
        );
        expect(results.filter(({ ok }) => !ok)).toEqual([]);
      }
      // Both ends are this process'.
      await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before + 2 * keeps.length + 5);
      expect(descriptors()).toBeGreaterThanOrEqual(before + 2 * keeps.length - 5);
      for (const keep of keeps) keep.close();
      await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before + 5);
    });
  }
});
