import {
  type IpAddress,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  type Mac,
  type Prefix,
  parseIp,
  parseMac,
  type VipProtocol,
} from '../../lb/index.js';
import { fieldError, fieldsError, notFound, type Violation } from './faults.js';
import { ID_PATTERN, ID_RULE, NAME_FORMS, type ResourceKind } from './model.js';

export const MAX_WEIGHT = 65535;
const MAX_PORT = 65535;
export const MAX_DISPLAY_NAME = 255;

/** Gathers every fault of a request, so that a user sees all of them at once. */
export class Checks {
  readonly #violations: Violation[] = [];

  fail(field: string, description: string): void {
    this.#violations.push({ field, description });
  }

  /** @throws StateError STATE_FIELDS when anything failed */
  done(): void {
    if (this.#violations.length > 0) throw fieldsError(this.#violations);
  }

  id(field: string, id: string): void {
    if (!ID_PATTERN.test(id)) this.fail(field, id === '' ? 'is required' : `"${id}" is not ${ID_RULE}`);
  }

  displayName(field: string, text: string): void {
    if (text.length > MAX_DISPLAY_NAME) {
      this.fail(field, `${text.length} characters are more than ${MAX_DISPLAY_NAME}`);
    }
    // Control characters would forge lines in logs and tables.
    if (/\p{Cc}/u.test(text)) this.fail(field, 'contains a control character');
  }

  whole(field: string, value: number, max: number): void {
    if (!Number.isInteger(value) || value < 0 || value > max)
      this.fail(field, `${value} is not in 0..${max}`);
  }

  port(field: string, value: number): void {
    this.whole(field, value, MAX_PORT);
  }

  weight(field: string, value: number): void {
    this.whole(field, value, MAX_WEIGHT);
  }

  protocol(field: string, protocol: VipProtocol | undefined): void {
    if (protocol === undefined) this.fail(field, 'is required: PROTOCOL_TCP or PROTOCOL_UDP');
  }

  /** A number that is not, to a largest and a least. */
  number(field: string, value: number, min: number, max: number): void {
    if (!Number.isFinite(value) || value < min || value > max)
      this.fail(field, `${value} is not in ${min}..${max}`);
  }

  /** A MAC address of one host; undefined where the text is empty, or is none and the fault is noted. */
  mac(field: string, text: string): Mac | undefined {
    if (text === '') return undefined;
    try {
      const mac = parseMac(text);
      if ((mac[0]! & 1) === 0) return mac;
      this.fail(field, `${text} is a multicast MAC address, not that of one host`);
    } catch {
      this.fail(field, `"${text}" is not a MAC address, as in 02:00:00:00:00:01`);
    }
    return undefined;
  }

  /** An address and a number of bits; an address alone is all of it. undefined when it is none, and the fault is noted. */
  prefix(field: string, text: string): Prefix | undefined {
    const [head = '', bitsText, ...rest] = text.split('/');
    let address: IpAddress;
    try {
      address = parseIp(head);
    } catch {
      this.fail(field, `"${text}" is not an address and a number of bits, as in 192.0.2.0/24`);
      return undefined;
    }
    const max = 8 * address.bytes.length;
    const bits = bitsText === undefined ? max : Number(bitsText);
    if (rest.length > 0 || (bitsText !== undefined && !/^\d{1,3}$/.test(bitsText)) || bits > max) {
      this.fail(field, `"${text}": the number of bits is not in 0..${max}`);
      return undefined;
    }
    const isZero = (byte: number, i: number) =>
      (byte & (0xff >> Math.min(Math.max(bits - 8 * i, 0), 8))) === 0;
    if (address.bytes.every(isZero)) return { address, bits };
    this.fail(field, `"${text}" has bits set after the first ${bits}`);
    return undefined;
  }

  /** Address of a VIP: a host's, or an IPv6 prefix. undefined when it is none, and the fault is noted. */
  vipAddress(
    field: string,
    text: string,
  ): { readonly address: IpAddress; readonly prefixBits?: number } | undefined {
    if (!text.includes('/')) {
      const address = this.hostAddress(field, text);
      return address && { address };
    }
    const prefix = this.prefix(field, text);
    if (prefix === undefined) return undefined;
    const { address, bits } = prefix;
    if (bits === 8 * address.bytes.length) return this.vipAddress(field, text.replace(/\/.*/, ''));
    if (address.family === 6) return { address, prefixBits: bits };
    this.fail(field, `${text} is an IPv4 prefix: only IPv6 VIPs can be prefixes`);
    return undefined;
  }

  name(field: string, kind: ResourceKind, name: string): void {
    const { form, pattern } = NAME_FORMS[kind];
    if (!pattern.test(name))
      this.fail(field, name === '' ? 'is required' : `"${name}" is not of the form ${form}`);
  }

  /** An address that packets can be sent to; undefined when it is none, and the fault is noted. */
  hostAddress(field: string, text: string): IpAddress | undefined {
    if (text === '') {
      this.fail(field, 'is required');
      return undefined;
    }
    let address: IpAddress;
    try {
      address = parseIp(text);
    } catch {
      this.fail(field, `"${text}" is not an IPv4 or IPv6 address`);
      return undefined;
    }
    const fault = hostAddressFault(address);
    if (fault === undefined) return address;
    this.fail(field, `${text} is ${fault}`);
    return undefined;
  }
}

/** IPv4 255.255.255.255 (RFC 919). */
const isBroadcast = ({ family, bytes }: IpAddress) => family === 4 && bytes.every((byte) => byte === 255);
/** IPv6 ::ffff:0:0/96 (RFC 4291 §2.5.5.2): never on the wire. */
const isMapped = ({ family, bytes }: IpAddress) =>
  family === 6 && bytes.subarray(0, 12).every((byte, i) => byte === (i < 10 ? 0 : 0xff));

const NOT_A_HOST: readonly { readonly what: string; readonly test: (address: IpAddress) => boolean }[] = [
  { what: 'the unspecified address, not that of a host', test: isUnspecified },
  { what: 'a multicast address, not that of a host', test: isMulticast },
  { what: 'the broadcast address, not that of a host', test: isBroadcast },
  { what: 'a loopback address, which never leaves a host', test: isLoopback },
  { what: 'a link-local address, which routers do not forward', test: isLinkLocal },
  { what: 'an IPv4-mapped address: write it as IPv4', test: isMapped },
];

/** What an address is that packets cannot be sent to; undefined for one that they can be. */
export function hostAddressFault(address: IpAddress): string | undefined {
  return NOT_A_HOST.find(({ test }) => test(address))?.what;
}

/**
 * The resource of a name, of a map of resources.
 * @throws StateError STATE_FIELDS (not a name of that kind), STATE_NOT_FOUND
 */
export function find<T>(
  resources: ReadonlyMap<string, T>,
  kind: ResourceKind,
  name: string,
  field = 'name',
): T {
  const resource = resources.get(name);
  if (resource !== undefined) return resource;
  const { form, pattern } = NAME_FORMS[kind];
  if (name === '') throw fieldError(field, 'is required');
  if (!pattern.test(name)) throw fieldError(field, `"${name}" is not of the form ${form}`);
  throw notFound(kind, name);
}
