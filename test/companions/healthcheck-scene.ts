/** What the cases of the health checks' programs share: addresses, marks, packets. */
import { parseIp } from '../../lb/net/address.js';
import { tcpFrame } from '../support/packets.js';

export const UNSPEC = 0xffffffff;
export const SHOT = 2;
export const REDIRECT = 7;

export const REAL_4 = '10.0.0.1';
export const REAL_6 = 'fc00::2';
export const OTHER_4 = '10.0.0.9';
export const SOURCE_4 = '10.0.13.37';
export const SOURCE_6 = 'fc00:2307::1337';
export const HOST_MAC = '02:00:00:00:00:01';
export const ROUTER_MAC = '02:00:00:00:00:fe';
export const IFINDEX = 5;
export const [MARK_4, MARK_6, MARK_UNKNOWN] = [1000, 2000, 3000];

export const ends4 = { src: '192.0.2.1', dst: '198.51.100.10', sport: 40000, dport: 80 };
export const ends6 = { src: '2001:db8::1', dst: '2001:db8::10', sport: 40000, dport: 80 };
export const web4 = tcpFrame(ends4, { tos: 0xb8 });
export const web6 = tcpFrame(ends6, { tos: 0xb8 });
export const dst4 = { address: parseIp(ends4.dst), port: 80 };

/** Statistics when nothing has come by. */
export const NOTHING = {
  processed: 0n,
  dropped: 0n,
  skipped: 0n,
  tooBig: 0n,
  destinationMatched: 0n,
  sourceMatched: 0n,
};
