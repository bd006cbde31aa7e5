import { afterAll, afterEach, expect } from 'vitest';
import { Keep } from '../../control-plane/health/keep.js';
import { Monitor } from '../../control-plane/health/monitor.js';
import { Probes } from '../../control-plane/health/prober.js';
import {
  type GrpcProbe,
  type HttpProbe,
  type ProbeResult,
  SYSTEM_CLOCK,
} from '../../control-plane/health/types.js';
import { runProbe, targetOf } from './checks.js';
import { certificates, type Running } from './servers.js';

export const KEPT = { reuseConnection: true } as const;
export const PASSED = { ok: true };
export const failed = (detail: RegExp) => ({
  ok: false,
  local: false,
  detail: expect.stringMatching(detail),
});

/** The server's end of a connection. */
export interface End {
  readonly destroyed: boolean;
  destroy(): unknown;
}

export const goneOf = (end: End | undefined) =>
  expect.poll(() => end?.destroyed, { timeout: 5000 }).toBe(true);

/** Checks that keep their connection, and the servers that they ask; all of it ends with each test of the file. */
export class ReuseBed {
  readonly certs = certificates();
  readonly #probes = new Probes({ clock: SYSTEM_CLOCK, ca: this.certs.ca });
  readonly #running: Running[] = [];
  readonly #keeps: Keep[] = [];
  readonly #monitors: Monitor[] = [];

  constructor() {
    afterAll(() => this.#probes.close());
    afterEach(async () => {
      for (const keep of this.#keeps.splice(0)) keep.close();
      for (const monitor of this.#monitors.splice(0)) monitor.stop();
      await Promise.all(this.#running.splice(0).map(({ stop }) => stop()));
    });
  }

  /** @returns the port of a server that is stopped after the test */
  async serve(server: Promise<Running>): Promise<number> {
    const started = await server;
    this.#running.push(started);
    return started.port;
  }

  /** One check of one target: the function probes it, again and again. */
  check(
    probe: HttpProbe | GrpcProbe,
    port: number,
  ): { readonly ask: (timeoutMs?: number) => Promise<ProbeResult>; readonly keep: Keep } {
    const keep = new Keep();
    this.#keeps.push(keep);
    return {
      ask: (timeoutMs = 5000) => runProbe(this.#probes, probe, targetOf('t', port), timeoutMs, { keep }),
      keep,
    };
  }

  monitor(): Monitor {
    const monitor = new Monitor({ clock: SYSTEM_CLOCK, probe: this.#probes.probe, seed: 'node' });
    this.#monitors.push(monitor);
    return monitor;
  }
}
