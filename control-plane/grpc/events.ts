import { fieldError } from '../state/faults.js';
import { type EventLog, type EventRecord, isTypeOrBeginning } from '../watch/event-log.js';
import { EVENT_TYPE_NAMES } from '../watch/event-types.js';
import { sequenceUnknown } from '../watch/faults.js';
import { Wake } from '../watch/wake.js';
import type { Surroundings } from './conduct.js';
import { timestampOf } from './convert-values.js';
import type { Event } from './generated/waggle/v1/Event.js';
import type { StatsServiceHandlers } from './generated/waggle/v1/StatsService.js';
import { serverStream } from './stream.js';

/** Events that are looked for at once. */
const PAGE = 256;
/** Names in a request, at most. */
const MAX_NAMES = 1000;

function toProto({ sequence, timeMs, type, resource, message, actor, attributes }: EventRecord): Event {
  return {
    sequence: String(sequence),
    time: timestampOf(timeMs),
    type,
    resource,
    message,
    actor,
    attributes: { ...attributes },
  };
}

/** @throws StateError STATE_FIELDS */
function checkTypes(types: readonly string[]): void {
  for (const [i, text] of types.entries()) {
    if (EVENT_TYPE_NAMES.some((type) => isTypeOrBeginning(text, type))) continue;
    throw fieldError(
      `types[${i}]`,
      `"${text}" is neither a type of events nor a beginning of one that ends with a dot: ${EVENT_TYPE_NAMES.join(', ')}`,
    );
  }
}

/** WatchEvents of waggle.v1.StatsService. */
export function eventHandlers(
  events: EventLog,
  around: Surroundings,
): Pick<StatsServiceHandlers, 'WatchEvents'> {
  return {
    WatchEvents: serverStream(around, 'WatchEvents', async (request, stream) => {
      checkTypes(request.types);
      const { resources, afterSequence } = request;
      // Each event is held against all of them.
      const types = [...new Set(request.types)];
      if (resources.length > MAX_NAMES)
        throw fieldError('resources', `${resources.length} names are more than ${MAX_NAMES}`);
      const after = afterSequence === undefined ? events.last : Number(afterSequence);
      if (after > events.last) throw sequenceUnknown(after, events.last);
      const wake = new Wake();
      const end = events.subscribe({ types, resources }, () => wake.wake());
      try {
        let sequence = after;
        let missed = 0;
        while (!stream.signal.aborted) {
          const page = events.after(sequence, { types, resources }, PAGE);
          ({ sequence } = page);
          missed += page.missed;
          for (const event of page.events) {
            await stream.write({ ...toProto(event), missed: String(missed) });
            missed = 0;
          }
          if (sequence === events.last) await wake.wait(Number.POSITIVE_INFINITY, stream.signal);
        }
      } finally {
        end();
      }
    }),
  };
}
