/** The same case for IPv4 and IPv6: addresses, backends and rings by family. */
import type { Endpoints } from '../../support/packets.js';
import { CLIENT_4, CLIENT_6, OWN_4, OWN_6, type RealName, type RingName, type Vip } from './setup.js';

export const FAMILIES = [4, 6] as const;
export type Family = (typeof FAMILIES)[number];
type Backend = RealName & RingName;

interface FamilyRow {
  readonly vip: string;
  readonly client: string;
  readonly otherClient: string;
  /** An address of nobody here. */
  readonly stranger: string;
  /** A tunnel's far end, and an address of decap_dst. */
  readonly peer: string;
  readonly tunnel: string;
  readonly own: string;
  readonly real: Backend;
  readonly other: Backend;
  readonly local: Backend;
  /** Of the IP header, bytes. */
  readonly headerBytes: number;
}
export const FAMILY: Readonly<Record<Family, FamilyRow>> = {
  4: {
    vip: '198.51.100.20',
    client: CLIENT_4,
    otherClient: '203.0.113.200',
    stranger: '198.51.100.99',
    peer: '192.0.2.1',
    tunnel: '192.0.2.77',
    own: OWN_4,
    real: 'four',
    other: 'otherFour',
    local: 'localFour',
    headerBytes: 20,
  },
  6: {
    vip: '2001:db8::20',
    client: CLIENT_6,
    otherClient: '2001:db8:cafe::200',
    stranger: '2001:db8::99',
    peer: '2001:db8:77::1',
    tunnel: '2001:db8:77::2',
    own: OWN_6,
    real: 'six',
    other: 'otherSix',
    local: 'localSix',
    headerBytes: 40,
  },
};

/** A VIP of the family's address, by its port, on the family's own ring unless told otherwise. */
export const vipRow = (
  family: Family,
  protocol: Vip['protocol'],
  port: number,
  more: Partial<Pick<Vip, 'address' | 'flags' | 'ring' | 'prefixBits'>> = {},
) => ({ address: FAMILY[family].vip, port, protocol, ring: FAMILY[family].real as RingName, ...more });

/** A flow from the family's client to a VIP. */
export const flowTo = (family: Family, { address, port }: Vip, more: Partial<Endpoints> = {}): Endpoints => ({
  src: FAMILY[family].client,
  dst: address,
  sport: 40000,
  dport: port,
  ...more,
});
