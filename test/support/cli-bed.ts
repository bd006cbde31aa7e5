import type { ControlPlane } from '../../control-plane/control.js';
import { formatListen } from '../../control-plane/grpc/listen.js';
import { type CliResult, runCli } from './cli.js';
import { startControl } from './memory-control.js';
import { MemoryDatapath } from './memory-datapath.js';

/** Flags that a VIP of the pool `web` is made with. */
export const vipFlags = (address: string, port = '80', protocol = 'tcp'): string[] => [
  '--address',
  address,
  '--port',
  port,
  '--protocol',
  protocol,
  '--pool',
  'web',
];

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
    const control = await startControl(datapath);
    return new CliBed(control, datapath);
  }

  get server(): string {
    return formatListen(this.control.address);
  }

  /**
   * A pool `web` with one backend, `web/a` at 10.0.0.1, behind the VIP `web` at 192.0.2.1:80/tcp.
   * @param backend further flags of it
   */
  async serve(...backend: readonly string[]): Promise<void> {
    await this.must('create', 'pool', 'web');
    await this.must('create', 'backend', 'web/a', '--address', '10.0.0.1', ...backend);
    await this.must('create', 'vip', 'web', ...vipFlags('192.0.2.1'));
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
