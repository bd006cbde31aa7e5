import { readFileSync } from 'node:fs';
import type { BalancerOptions, CompanionConfig, MapSizes, PacketReplay } from '../../lb/index.js';
import {
  ConfigError,
  configure,
  formatFault,
  loadConfig,
  type NodeConfig,
  optionsOf,
  sizesOf,
} from '../config/index.js';
import { CliError, EXIT } from './faults.js';

/** What a configuration file asks of a replay. */
export interface NodeSetup {
  readonly options: BalancerOptions;
  readonly sizes: MapSizes;
  readonly workers: number;
  /** Entries of each worker's connection table, and of its table of flows from outside. */
  readonly connections: number;
  readonly globalFlows: number;
  /** Sections for the balancer's companions. */
  readonly companion: CompanionConfig;
  /** What the program's clock shows at the first packet, ns; undefined: the packet's own time. */
  readonly clockStartNs: bigint | undefined;
  /** Write everything into the tables of a balancer; nothing where the replay is of another program. */
  configure(replay: PacketReplay): void;
}

/** What stands for a file that is standard input. */
const STDIN = '-';

/**
 * @param path of the file; "-" is standard input
 * @throws CliError with the last fault of a file that cannot be used; the others are told before, a line each
 */
export function readNode(path: string): NodeConfig {
  let text: string;
  try {
    text = readFileSync(path === STDIN ? 0 : path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CliError(EXIT.refused, `${path}: cannot be read (${code})`);
  }
  try {
    return loadConfig(text, path);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const lines = error.faults.map((fault) => formatFault(path, fault));
    for (const line of lines.slice(0, -1)) console.error(`Error: ${line}`);
    throw new CliError(EXIT.refused, lines.at(-1) ?? error.message);
  }
}

const companionOf = ({ healthcheck, decap }: NodeConfig & CompanionConfig): CompanionConfig => ({
  healthcheck,
  decap,
});

/** Read a configuration file. @throws CliError */
export function loadNode(path: string): NodeSetup {
  const config = readNode(path);
  const { workers, limits, clockStartNs } = config;
  return {
    options: optionsOf(config),
    sizes: sizesOf(config),
    workers,
    connections: limits.connections,
    globalFlows: limits.globalFlows,
    companion: companionOf(config),
    clockStartNs: clockStartNs === undefined ? undefined : BigInt(clockStartNs),
    configure: ({ tables, names }) => {
      if (tables === undefined) return;
      const { vip } = configure(config, tables);
      names.learn((number) => vip(number)?.key);
    },
  };
}
