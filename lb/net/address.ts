import { CodedError } from '../errors.js';

declare const macBrand: unique symbol;
/** A 48-bit Ethernet address, 6 bytes in the order of the wire. */
export type Mac = Uint8Array & { readonly [macBrand]: 'Mac' };

/** An IP address: 4 bytes (family 4) or 16 bytes (family 6), in the order of the wire. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

export type AddressFault =
  | { readonly code: 'ADDRESS_IP'; readonly text: string }
  | { readonly code: 'ADDRESS_MAC'; readonly text: string }
  | { readonly code: 'ADDRESS_LENGTH'; readonly bytes: number };

/** An address that is none; the message names the text. */
export class AddressError extends CodedError<AddressFault> {}

/**
 * Read an IP address.
 * IPv4 is four decimal octets without leading zeros (RFC 6943 §3.1.1, "strict"); IPv6 is any text form of
 * RFC 4291 §2.2. An IPv4-mapped IPv6 address stays IPv6. A zone or a prefix length is refused.
 * @throws AddressError ADDRESS_IP
 */
export function parseIp(text: string): IpAddress {
  const bytes = text.includes(':') ? ipv6Bytes(text) : ipv4Bytes(text);
  if (bytes === undefined) {
    throw new AddressError({ code: 'ADDRESS_IP', text }, `not an IP address: ${JSON.stringify(text)}`);
  }
  return { family: bytes.length === 4 ? 4 : 6, bytes };
}

/**
 * The address that 4 or 16 bytes in wire order hold; the bytes are copied.
 * @throws AddressError ADDRESS_LENGTH
 */
export function ipFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length !== 4 && bytes.length !== 16) {
    throw new AddressError(
      { code: 'ADDRESS_LENGTH', bytes: bytes.length },
      `an IP address has 4 or 16 bytes, not ${bytes.length}`,
    );
  }
  return { family: bytes.length === 4 ? 4 : 6, bytes: Uint8Array.from(bytes) };
}

/** Text of an address: dotted decimal, or the canonical form of RFC 5952 §4. */
export function formatIp(address: IpAddress): string {
  return address.family === 4 ? address.bytes.join('.') : formatIpv6(address.bytes);
}

/** True where family and bytes are equal. */
export function sameIp(a: IpAddress, b: IpAddress): boolean {
  return a.family === b.family && a.bytes.every((byte, i) => byte === b.bytes[i]);
}

/** IPv4 224.0.0.0/4 (RFC 5771), IPv6 ff00::/8 (RFC 4291 §2.7). */
export function isMulticast(address: IpAddress): boolean {
  const first = address.bytes[0]!;
  return address.family === 4 ? first >> 4 === 0xe : first === 0xff;
}

/** IPv4 127.0.0.0/8 (RFC 1122 §3.2.1.3), IPv6 ::1 (RFC 4291 §2.5.3). */
export function isLoopback(address: IpAddress): boolean {
  if (address.family === 4) return address.bytes[0] === 127;
  return address.bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
}

/** 0.0.0.0 or ::. */
export function isUnspecified(address: IpAddress): boolean {
  return address.bytes.every((byte) => byte === 0);
}

/** IPv6 fe80::/10 (RFC 4291 §2.5.6), IPv4 169.254.0.0/16 (RFC 3927). */
export function isLinkLocal(address: IpAddress): boolean {
  const [first, second] = [address.bytes[0]!, address.bytes[1]!];
  return address.family === 4 ? first === 169 && second === 254 : first === 0xfe && (second & 0xc0) === 0x80;
}

/**
 * Read a MAC address: six pairs of hexadecimal digits between colons or between dashes.
 * @throws AddressError ADDRESS_MAC
 */
export function parseMac(text: string): Mac {
  if (!/^[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}$/i.test(text)) {
    throw new AddressError({ code: 'ADDRESS_MAC', text }, `not a MAC address: ${JSON.stringify(text)}`);
  }
  return macFromBytes(Uint8Array.from(text.split(/[:-]/), (pair) => Number.parseInt(pair, 16)));
}

/**
 * The MAC address that 6 bytes in wire order hold; the bytes are copied.
 * @throws AddressError ADDRESS_LENGTH
 */
export function macFromBytes(bytes: Uint8Array): Mac {
  if (bytes.length !== 6) {
    throw new AddressError(
      { code: 'ADDRESS_LENGTH', bytes: bytes.length },
      `a MAC address has 6 bytes, not ${bytes.length}`,
    );
  }
  return Uint8Array.from(bytes) as Mac;
}

/** Text of a MAC address: lower case, between colons. */
export function formatMac(mac: Mac): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The four bytes of strict dotted decimal, or undefined. */
function ipv4Bytes(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  // A leading zero is refused: some readers take it for octal.
  if (!parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)) return undefined;
  return Uint8Array.from(parts, Number);
}

/** The sixteen bytes of an IPv6 text form, or undefined. */
function ipv6Bytes(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [before, after] = halves.map((half, i) => groupBytes(half, i === halves.length - 1));
  if (before === undefined) return undefined;
  if (halves.length === 1) return before.length === 16 ? Uint8Array.from(before) : undefined;
  // "::" stands for at least one group of zeros (RFC 4291 §2.2).
  if (after === undefined || before.length + after.length > 14) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(before, 0);
  bytes.set(after, 16 - after.length);
  return bytes;
}

/** Bytes of groups between colons; the last of the whole address may be an IPv4 address. */
function groupBytes(text: string, isLastHalf: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [i, group] of groups.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else if (isLastHalf && i === groups.length - 1) {
      const tail = ipv4Bytes(group);
      if (tail === undefined) return undefined;
      bytes.push(...tail);
    } else {
      return undefined;
    }
  }
  return bytes;
}

/** RFC 5952 §4: lower case, no leading zeros, "::" for the first of the longest runs of two groups or more. */
function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  let bestStart = 0;
  let bestLength = 0;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > bestLength) [bestStart, bestLength] = [start, length];
  }
  // IPv4-mapped addresses are shown with their IPv4 part (RFC 5952 §5).
  if (bestStart === 0 && bestLength === 5 && groups[5] === 0xffff)
    return `::ffff:${bytes.subarray(12).join('.')}`;
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (bestLength < 2) return text(0, 8);
  return `${text(0, bestStart)}::${text(bestStart + bestLength, 8)}`;
}
