import { XDP_PASS, XDP_TX } from '../lb/bpf/engine/context.js';
import { parseIp } from '../lb/net/address.js';
import { clientFrame, type Ends, quicShortHeader, unreachableFrame } from './frames.js';

export const VIP = parseIp('192.0.2.80');
export const VIP_6 = parseIp('2001:db8::80');
const NOT_A_VIP = parseIp('192.0.2.81');
export const PORTS = { web: 80, dns: 53, quic: 443 } as const;
export const SERVER_ID = 1022;

/** A frame that the balancer is given again and again, and what it is to do with it. */
export interface Scenario {
  readonly name: string;
  readonly frame: Uint8Array;
  /** Each run has a client of its own. */
  readonly newConnections: boolean;
  readonly verdict: number;
}

const ends = (vip: typeof VIP, vipPort: number): Ends => ({
  client: parseIp(vip.family === 4 ? '198.18.0.1' : '2001:db8:1::1'),
  clientPort: 40_000,
  vip,
  vipPort,
});
const REQUEST = new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n');
const toWeb = clientFrame(ends(VIP, PORTS.web), 'tcp', REQUEST);
const sent = (name: string, frame: Uint8Array, newConnections = false): Scenario => ({
  name,
  frame,
  newConnections,
  verdict: XDP_TX,
});

export const CONNECTION_HIT = sent('connection hit', toWeb);
export const NEW_CONNECTION = sent('new connection', toWeb, true);

export const SCENARIOS: readonly Scenario[] = [
  CONNECTION_HIT,
  NEW_CONNECTION,
  sent('UDP', clientFrame(ends(VIP, PORTS.dns), 'udp', REQUEST)),
  sent('QUIC', clientFrame(ends(VIP, PORTS.quic), 'udp', quicShortHeader(SERVER_ID))),
  sent('IPv6', clientFrame(ends(VIP_6, PORTS.web), 'tcp', REQUEST)),
  sent('ICMP error', unreachableFrame(ends(VIP, PORTS.web), parseIp('198.18.255.1'))),
  {
    name: 'not a VIP',
    frame: clientFrame(ends(NOT_A_VIP, PORTS.web), 'tcp', REQUEST),
    newConnections: false,
    verdict: XDP_PASS,
  },
];
