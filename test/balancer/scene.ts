/** What the packet cases have configured: a few VIPs, two backends, one of each family. */
import { RING_SIZE } from '../../lb/balancer/schema.js';
import type { VipKey, VipProtocol } from '../../lb/balancer/tables.js';
import { parseIp, parseMac } from '../../lb/net/address.js';
import type { BalancerBed } from '../support/balancer.js';
import { mac } from '../support/packets.js';
import { encapsulated } from '../support/packets-encap.js';

export const ROUTER_MAC = '00:00:de:ad:be:af';
export const REAL_4 = '10.0.0.1';
export const REAL_6 = 'fc00::2';
export const CLIENT_4 = '203.0.113.77';
export const CLIENT_6 = '2001:db8:cafe::1234:5678';

/** A ring in which one backend has every slot. */
export const ringOf = (index: number): Uint32Array => new Uint32Array(RING_SIZE).fill(index);

export const vipOf = (address: string, port: number, protocol: VipProtocol): VipKey => ({
  address: parseIp(address),
  port,
  protocol,
});

/** VIPs by what they are for; the number of a VIP is that of its ring but where said otherwise. */
export const VIPS = {
  web4: { key: vipOf('198.51.100.10', 80, 'tcp'), number: 0 },
  dns4: { key: vipOf('198.51.100.10', 53, 'udp'), number: 1 },
  web6: { key: vipOf('2001:db8::10', 80, 'tcp'), number: 2 },
  dns6: { key: vipOf('2001:db8::10', 53, 'udp'), number: 3 },
  /** IPv4, backend IPv6. */
  web46: { key: vipOf('198.51.100.11', 80, 'tcp'), number: 4 },
  /** IPv6, backend IPv4: nothing that can be done. */
  web64: { key: vipOf('2001:db8::11', 80, 'tcp'), number: 5 },
  /** The ring has no backend. */
  empty: { key: vipOf('198.51.100.13', 80, 'tcp'), number: 6 },
  /** The ring names a backend that has no row. */
  ghost: { key: vipOf('198.51.100.14', 80, 'tcp'), number: 7 },
} as const;

/** Configure a fresh bed. */
export function arrange({ tables }: Pick<BalancerBed, 'tables'>): void {
  tables.setRouterMac(parseMac(ROUTER_MAC));
  tables.putReal(1, parseIp(REAL_4));
  tables.putReal(2, parseIp(REAL_6));
  tables.putRing(0, ringOf(1));
  tables.putRing(2, ringOf(2));
  tables.putRing(7, ringOf(99));
  for (const { key, number } of Object.values(VIPS)) tables.putVip(key, { flags: 0, number });
  tables.putVipRing(VIPS.dns4.number, 0);
  tables.putVipRing(VIPS.dns6.number, 2);
  tables.putVipRing(VIPS.web46.number, 2);
  tables.putVipRing(VIPS.web64.number, 0);
}

/** The frame that goes out for one that came in, through the router. */
export const out = (
  frame: Uint8Array,
  real: string,
  client: string,
  sport: number,
  nextHop = ROUTER_MAC,
): Uint8Array => encapsulated(frame, { real, client, sport, nextHop: mac(nextHop) });
