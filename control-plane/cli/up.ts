import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import type { ApplianceSettings } from '../config/index.js';
import { wholeNumber } from './arguments.js';
import { usageError } from './faults.js';

/** Workers that the datapath can have. */
export const MAX_WORKERS = 64;
export const MAX_CONNECTIONS = 64_000_000;
const DEFAULT_CONNECTIONS = 262_144;
export const DEFAULT_LISTEN = '127.0.0.1:9443';

type LogLevel = 'debug' | 'info' | 'warn' | 'error';

interface UpOptions {
  readonly config?: string;
  readonly interface?: string;
  readonly engine?: 'af_packet' | 'af_xdp' | 'xdp';
  readonly workers?: number;
  readonly pin?: string | true;
  readonly listen?: string;
  readonly metrics?: string;
  readonly state?: string;
  readonly connections?: number;
  readonly logLevel?: LogLevel;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly access?: string;
  readonly insecure?: true;
  readonly audit?: string;
}

type Security = ApplianceSettings['security'];

/** The certificate that flags name, or the file. @throws CliError of wrong usage */
function tlsOf({ tlsCert, tlsKey, tlsClientCa }: UpOptions, { tls }: Security): Security['tls'] {
  const certFile = tlsCert ?? tls?.certFile;
  const keyFile = tlsKey ?? tls?.keyFile;
  const clientCaFile = tlsClientCa ?? tls?.clientCaFile;
  if (certFile === undefined && keyFile === undefined && clientCaFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined)
    throw usageError('--tls-cert and --tls-key go together, and --tls-client-ca needs both');
  return { certFile, keyFile, clientCaFile };
}

async function up(options: UpOptions): Promise<void> {
  // Only here: the other commands need nothing of the datapath, and start faster without it.
  const [{ runAppliance }, { createLog }, { parseListen }, config, { readConfigFile }] = await Promise.all([
    import('../main.js'),
    import('../log.js'),
    import('../grpc/listen.js'),
    import('../config/index.js'),
    import('../config-file.js'),
  ]);
  // Of an empty file where there is none: the defaults stand in one place.
  const file =
    options.config === undefined ? config.loadConfig('node: {}', '') : await readConfigFile(options.config);
  const settings = config.applianceSettings(file);
  const address = (what: string, text: string) => {
    try {
      return parseListen(text);
    } catch (error) {
      throw usageError(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const device = options.interface ?? settings.interface;
  if (device === undefined) {
    throw usageError(
      options.config === undefined
        ? 'missing: --interface <name>; see waggle up --help'
        : `missing: --interface <name>, or node.interface in ${options.config}`,
    );
  }
  const metrics = options.metrics ?? settings.metrics;
  const engine = options.engine ?? settings.engine ?? 'af_packet';
  const pin = options.pin ?? settings.pin;
  if (pin !== undefined && pin !== false && engine !== 'xdp') {
    throw usageError(
      `--pin: is for --engine xdp, and this one is ${engine}: its tables are memory of this process`,
    );
  }
  const { security } = settings;
  const audit = options.audit === undefined ? security.audit : { ...security.audit, file: options.audit };
  await runAppliance({
    interface: device,
    engine,
    workers: options.workers ?? settings.workers ?? Math.min(availableParallelism(), MAX_WORKERS),
    pin,
    connections: options.connections ?? file.givenLimits.connections ?? DEFAULT_CONNECTIONS,
    globalFlows: settings.globalFlows,
    sizes: settings.sizes,
    limits: settings.stateLimits,
    listen: address('--listen', options.listen ?? settings.listen ?? DEFAULT_LISTEN),
    metrics: metrics === undefined ? undefined : address('--metrics', metrics),
    state: options.state ?? settings.state,
    config: options.config === undefined ? undefined : { path: options.config, settings },
    security: {
      ...security,
      tls: tlsOf(options, security),
      accessFile: options.access ?? security.accessFile,
      isInsecureAllowed: options.insecure ?? security.isInsecureAllowed,
      audit,
    },
    log: createLog(options.logLevel ?? settings.logLevel ?? 'info', process.stderr, settings.logFormat),
  });
}

export function addUp(program: Command): void {
  program
    .command('up')
    .description(
      'run the load balancer on an interface until Ctrl-C (needs root, or the capabilities of its engine)',
    )
    .optionsGroup('What it balances:')
    .option('--config <file>', 'configuration file, followed while it runs: flags come before what it says')
    .option('--state <directory>', 'where the configuration is kept over restarts (default: in memory)')
    .optionsGroup('Packets:')
    .option('--interface <name>', 'interface that packets come in and leave by')
    .addOption(
      new Option(
        '--engine <name>',
        'where the program runs: in worker threads over packet sockets (af_packet) or AF_XDP sockets (af_xdp), or in the kernel (xdp) (default: "af_packet")',
      ).choices(['af_packet', 'af_xdp', 'xdp']),
    )
    .option(
      '--workers <n>',
      'worker threads of af_packet and af_xdp (default: one for each CPU)',
      wholeNumber(1, MAX_WORKERS),
    )
    .option(
      '--pin [directory]',
      'of xdp: forwarding goes on without this process, and the next one takes it over (default: /sys/fs/bpf/waggle/INTERFACE)',
    )
    .option(
      '--connections <n>',
      `entries of each worker's connection table (default: ${DEFAULT_CONNECTIONS})`,
      wholeNumber(1024, MAX_CONNECTIONS),
    )
    .optionsGroup('Who may manage it, and how:')
    .option(
      '--listen <address>',
      `where the API listens: HOST:PORT or unix:PATH (default: "${DEFAULT_LISTEN}")`,
    )
    .option('--tls-cert <file>', "the API's certificate, PEM; read again when it changes")
    .option('--tls-key <file>', 'its private key, PEM')
    .option('--tls-client-ca <file>', "authorities that sign clients' certificates, PEM")
    .option('--access <file>', 'who may do what, YAML: certificates and tokens with their roles')
    .option('--insecure', 'let other hosts reach an API in clear text that asks nobody who they are')
    .option('--audit <file>', 'file that every change of the configuration is noted in')
    .optionsGroup('What it tells:')
    .option('--metrics <address>', 'where Prometheus metrics are served: HOST:PORT (default: nowhere)')
    .addOption(
      new Option('--log-level <level>', 'least level that is logged (default: "info")').choices([
        'debug',
        'info',
        'warn',
        'error',
      ]),
    )
    .action((options: UpOptions) => up(options));
}
