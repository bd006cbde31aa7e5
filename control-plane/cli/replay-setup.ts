import {
  type FlowSimulator,
  PacketReplay,
  type PacketReplayOptions,
  type ReplayEngineName,
  replayObject,
  simulatorOf,
} from '../../lb/index.js';
import { readFile } from './bpf/object.js';
import { CliError, EXIT } from './faults.js';
import { loadNode, type NodeSetup } from './replay-config.js';

/** A replay that is ready for packets. */
export interface ReplaySetup {
  readonly replay: PacketReplay;
  /** What the program's clock shows at the first packet, ns; undefined: the packet's own time. */
  readonly clockStartNs: bigint | undefined;
}

export interface ReplaySource {
  readonly config?: string;
  readonly program?: string;
  readonly section?: string;
  readonly engine: ReplayEngineName;
  /** A line or an object for each packet is wanted, or the packets' comments. */
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly out?: string;
}

/** A fault of a file, with its name in front. */
function named(path: string, error: unknown): CliError {
  const why = error instanceof Error ? error.message : String(error);
  return new CliError(EXIT.refused, `${path}: ${why}`);
}

/** The object file; undefined: the balancer that is shipped. */
function objectOf(path: string | undefined) {
  if (path === undefined) return replayObject();
  const bytes = readFile(path);
  try {
    return replayObject(bytes);
  } catch (error) {
    throw named(path, error);
  }
}

/** What a configuration asks of a replay; nothing without one. */
function optionsOf(node: NodeSetup | undefined): Partial<PacketReplayOptions> {
  if (node === undefined) return {};
  const { options, sizes, workers, connections, globalFlows, companion } = node;
  return { options, sizes, workers, connections, globalFlows, companion };
}

/**
 * Object and configuration put together. The object's maps decide what of the configuration is for it: the balancer's
 * tables, or the sections of its companions; any other program runs as it is.
 * @throws CliError
 */
export function openReplay(source: ReplaySource): ReplaySetup {
  const { config, program, section, engine } = source;
  const node = config === undefined ? undefined : loadNode(config);
  const object = objectOf(program);
  const explain = source.json === true || source.quiet !== true || source.out?.endsWith('.pcapng') === true;
  let replay: PacketReplay;
  try {
    replay = new PacketReplay({
      engine,
      object,
      explain,
      ...optionsOf(node),
      ...(section === undefined ? {} : { section }),
    });
  } catch (error) {
    throw program === undefined ? error : named(program, error);
  }
  try {
    node?.configure(replay);
  } catch (error) {
    replay.close();
    throw error;
  }
  return { replay, clockStartNs: node?.clockStartNs };
}

/** A balancer of a configuration file, to be asked. @throws CliError */
export function openSimulator(config: string): FlowSimulator {
  const node = loadNode(config);
  const simulated = { ...node.options, simulate: true };
  const replay = new PacketReplay({ engine: 'jit', ...optionsOf(node), options: simulated });
  node.configure(replay);
  return simulatorOf(replay);
}
