/** Checks that keep their connection: what the server sees of it, and what becomes of it when the server lets it go. */

import type { ServerHttp2Stream } from 'node:http2';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { GrpcProbe, HttpProbe } from '../../control-plane/health/types.js';
import { checkOf, GRPC, HTTP, targetOf } from './checks.js';
import { type End, failed, goneOf, KEPT, PASSED, ReuseBed } from './reuse-bed.js';
import { answerServing, http2Server, httpServer, type Running } from './servers.js';

const bed = new ReuseBed();

/** Servers of all the kinds that can be kept; `seen` gets the connection of each question. */
const SERVERS: Readonly<
  Record<
    string,
    readonly [probe: HttpProbe | GrpcProbe, serve: (seen: End[], port?: number) => Promise<Running>]
  >
> = {
  HTTP: [HTTP, (seen, port) => httpNoting(seen, false, port)],
  HTTPS: [{ ...HTTP, tls: true }, (seen, port) => httpNoting(seen, true, port)],
  gRPC: [GRPC, (seen, port) => grpcNoting(seen, false, port)],
  'gRPC over TLS': [{ ...GRPC, tls: true }, (seen, port) => grpcNoting(seen, true, port)],
};

function httpNoting(seen: End[], tls: boolean, port?: number): Promise<Running> {
  return httpServer(
    (question, answer) => {
      seen.push(question.socket);
      answer.end('x');
    },
    tls ? bed.certs.good : undefined,
    port,
  );
}

function grpcNoting(seen: End[], tls: boolean, port?: number): Promise<Running> {
  const stream = (call: ServerHttp2Stream) => {
    if (call.session !== undefined) seen.push(call.session);
    answerServing(call);
  };
  return http2Server({ stream }, tls ? bed.certs.good : undefined, port);
}

for (const [name, [probe, server]] of Object.entries(SERVERS)) {
  describe(name, () => {
    const kept = { ...probe, ...KEPT };

    it('one connection for all probes, where the check says so', async () => {
      const seen: End[] = [];
      const { ask } = bed.check(kept, await bed.serve(server(seen)));
      for (let i = 0; i < 5; i++) expect(await ask()).toMatchObject(PASSED);
      expect([seen.length, new Set(seen).size]).toEqual([5, 1]);
    });

    it('one for each, where it does not', async () => {
      const seen: End[] = [];
      const { ask } = bed.check(probe, await bed.serve(server(seen)));
      for (let i = 0; i < 3; i++) expect(await ask()).toMatchObject(PASSED);
      expect([seen.length, new Set(seen).size]).toEqual([3, 3]);
      for (const end of seen) await goneOf(end);
    });

    it('one for each check and target', async () => {
      const seen: End[] = [];
      const port = await bed.serve(server(seen));
      const checks = [bed.check(kept, port), bed.check(kept, port)];
      for (let i = 0; i < 2; i++) for (const { ask } of checks) expect(await ask()).toMatchObject(PASSED);
      expect([seen.length, new Set(seen).size]).toEqual([4, 2]);
    });

    it('a new one where the server closed it, and that is no failure', async () => {
      const seen: End[] = [];
      const { ask } = bed.check(kept, await bed.serve(server(seen)));
      for (let i = 0; i < 3; i++) {
        expect(await ask()).toMatchObject(PASSED);
        seen.at(-1)?.destroy();
        // Sooner and later: the end is on its way, or has come.
        for (let turns = 0; turns < i * 50; turns++) await turn();
      }
      expect([seen.length, new Set(seen).size]).toEqual([3, 3]);
    });

    it('a new one where the server has started again, and that is no failure', async () => {
      const seen: End[] = [];
      const first = await server(seen);
      const { ask } = bed.check(kept, first.port);
      expect(await ask()).toMatchObject(PASSED);
      await first.stop();
      await bed.serve(server(seen, first.port));
      expect(await ask()).toMatchObject(PASSED);
      expect(await ask()).toMatchObject(PASSED);
      expect([seen.length, new Set(seen).size]).toEqual([3, 2]);
    });

    it('a failure where it has not', async () => {
      const first = await server([]);
      const { ask } = bed.check(kept, first.port);
      expect(await ask()).toMatchObject(PASSED);
      await first.stop();
      expect(await ask()).toMatchObject(failed(/^connection refused$/));
    });

    it('closed with the check', async () => {
      const seen: End[] = [];
      const { ask, keep } = bed.check(kept, await bed.serve(server(seen)));
      await ask();
      keep.close();
      await goneOf(seen[0]);
      // What a probe under way would have kept is closed too.
      expect(await ask()).toMatchObject(PASSED);
      await goneOf(seen[1]);
    });

    describe('over the life of a monitor', () => {
      /** A monitor of one target, and the function that waits for its kept connection. */
      async function watched() {
        const seen: End[] = [];
        const port = await bed.serve(server(seen));
        const monitor = bed.monitor();
        const check = checkOf(kept, { intervalMs: 200, fastIntervalMs: 200, timeoutMs: 200 });
        const target = targetOf('a', port);
        monitor.setTargets([{ target, checks: [check] }]);
        const isKept = () => seen.length > 1 && seen.at(-1) === seen.at(-2);
        await expect.poll(isKept, { timeout: 5000 }).toBe(true);
        return { monitor, check, target, seen };
      }
      const changes: Readonly<Record<string, (watching: Awaited<ReturnType<typeof watched>>) => void>> = {
        'the check changes': ({ monitor, check, target }) =>
          monitor.setTargets([{ target, checks: [{ ...check, probe: { ...kept, host: 'backend.test' } }] }]),
        'the check keeps no more': ({ monitor, check, target }) =>
          monitor.setTargets([{ target, checks: [{ ...check, probe }] }]),
        'the check goes': ({ monitor, check, target }) =>
          monitor.setTargets([{ target, checks: [{ ...check, name: 'other' }] }]),
        'the target moves': ({ monitor, check, target }) =>
          monitor.setTargets([{ target: targetOf('a', target.port, '::ffff:127.0.0.1'), checks: [check] }]),
        'the target goes': ({ monitor }) => monitor.setTargets([]),
        'the monitor stops': ({ monitor }) => monitor.stop(),
      };
      for (const [rule, change] of Object.entries(changes)) {
        it(`closed when ${rule}`, async () => {
          const watching = await watched();
          const end = watching.seen.at(-1);
          change(watching);
          await goneOf(end);
        });
      }

      it('a probe out of turn has a connection of its own, and closes it', async () => {
        const { monitor, seen } = await watched();
        const end = seen.at(-1);
        const own = new Set(seen);
        await monitor.probeNow('a');
        const other = seen.find((end) => !own.has(end));
        expect(other === undefined).toBe(false);
        await goneOf(other);
        expect(end?.destroyed).toBe(false);
      });
    });
  });
}
