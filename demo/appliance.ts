import { type ChildProcess, execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tailOfErrors, until } from './lines.js';
import { Topology } from './topology.js';

const execute = promisify(execFile);

/** Path of a built module, whether this runs from dist/ or from the sources. */
export function built(path: string): string {
  const here = fileURLToPath(new URL('..', import.meta.url));
  return here.endsWith('/dist/') ? join(here, path) : join(here, 'dist', path);
}

export const WAGGLE = built('control-plane/cli/main.js');

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `waggle up` on a host of a topology, and its command line. */
export class Appliance {
  readonly server: string;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #errors: () => string;

  private constructor(child: ChildProcess, folder: string, server: string) {
    this.#child = child;
    this.#folder = folder;
    this.server = server;
    this.#errors = tailOfErrors(child, 40);
  }

  /** Start on `host` and wait until the API answers. */
  static async start(
    topology: Topology,
    host: string,
    options: { workers: number; flags?: readonly string[] },
  ): Promise<Appliance> {
    const folder = mkdtempSync(join(tmpdir(), 'waggle-'));
    const server = `unix:${join(folder, 'waggle.sock')}`;
    const { interface: device } = topology.host(host);
    const child = topology.spawn(
      host,
      [
        process.execPath,
        WAGGLE,
        'up',
        '--interface',
        device,
        '--workers',
        String(options.workers),
        '--listen',
        server,
        ...(options.flags ?? []),
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const appliance = new Appliance(child, folder, server);
    try {
      await until('the load balancer to answer', async () => {
        if (child.exitCode !== null)
          throw new Error(`waggle up ended with status ${child.exitCode}:\n${appliance.log()}`);
        return (await appliance.command('status')).status === 0;
      });
    } catch (error) {
      await appliance.stop();
      throw error;
    }
    return appliance;
  }

  /** Run `waggle …` against this appliance. */
  async command(...args: string[]): Promise<CommandResult> {
    try {
      const { stdout, stderr } = await execute(process.execPath, [WAGGLE, '--server', this.server, ...args]);
      return { status: 0, stdout, stderr };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && 'stderr' in error && 'stdout' in error)) throw error;
      return { status: Number(error.code), stdout: String(error.stdout), stderr: String(error.stderr) };
    }
  }

  /** Run `waggle …`, which must succeed; gives its standard output. */
  async must(...args: string[]): Promise<string> {
    const result = await this.command(...args);
    if (result.status !== 0)
      throw new Error(`waggle ${args.join(' ')}: status ${result.status}: ${result.stderr.trim()}`);
    return result.stdout;
  }

  /** Number of its process. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The last lines of its log. */
  log(): string {
    return this.#errors();
  }

  async stop(): Promise<void> {
    await Topology.stop(this.#child);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Put a host behind the load balancer: take outer headers off that are addressed to it. */
export async function startDecap(topology: Topology, host: string): Promise<ChildProcess> {
  const { interface: device, address4, address6 } = topology.host(host);
  const child = topology.spawn(
    host,
    [process.execPath, WAGGLE, 'decap', '--interface', device, '--address', address4, '--address', address6],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const errors = tailOfErrors(child);
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await until(`decapsulation on ${host}`, () => {
    if (child.exitCode !== null)
      throw new Error(`waggle decap on ${host} ended with status ${child.exitCode}:\n${errors()}`);
    return said.length > 0;
  });
  return child;
}
