import type { Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import type { HealthCheck__Output } from '../grpc/generated/waggle/v1/HealthCheck.js';
import type { Pool__Output } from '../grpc/generated/waggle/v1/Pool.js';
import type { Vip__Output } from '../grpc/generated/waggle/v1/Vip.js';
import { shortName } from './arguments.js';
import { msOf, spanText } from './duration.js';
import { type Column, count, enumText, percent, span, type Tone } from './format.js';

/** Address and port as one word. */
export const endpoint = ({ address, port }: { readonly address: string; readonly port: number }): string => {
  const host = address.includes(':') ? `[${address}]` : address;
  return `${host}:${port === 0 ? '*' : port}`;
};

/** Seconds until a point in time of the API. */
const secondsUntil = ({ seconds }: { readonly seconds: string }) => Number(seconds) - Date.now() / 1000;

/** Whether a backend takes connections, in a word. */
export function backendState({ adminState, weight, status }: Backend__Output): string {
  if (adminState === 'ADMIN_STATE_DISABLED') return 'disabled';
  if (adminState === 'ADMIN_STATE_DRAINING') return status?.drained ? 'drained' : 'draining';
  if (weight === 0) return 'weight 0';
  if (status?.effectiveWeight)
    return (status.weightPercent || 100) < 100 ? `slow start ${status.weightPercent}%` : 'serving';
  if (status?.health === 'HEALTH_UNHEALTHY') return status.flapping ? 'flapping' : 'unhealthy';
  return status?.health === 'HEALTH_UNKNOWN' ? 'checking' : 'no next hop';
}

/** How good a state is, by its first word. */
const STATE_TONES: Readonly<Record<string, Tone>> = {
  serving: 'good',
  active: 'good',
  ready: 'good',
  running: 'good',
  healthy: 'good',
  normal: 'good',
  slow: 'warn',
  draining: 'warn',
  drained: 'warn',
  weight: 'warn',
  checking: 'warn',
  unknown: 'warn',
  degraded: 'warn',
  last: 'warn',
  starting: 'warn',
  restarting: 'warn',
  disabled: 'dim',
  stopped: 'dim',
  not: 'bad',
  no: 'bad',
  none: 'bad',
  down: 'bad',
  unhealthy: 'bad',
  flapping: 'bad',
};

/** The colour of a state. */
export const stateTone = (state: string): Tone | undefined => STATE_TONES[state.split(' ')[0] ?? ''];

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
const healthy = (status: { healthyBackends: number; totalBackends: number } | null) =>
  status ? `${status.healthyBackends}/${status.totalBackends}` : '';

/** Flags of a VIP as flags of the command line: hash-no-src-port. */
export const flagText = (flag: string): string =>
  flag.replace('VIP_FLAG_', '').replaceAll('_', '-').toLowerCase();

/** An algorithm as the command line takes it: maglev-v2; empty where it is not said. */
export const ringText = (algorithm: string): string =>
  algorithm === 'RING_ALGORITHM_UNSPECIFIED'
    ? ''
    : algorithm.replace('RING_ALGORITHM_', '').replaceAll('_', '-').toLowerCase();

const vipState = ({ status }: Vip__Output) => enumText(status?.state ?? '', 'STATE_');
const poolMode = ({ status }: Pool__Output) =>
  status && status.mode !== 'MODE_UNSPECIFIED' ? enumText(status.mode, 'MODE_') : '';
const healthText = ({ status }: Backend__Output) =>
  status && status.health !== 'HEALTH_UNSPECIFIED' ? enumText(status.health, 'HEALTH_') : '';

export const VIP_COLUMNS: readonly Column<Vip__Output>[] = [
  { title: 'VIP', value: ({ name }) => shortName(name) },
  { title: 'ADDRESS', value: endpoint },
  { title: 'PROTOCOL', value: ({ protocol }) => enumText(protocol, 'PROTOCOL_') },
  { title: 'POOL', value: ({ pool }) => shortName(pool) },
  { title: 'STATE', value: vipState, tone: (vip) => stateTone(vipState(vip)) },
  { title: 'SERVING', value: ({ status }) => serving(status), align: 'right' },
  { title: 'HEALTHY', value: ({ status }) => healthy(status), align: 'right', wide: true },
  { title: 'FLAGS', value: ({ flags }) => flags.map(flagText).join(','), wide: true },
  { title: 'RING', value: ({ ringAlgorithm }) => ringText(ringAlgorithm), wide: true },
  { title: 'REVISION', value: ({ revision }) => revision, align: 'right', wide: true },
  { title: 'DISPLAY NAME', value: ({ displayName }) => displayName, wide: true },
];

export const POOL_COLUMNS: readonly Column<Pool__Output>[] = [
  { title: 'POOL', value: ({ name }) => shortName(name) },
  { title: 'SERVING', value: ({ status }) => serving(status), align: 'right' },
  { title: 'VIPS', value: ({ status }) => (status?.vips ?? []).map(shortName).join(', ') },
  { title: 'DISPLAY NAME', value: ({ displayName }) => displayName },
  { title: 'HEALTHY', value: ({ status }) => healthy(status), align: 'right', wide: true },
  { title: 'USES', value: poolMode, tone: (pool) => stateTone(poolMode(pool)), wide: true },
  { title: 'CHECKS', value: ({ healthChecks }) => healthChecks.map(shortName).join(', '), wide: true },
  { title: 'DRAIN', value: ({ drainTimeout }) => spanText(drainTimeout), align: 'right', wide: true },
  { title: 'SLOW START', value: ({ slowStart }) => spanText(slowStart?.window), align: 'right', wide: true },
  {
    title: 'PANIC',
    value: ({ panicThresholdPercent }) => `${panicThresholdPercent}%`,
    align: 'right',
    wide: true,
  },
  { title: 'RING', value: ({ ringAlgorithm }) => ringText(ringAlgorithm), wide: true },
  { title: 'REVISION', value: ({ revision }) => revision, align: 'right', wide: true },
];

export const BACKEND_COLUMNS: readonly Column<Backend__Output>[] = [
  { title: 'BACKEND', value: ({ name }) => shortName(name) },
  { title: 'ADDRESS', value: ({ address }) => address },
  { title: 'WEIGHT', value: ({ weight }) => String(weight ?? 1), align: 'right' },
  { title: 'STATE', value: backendState, tone: (backend) => stateTone(backendState(backend)) },
  { title: 'SHARE', value: ({ status }) => percent(status?.tableShare ?? 0), align: 'right' },
  { title: 'FLOWS', value: ({ status }) => count(status?.trackedFlows), align: 'right' },
  { title: 'NEXT HOP', value: nextHop },
  { title: 'HEALTH', value: healthText, tone: (backend) => stateTone(healthText(backend)), wide: true },
  {
    title: 'SINCE',
    value: ({ status }) => (status?.healthChangeTime ? span(-secondsUntil(status.healthChangeTime)) : ''),
    align: 'right',
    wide: true,
  },
  {
    title: 'DRAIN ENDS',
    value: ({ status }) => (status?.drainDeadline ? `in ${span(secondsUntil(status.drainDeadline))}` : ''),
    wide: true,
  },
  { title: 'REVISION', value: ({ revision }) => revision, align: 'right', wide: true },
  { title: 'LAST PROBE', value: ({ status }) => status?.healthReason ?? '', wide: true },
];

/** What a check asks, as one word after another. */
function probeText(check: HealthCheck__Output): string {
  const port = (probe: { readonly port: number }) => (probe.port === 0 ? '' : ` :${probe.port}`);
  const { tcp, http, grpc, icmp, udp } = check;
  if (tcp) return `tcp${port(tcp)}`;
  if (http) return `${http.tls ? 'https' : 'http'}${port(http)} ${http.method || 'GET'} ${http.path || '/'}`;
  if (grpc) return `grpc${grpc.tls ? ' tls' : ''}${port(grpc)}${grpc.service ? ` ${grpc.service}` : ''}`;
  if (icmp) return 'icmp';
  return udp ? `udp${port(udp)}` : '';
}

const orDefault = (text: string, fallback: string) => (text === '' ? fallback : text);

/** What is not said of a check is as health_check.proto has it. */
export const CHECK_COLUMNS: readonly Column<HealthCheck__Output>[] = [
  { title: 'HEALTH CHECK', value: ({ name }) => shortName(name) },
  { title: 'PROBE', value: probeText },
  {
    title: 'PATH',
    value: ({ path }) => (path === 'PATH_UNSPECIFIED' ? 'direct' : enumText(path, 'PATH_')),
  },
  { title: 'INTERVAL', value: ({ interval }) => orDefault(spanText(interval), '5s'), align: 'right' },
  {
    title: 'TIMEOUT',
    value: ({ timeout, interval }) =>
      orDefault(spanText(timeout), (msOf(interval) ?? 5000) < 2000 ? spanText(interval) : '2s'),
    align: 'right',
  },
  { title: 'RISE', value: ({ healthyThreshold }) => String(healthyThreshold ?? 2), align: 'right' },
  { title: 'FALL', value: ({ unhealthyThreshold }) => String(unhealthyThreshold ?? 3), align: 'right' },
  { title: 'JITTER', value: ({ jitterPercent }) => `${jitterPercent ?? 10}%`, align: 'right', wide: true },
  { title: 'FAST', value: ({ fastInterval }) => spanText(fastInterval), align: 'right', wide: true },
  { title: 'REVISION', value: ({ revision }) => revision, align: 'right', wide: true },
  { title: 'DISPLAY NAME', value: ({ displayName }) => displayName, wide: true },
];
