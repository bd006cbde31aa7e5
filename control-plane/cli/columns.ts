import type { Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import type { Pool__Output } from '../grpc/generated/waggle/v1/Pool.js';
import type { Vip__Output } from '../grpc/generated/waggle/v1/Vip.js';
import { shortName } from './arguments.js';
import { type Column, count, enumText, percent } from './format.js';

/** Address and port as one word. */
export const endpoint = ({ address, port }: Vip__Output): string => {
  const host = address.includes(':') ? `[${address}]` : address;
  return `${host}:${port === 0 ? '*' : port}`;
};

/** Whether a backend takes connections, in a word. */
export function backendState({ adminState, weight, status }: Backend__Output): string {
  if (adminState === 'ADMIN_STATE_DRAINING') return status?.drained ? 'drained' : 'draining';
  if (weight === 0) return 'weight 0';
  return status?.effectiveWeight ? 'serving' : 'no next hop';
}

/** Where packets for a backend leave to, or why there is no such place. */
function nextHop({ status }: Backend__Output): string {
  const hop = status?.nextHop;
  if (!hop) return '';
  const state = enumText(hop.state, 'STATE_');
  if (hop.state === 'STATE_RESOLVED') return hop.macAddress;
  return [hop.macAddress, hop.reason ? `${state}: ${hop.reason}` : state].filter(Boolean).join(' ');
}

const serving = (status: { servingBackends: number; totalBackends: number } | null) =>
  status ? `${status.servingBackends}/${status.totalBackends}` : '';

export const VIP_COLUMNS: readonly Column<Vip__Output>[] = [
  { title: 'VIP', value: ({ name }) => shortName(name) },
  { title: 'ADDRESS', value: endpoint },
  { title: 'PROTOCOL', value: ({ protocol }) => enumText(protocol, 'PROTOCOL_') },
  { title: 'POOL', value: ({ pool }) => shortName(pool) },
  { title: 'STATE', value: ({ status }) => enumText(status?.state ?? '', 'STATE_') },
  { title: 'SERVING', value: ({ status }) => serving(status), align: 'right' },
];

export const POOL_COLUMNS: readonly Column<Pool__Output>[] = [
  { title: 'POOL', value: ({ name }) => shortName(name) },
  { title: 'SERVING', value: ({ status }) => serving(status), align: 'right' },
  { title: 'VIPS', value: ({ status }) => (status?.vips ?? []).map(shortName).join(', ') },
  { title: 'DISPLAY NAME', value: ({ displayName }) => displayName },
];

export const BACKEND_COLUMNS: readonly Column<Backend__Output>[] = [
  { title: 'BACKEND', value: ({ name }) => shortName(name) },
  { title: 'ADDRESS', value: ({ address }) => address },
  { title: 'WEIGHT', value: ({ weight }) => String(weight ?? 1), align: 'right' },
  { title: 'STATE', value: backendState },
  { title: 'SHARE', value: ({ status }) => percent(status?.tableShare ?? 0), align: 'right' },
  { title: 'FLOWS', value: ({ status }) => count(status?.trackedFlows), align: 'right' },
  { title: 'NEXT HOP', value: nextHop },
];
