import { formatMac } from '../../lb/index.js';
import type { NeighboursOptions, NextHopStatus, NextHopTurn } from '../neighbours.js';
import type { DesiredState } from '../state/model.js';
import type { EventLog } from './event-log.js';

export interface NextHopEventsOptions {
  readonly events: EventLog;
  readonly state: () => DesiredState;
}

/** Notes what becomes of the next hops towards backends, but for those that need none. */
export function noteNextHops({ events, state }: NextHopEventsOptions): Required<NeighboursOptions>['onTurn'] {
  let backends: DesiredState['backends'] | undefined;
  let namesByAddress: ReadonlyMap<string, readonly string[]> = new Map();
  return (key, turn, status) => {
    // Thousands may be lost one after the other.
    if (backends !== state().backends) {
      ({ backends } = state());
      namesByAddress = namesOf(backends);
    }
    const names = namesByAddress.get(key) ?? [];
    const [first] = names;
    // Gone meanwhile, or without a need of it: nobody misses it.
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

/** Backends that packets find by a next hop, by their address: neither of this host nor with an Ethernet address of their own. */
function namesOf(backends: DesiredState['backends']): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const { addressKey, name, mac, isLocal } of backends.values()) {
    if (mac !== undefined || isLocal) continue;
    const others = names.get(addressKey);
    if (others === undefined) names.set(addressKey, [name]);
    else others.push(name);
  }
  return names;
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
