/** Shorthand for what most cases expect: a packet that went to a backend with an outer header. */

import { type Endpoints, isIpv6, mac } from '../../support/packets.js';
import { encapsulated, gueEncapsulated } from '../../support/packets-encap.js';
import { type Balanced, balanced, type Expected, hasSyn } from '../suite.js';
import { OWN_4, OWN_6, REALS, type RealName, ROUTER_MAC } from './setup.js';

/** Client and port as they go into the outer header. */
type Entropy = Pick<Endpoints, 'src' | 'sport'>;

/** The frame in IP in IP. */
export const inIp = (
  frame: Uint8Array,
  real: RealName,
  { src, sport }: Entropy,
  hop = ROUTER_MAC,
): Uint8Array => encapsulated(frame, { real: REALS[real].address, nextHop: mac(hop), client: src, sport });

/** The frame in GUE. */
export function inGue(frame: Uint8Array, real: RealName, { src, sport }: Entropy, port = 6080): Uint8Array {
  const { address } = REALS[real];
  const own = isIpv6(address) ? OWN_6 : OWN_4;
  return gueEncapsulated(frame, { real: address, nextHop: mac(ROUTER_MAC), client: src, sport, own, port });
}

type Sent = Omit<Balanced, 'after' | 'syn'> & {
  /** Client and port in the outer header, where they are not the packet's own. */
  readonly outer?: Entropy;
};
/** What is to be seen of TCP or UDP that goes to a backend in IP in IP. */
export function sent(frame: Uint8Array, ends: Endpoints, { outer = ends, ...given }: Sent): Expected {
  const syn = given.vip.protocol === 'tcp' && hasSyn(frame);
  return balanced(frame, { after: inIp(frame, given.real, outer), syn, ...given });
}
