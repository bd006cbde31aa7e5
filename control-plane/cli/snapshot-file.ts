import { configText, desiredState, saysNode } from '../config/index.js';
import { snapshotFromProto, snapshotToProto } from '../grpc/convert-snapshot.js';
import type { ConfigSnapshot, ConfigSnapshot__Output } from '../grpc/generated/waggle/v1/ConfigSnapshot.js';
import { applyChange } from '../state/changes.js';
import { DEFAULT_LIMITS, type StateLimits } from '../state/limits.js';
import { type DesiredState, EMPTY_STATE } from '../state/model.js';
import { readNode } from './replay-config.js';

/**
 * What a configuration file declares, as the API takes it.
 * @param path of the file; "-" is standard input
 * @param prune what the file lacks is to go: also what the node has of its own, which else stays where the file says nothing of it
 * @throws CliError with the last fault of the file; the others are told before, a line each
 */
export function readSnapshot(path: string, prune: boolean): ConfigSnapshot {
  const config = readNode(path);
  const { node, ...snapshot } = snapshotToProto(desiredState(config));
  // Of the file, which has none: the server would compare it with its own.
  return { ...snapshot, etag: '', ...(node && (prune || saysNode(config)) && { node }) };
}

/** The server has room for what it has: nothing is to be refused for its number here. */
const NO_LIMITS: StateLimits = {
  ...DEFAULT_LIMITS,
  ...Object.fromEntries(Object.keys(DEFAULT_LIMITS).map((key) => [key, Number.POSITIVE_INFINITY])),
};

/** A configuration as the state that it declares. */
function stateOf(snapshot: ConfigSnapshot__Output): DesiredState {
  const change = { kind: 'apply', target: snapshotFromProto(snapshot), prune: true } as const;
  const stamp = { revision: Number(snapshot.revision), timeMs: 0, etag: snapshot.etag };
  return applyChange(EMPTY_STATE, change, stamp, NO_LIMITS);
}

/** A configuration as a file that `readSnapshot` reads. */
export const snapshotText = (snapshot: ConfigSnapshot__Output): string => configText(stateOf(snapshot));
