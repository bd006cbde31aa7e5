import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stateArbitrary } from '../../test/support/random-states.js';
import { plain } from '../cli/format.js';
import { snapshotFromProto, snapshotToProto } from '../grpc/convert-snapshot.js';
import { loadApi } from '../grpc/proto.js';
import { applyChange } from '../state/changes.js';
import { DEFAULT_LIMITS } from '../state/limits.js';
import { type DesiredState, EMPTY_STATE } from '../state/model.js';
import { loadConfig } from './load.js';
import { desiredState } from './state.js';
import { configText } from './write.js';

const { responseSerialize, responseDeserialize } = loadApi().v1.ConfigService.service.GetSnapshot;
/** A configuration as a client has it from the server. */
const received = (state: DesiredState) => responseDeserialize(responseSerialize(snapshotToProto(state)));
const read = (text: string) => desiredState(loadConfig(text, 'f'));
const apply = (state: DesiredState, text: string) =>
  applyChange(
    state,
    { kind: 'apply', target: snapshotFromProto(received(read(text))), prune: true },
    { revision: state.revision + 1, timeMs: 0, etag: 'applied' },
    DEFAULT_LIMITS,
  );

/** What the API says of a state: drains have times of their own, which are observed and not declared. */
function declared(state: DesiredState): DesiredState {
  const backends = [...state.backends].map(([name, backend]) => {
    const { drainTimeoutMs } = state.pools.get(backend.pool) ?? {};
    const drain = { drainStartMs: 0, drainDeadlineMs: drainTimeoutMs, leaves: false };
    return [name, backend.drainStartMs === undefined ? backend : { ...backend, ...drain }] as const;
  });
  return { ...state, backends: new Map(backends) };
}

describe('file, message and state say the same', () => {
  it("the API's message as JSON is a file of the same state", () => {
    fc.assert(
      fc.property(stateArbitrary, (state) => {
        expect(read(JSON.stringify(plain(received(state))))).toEqual(declared(state));
      }),
      { numRuns: 60 },
    );
  });

  it('what is exported and applied is the same, and changes nothing where it is in force', () => {
    fc.assert(
      fc.property(stateArbitrary, (state) => {
        const text = configText(declared(state));
        const applied = apply(EMPTY_STATE, text);
        expect(configText(applied)).toBe(text);
        expect(apply(applied, text)).toBe(applied);
      }),
      { numRuns: 60 },
    );
  });
});
