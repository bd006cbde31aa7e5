import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import { wholeNumber } from './arguments.js';
import { requiredOption } from './required.js';

/** Workers that the datapath can have. */
export const MAX_WORKERS = 64;
export const MAX_CONNECTIONS = 64_000_000;
const DEFAULT_CONNECTIONS = 262_144;
export const DEFAULT_LISTEN = '127.0.0.1:9443';

interface UpOptions {
  readonly interface: string;
  readonly engine: 'af_packet' | 'xdp';
  readonly workers: number;
  readonly listen: string;
  readonly metrics?: string;
  readonly state?: string;
  readonly connections: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

async function up(options: UpOptions): Promise<void> {
  // Only here: the other commands need nothing of the datapath, and start faster without it.
  const [{ runAppliance }, { createLog }, { parseListen }, { usageError }] = await Promise.all([
    import('../main.js'),
    import('../log.js'),
    import('../grpc/listen.js'),
    import('./faults.js'),
  ]);
  const address = (flag: string, text: string) => {
    try {
      return parseListen(text);
    } catch (error) {
      throw usageError(`${flag}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const listen = address('--listen', options.listen);
  const metrics = options.metrics === undefined ? undefined : address('--metrics', options.metrics);
  await runAppliance({
    interface: options.interface,
    engine: options.engine,
    workers: options.workers,
    connections: options.connections,
    listen,
    metrics,
    state: options.state,
    log: createLog(options.logLevel, process.stderr),
  });
}

export function addUp(program: Command): void {
  program
    .command('up')
    .description(
      'run the load balancer on an interface until Ctrl-C (needs root, or CAP_NET_RAW and CAP_NET_ADMIN)',
    )
    .addOption(requiredOption('--interface <name>', 'interface that packets come in and leave by'))
    .addOption(
      new Option(
        '--engine <name>',
        'where the program runs: in worker threads over packet sockets, or in the kernel (root, or CAP_BPF and CAP_NET_ADMIN)',
      )
        .choices(['af_packet', 'xdp'])
        .default('af_packet'),
    )
    .option(
      '--workers <n>',
      'worker threads of af_packet',
      wholeNumber(1, MAX_WORKERS),
      Math.min(availableParallelism(), MAX_WORKERS),
    )
    .option('--listen <address>', 'where the API listens: HOST:PORT or unix:PATH', DEFAULT_LISTEN)
    .option('--metrics <address>', 'where Prometheus metrics are served: HOST:PORT (default: nowhere)')
    .option('--state <directory>', 'where the configuration is kept over restarts (default: in memory)')
    .option(
      '--connections <n>',
      "entries of each worker's connection table",
      wholeNumber(1024, MAX_CONNECTIONS),
      DEFAULT_CONNECTIONS,
    )
    .addOption(
      new Option('--log-level <level>', 'least level that is logged')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    )
    .action((options: UpOptions) => up(options));
}
