/** Handshakes over TLS: the first one of a check is whole, later ones go on from it, as long as it can be trusted. */
import { constants, randomBytes } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { Keep } from '../../control-plane/health/keep.js';
import { Probes } from '../../control-plane/health/prober.js';
import { type GrpcProbe, type HttpProbe, SYSTEM_CLOCK } from '../../control-plane/health/types.js';
import { GRPC, HTTP, runProbe, targetOf } from './checks.js';
import { certificates, http2Server, httpServer, type Running, type ServerTls } from './servers.js';

const certs = certificates();
const HTTPS: HttpProbe = { ...HTTP, tls: true, host: 'backend.test' };
const GRPCS: GrpcProbe = { ...GRPC, tls: true, host: 'backend.test' };
/** How long a session is good. */
const SESSION_MS = 300_000;

const running: Running[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ stop }) => stop()));
});

/** Servers that note of each connection whether its handshake went on from an earlier one. */
const SERVERS = {
  http: (seen: boolean[], tls: ServerTls, port?: number) =>
    httpServer(
      ({ socket }, answer) => {
        seen.push((socket as TLSSocket).isSessionReused());
        answer.end('x');
      },
      tls,
      port,
    ),
  grpc: (seen: boolean[], tls: ServerTls, port?: number) =>
    http2Server(
      { session: (session) => seen.push((session.socket as TLSSocket).isSessionReused()) },
      tls,
      port,
    ),
} as const;

/** A check of one target on a server of its kind, and what the server saw. */
async function bedOf(probe: HttpProbe | GrpcProbe, tls: ServerTls) {
  const seen: boolean[] = [];
  const serve = async (options: ServerTls, port?: number) => {
    const server = await SERVERS[probe.kind](seen, options, port);
    running.push(server);
    return server;
  };
  const first = await serve(tls);
  let nowMs = SYSTEM_CLOCK.nowMs();
  const probes = new Probes({ clock: { ...SYSTEM_CLOCK, nowMs: () => nowMs }, ca: certs.ca });
  const keep = new Keep();
  return {
    seen,
    ask: (changes: Partial<Pick<HttpProbe, 'insecureSkipVerify' | 'reuseConnection'>> = {}) =>
      runProbe(probes, { ...probe, ...changes }, targetOf('t', first.port), 2000, { keep }),
    askAlone: () => runProbe(probes, probe, targetOf('t', first.port), 2000),
    wait: (ms: number) => {
      nowMs += ms;
    },
    /** The same port, with other options. */
    restart: async (options: ServerTls) => {
      await first.stop();
      await serve(options, first.port);
    },
  };
}

const PASSED = { ok: true };

for (const probe of [HTTPS, GRPCS]) {
  describe(probe.kind, () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      it(`${version}: all handshakes but the first go on from an earlier one`, async () => {
        const { seen, ask } = await bedOf(probe, { ...certs.good, minVersion: version, maxVersion: version });
        for (let i = 0; i < 4; i++) expect(await ask()).toMatchObject(PASSED);
        expect(seen).toEqual([false, true, true, true]);
      });

      it(`${version}: where the server gives no tickets all are whole, and that is no failure`, async () => {
        const { seen, ask } = await bedOf(probe, {
          ...certs.good,
          minVersion: version,
          maxVersion: version,
          secureOptions: constants.SSL_OP_NO_TICKET,
        });
        for (let i = 0; i < 3; i++) expect(await ask()).toMatchObject(PASSED);
        expect(seen).toEqual([false, false, false]);
      });
    }

    it('a server that has started again does not know the session: a whole handshake, and no failure', async () => {
      const { seen, ask, restart } = await bedOf(probe, certs.good);
      await ask();
      await restart(certs.good);
      for (let i = 0; i < 2; i++) expect(await ask()).toMatchObject(PASSED);
      expect(seen).toEqual([false, false, true]);
    });

    it('a connection that is kept and then lost is followed by a short handshake', async () => {
      const ticketKeys = randomBytes(48);
      const { seen, ask, restart } = await bedOf(probe, { ...certs.good, ticketKeys });
      const kept = { reuseConnection: true };
      for (let i = 0; i < 2; i++) expect(await ask(kept)).toMatchObject(PASSED);
      await restart({ ...certs.good, ticketKeys });
      expect(await ask(kept)).toMatchObject(PASSED);
      expect(seen.at(-1)).toBe(true);
    });

    it('the certificate is looked at again after five minutes', async () => {
      const ticketKeys = randomBytes(48);
      const { seen, ask, wait, restart } = await bedOf(probe, { ...certs.good, ticketKeys });
      await ask();
      await restart({ ...certs.expired, ticketKeys });
      wait(SESSION_MS - 1);
      // Nothing of the other certificate is seen.
      expect(await ask()).toMatchObject(PASSED);
      wait(1);
      expect(await ask()).toMatchObject({ ok: false, local: false, detail: 'certificate has expired' });
      // No session is left from before.
      expect(await ask()).toMatchObject({ ok: false });
      expect(seen.slice(0, 2)).toEqual([false, true]);
    });

    it('a session is as old as the handshake that it began with', async () => {
      const { seen, ask, wait } = await bedOf(probe, certs.good);
      for (let i = 0; i < 4; i++) {
        expect(await ask()).toMatchObject(PASSED);
        wait(SESSION_MS / 3);
      }
      expect(seen).toEqual([false, true, true, false]);
    });

    it('none goes on beyond the end of its certificate', async () => {
      const { seen, ask } = await bedOf(probe, certs.expired);
      for (let i = 0; i < 2; i++) expect(await ask({ insecureSkipVerify: true })).toMatchObject(PASSED);
      expect(seen).toEqual([false, false]);
    });

    it('a certificate that is refused leaves none', async () => {
      const { seen, ask } = await bedOf(probe, certs.other);
      for (let i = 0; i < 2; i++)
        expect(await ask()).toMatchObject({ ok: false, detail: 'certificate is for another name' });
      expect(seen).not.toContain(true);
    });

    it('a probe out of turn begins with a whole one', async () => {
      const { seen, ask, askAlone } = await bedOf(probe, certs.good);
      await ask();
      for (let i = 0; i < 2; i++) expect(await askAlone()).toMatchObject(PASSED);
      expect(seen).toEqual([false, false, false]);
    });
  });
}
