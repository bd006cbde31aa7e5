/** What can happen, by the names that the API gives it. */
export const EVENT_TYPES = {
  'config.changed': 'The configuration has a new revision.',
  'config.rejected': 'The configuration file could not be applied.',
  'backend.health_changed': 'The health checks of a backend changed their mind.',
  'backend.drained': 'A draining backend has no entry in the connection tables left.',
  'backend.drain_ended': 'A drain is over: its deadline passed, or it was taken back.',
  'backend.next_hop_changed': 'The next hop towards a backend is lost, found again, or has another address.',
  'pool.mode_changed':
    'Other backends of a pool than before take new connections: few are healthy, or enough again.',
  'node.log_level_changed': 'The log says more or less than before.',
  'worker.restarted': 'A worker thread died, and another takes its place.',
  'worker.state_changed': 'A worker thread stopped, or balances packets again.',
  'state.fault': 'The state directory could not be written: a change was refused.',
  'state.damaged': 'Part of the state directory could not be read: what was good is used.',
  'packet.dropped': 'The balancer dropped a packet (a sample of them).',
  'packet.tcp_miss': 'A TCP packet in the midst of a connection that no table knows.',
  'packet.too_big': 'A packet that does not fit the path with its outer header.',
  'packet.unknown_server': 'A packet with a server id that is mapped to no backend.',
} as const satisfies Readonly<Record<string, string>>;

export type EventType = keyof typeof EVENT_TYPES;
export const EVENT_TYPE_NAMES = Object.keys(EVENT_TYPES) as readonly EventType[];
