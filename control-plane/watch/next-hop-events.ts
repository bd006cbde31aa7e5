import { formatMac } from '../../lb/index.js';
import type { NeighboursOptions, NextHopStatus, NextHopTurn } from '../neighbours.js';
import type { DesiredState } from '../state/model.js';
import type { EventLog } from './event-log.js';

export interface NextHopEventsOptions {
  readonly events: EventLog;
  readonly state: () => DesiredState;
}

/** Notes what becomes of the next hops towards backends. */
export function noteNextHops({ events, state }: NextHopEventsOptions): Required<NeighboursOptions>['onTurn'] {
  return (key, turn, status) => {
    const names = [...state().backends.values()]
      .filter(({ addressKey }) => addressKey === key)
      .map(({ name }) => name);
    const [first] = names;
    // Gone meanwhile: nobody misses it.
    if (first === undefined) return;
    events.emit({
      type: 'backend.next_hop_changed',
      resource: names.length === 1 ? first : '',
      also: names.length === 1 ? [] : names,
      message: sentence(names, turn, status),
      attributes: {
        turn,
        ...(status.mac && { mac: formatMac(status.mac) }),
        ...(status.reason !== '' && { reason: status.reason }),
      },
    });
  };
}

function sentence(
  names: readonly string[],
  turn: NextHopTurn,
  { state, mac, reason }: NextHopStatus,
): string {
  const [first = ''] = names;
  const whose = names.length === 1 ? first : `${first} and ${names.length - 1} more`;
  const to = mac === undefined ? 'none' : formatMac(mac);
  if (turn === 'found-again') return `the next hop of ${whose} answers again: ${to}`;
  if (turn === 'moved') return `the next hop of ${whose} has moved: ${to}`;
  const why = state === 'unreachable' ? `cannot be reached: ${reason}` : 'no longer answers';
  return `the next hop of ${whose} ${why}; ${mac === undefined ? 'it takes no connections' : `packets still go to ${to}`}`;
}
