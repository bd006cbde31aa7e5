import type { DesiredState } from '../state/model.js';
import { Wake } from '../watch/wake.js';
import type { Surroundings } from './conduct.js';
import type { ApiContext } from './context.js';
import type { ConfigServiceHandlers } from './generated/waggle/v1/ConfigService.js';
import type { ConfigSnapshot } from './generated/waggle/v1/ConfigSnapshot.js';
import { serverStream } from './stream.js';
import { heartbeatMs } from './watch-request.js';

/** WatchSnapshot of waggle.v1.ConfigService: a client that reads slowly gets the newest, and not what was before. */
export function watchSnapshotHandlers(
  { reconciler: { store } }: ApiContext,
  around: Surroundings,
  snapshotToProto: (state: DesiredState) => ConfigSnapshot,
): Pick<ConfigServiceHandlers, 'WatchSnapshot'> {
  return {
    WatchSnapshot: serverStream(around, 'WatchSnapshot', async ({ heartbeatInterval }, stream) => {
      const everyMs = heartbeatMs(heartbeatInterval);
      const wake = new Wake();
      const end = store.onCommit(() => wake.wake());
      try {
        let sent: DesiredState | undefined;
        while (!stream.signal.aborted) {
          const { state } = store;
          const revision = String(state.revision);
          if (state === sent) await stream.write({ type: 'EVENT_TYPE_HEARTBEAT', revision });
          else {
            const snapshot = snapshotToProto(state);
            await stream.write({ type: 'EVENT_TYPE_MODIFIED', snapshot, revision });
          }
          sent = state;
          await wake.wait(everyMs, stream.signal);
        }
      } finally {
        end();
      }
    }),
  };
}
