import { vi } from 'vitest';
import { run } from '../../control-plane/cli/run.js';
import { ControlPlane } from '../../control-plane/control.js';
import { formatListen } from '../../control-plane/grpc/listen.js';
import { MemoryDatapath } from './memory-datapath.js';
import { silentLog } from './silent-log.js';

/** How a command ended, and what it said. */
export interface CliResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string>>;

/** Nobody's contexts, unless a test has some. */
const NO_CONTEXTS = '/nowhere/contexts.yaml';

/** Have variables of the command line, and no others of its own. @returns what undoes it */
function setEnvironment(env: Environment): () => void {
  const before = Object.entries(process.env).filter(([name]) => /^(WAGGLE_(?!CORPUS)|NO_COLOR)/.test(name));
  for (const [name] of before) delete process.env[name];
  const own = { WAGGLE_CONFIG: NO_CONTEXTS, ...env };
  Object.assign(process.env, own);
  return () => {
    for (const name of Object.keys(own)) delete process.env[name];
    Object.assign(process.env, Object.fromEntries(before));
  };
}

/** Run a command line in this process: as `waggle` does, without the time of a start. */
export async function runCli(args: readonly string[], env: Environment = {}): Promise<CliResult> {
  let stdout = '';
  let stderr = '';
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      stdout += String(chunk);
      return true;
    }),
    vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
      stderr += String(chunk);
      return true;
    }),
    vi.spyOn(console, 'log').mockImplementation((...texts) => {
      stdout += `${texts.join(' ')}\n`;
    }),
    vi.spyOn(console, 'error').mockImplementation((...texts) => {
      stderr += `${texts.join(' ')}\n`;
    }),
  ];
  const before = process.exitCode;
  const restore = setEnvironment(env);
  process.exitCode = undefined;
  try {
    const status = (await run(args)) ?? Number(process.exitCode ?? 0);
    return { status, stdout, stderr };
  } finally {
    process.exitCode = before;
    restore();
    for (const spy of spies) spy.mockRestore();
  }
}

/** A control plane over a datapath in memory, and the command line that asks it. */
export class CliBed {
  readonly control: ControlPlane;
  readonly datapath: MemoryDatapath;

  private constructor(control: ControlPlane, datapath: MemoryDatapath) {
    this.control = control;
    this.datapath = datapath;
  }

  static async start(): Promise<CliBed> {
    const datapath = new MemoryDatapath();
    const control = await ControlPlane.start({
      datapath,
      listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      version: '1.2.3',
      log: silentLog(),
    });
    return new CliBed(control, datapath);
  }

  get server(): string {
    return formatListen(this.control.address);
  }

  run(...args: string[]): Promise<CliResult> {
    return runCli(['--server', this.server, ...args]);
  }

  /** Standard output of a command that must do what it is told. */
  async must(...args: string[]): Promise<string> {
    const result = await this.run(...args);
    if (result.status !== 0 || result.stderr !== '')
      throw new Error(`waggle ${args.join(' ')}: status ${result.status}: ${result.stderr}`);
    return result.stdout;
  }

  /** What a command prints as JSON. */
  async json(...args: string[]): Promise<unknown> {
    return JSON.parse(await this.must(...args, '-o', 'json'));
  }

  stop(): Promise<void> {
    return this.control.stop();
  }
}
