import { formatIp, type IpAddress } from '../net/address.js';
import { checkRange, TablesError } from './map-set.js';
import { encode, IP_ADDRESS, IPV6_PREFIX, VIP_DEFINITION, VIP_LPM_HEAD_BITS, VIP_LPM_KEY } from './schema.js';

/** Protocols that a VIP can have, by number (IANA). */
export const VIP_PROTOCOLS = { tcp: 6, udp: 17 } as const;
export type VipProtocol = keyof typeof VIP_PROTOCOLS;

/** What makes a VIP; port 0 is every port. */
export interface VipKey {
  readonly address: IpAddress;
  readonly port: number;
  readonly protocol: VipProtocol;
  /** IPv6: the VIP is every address of this prefix, 0 to 128; absent or 128: the one address. */
  readonly prefixBits?: number;
}

/** Whether a VIP is more than one address. */
export function isPrefixVip({ address, prefixBits }: VipKey): boolean {
  return prefixBits !== undefined && prefixBits !== 8 * address.bytes.length;
}

/** A VIP as people write it. */
export function formatVip(vip: VipKey): string {
  const { address, port, protocol, prefixBits } = vip;
  const text = isPrefixVip(vip) ? `${formatIp(address)}/${prefixBits}` : formatIp(address);
  return `${address.family === 6 ? `[${text}]` : text}:${port}/${protocol}`;
}

/** The sixteen bytes that a map has for an address. */
export const addressBytes = (address: IpAddress): Uint8Array =>
  encode(IP_ADDRESS, { address: address.bytes });

/** Key of vip_map for one address. @throws TablesError TABLES_RANGE */
export function exactVipBytes({ address, port, protocol }: VipKey): Uint8Array {
  checkRange('VIP port', port, 0, 65535);
  return encode(VIP_DEFINITION, { address: address.bytes, port, protocol: VIP_PROTOCOLS[protocol] });
}

/** Key of vip_lpm_map for a prefix. @throws TablesError TABLES_RANGE */
export function prefixVipBytes({ address, port, protocol, prefixBits = 128 }: VipKey): Uint8Array {
  checkRange('VIP port', port, 0, 65535);
  checkPrefixBits('VIP prefix', address, prefixBits);
  return encode(VIP_LPM_KEY, {
    prefix_bits: VIP_LPM_HEAD_BITS + prefixBits,
    port,
    protocol: VIP_PROTOCOLS[protocol],
    address: address.bytes,
  });
}

/** Key of vip_prefixes. @throws TablesError TABLES_RANGE */
export function prefixBytes(address: IpAddress, prefixBits: number): Uint8Array {
  checkPrefixBits('VIP prefix', address, prefixBits);
  return encode(IPV6_PREFIX, { prefix_bits: prefixBits, address: address.bytes });
}

/** Only IPv6 VIPs may be prefixes. */
function checkPrefixBits(what: string, { family }: IpAddress, bits: number): void {
  checkRange(what, bits, family === 4 ? 32 : 0, family === 4 ? 32 : 128);
}

/**
 * Key of a VIP where the program asks by the packet's own address, which a prefix cannot stand for.
 * @throws TablesError TABLES_PREFIX_VIP, TABLES_RANGE
 */
export function singleVipBytes(vip: VipKey, what: string): Uint8Array {
  if (isPrefixVip(vip)) {
    throw new TablesError(
      { code: 'TABLES_PREFIX_VIP', what },
      `${what}: the VIP ${formatVip(vip)} is a prefix, and only a VIP of one address can have them`,
    );
  }
  return exactVipBytes(vip);
}
