import { formatIp, type IpAddress, ipFromBytes, type Mac, macFromBytes } from '../net/address.js';
import { errnoName } from './errno.js';
import { checked, libc } from './libc.js';

const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;

// linux/rtnetlink.h, linux/neighbour.h
const NLMSG_ERROR = 2;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const RTM_NEWNEIGH = 28;
const RTM_GETNEIGH = 30;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_CREATE = 0x400;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_VIA = 18;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NTF_USE = 1;
/** A neighbour in one of these states has a MAC address that is good to use. */
const NUD_VALID = 0x02 | 0x04 | 0x08 | 0x10 | 0x80;
const NUD_STALE = 0x04;
const NUD_FAILED = 0x20;

const HEADER_BYTES = 16;
const ROUTE_BYTES = 12;
const NEIGHBOUR_BYTES = 12;
const REPLY_BYTES = 8192;
const ETHERNET_ADDRESS_BYTES = 6;

interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

interface Reply {
  readonly type: number;
  /** After the header: the message's own struct. */
  readonly body: DataView;
  readonly attributes: (structBytes: number) => ReadonlyMap<number, Uint8Array>;
}

const align4 = (bytes: number) => (bytes + 3) & ~3;

function message(
  type: number,
  flags: number,
  struct: Uint8Array,
  attributes: readonly Attribute[],
): Uint8Array {
  const bytes =
    HEADER_BYTES + struct.length + attributes.reduce((sum, { value }) => sum + 4 + align4(value.length), 0);
  const out = new Uint8Array(bytes);
  const view = new DataView(out.buffer);
  view.setUint32(0, bytes, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags | NLM_F_REQUEST, true);
  view.setUint32(8, 1, true);
  out.set(struct, HEADER_BYTES);
  let at = HEADER_BYTES + struct.length;
  for (const { type: attribute, value } of attributes) {
    view.setUint16(at, 4 + value.length, true);
    view.setUint16(at + 2, attribute, true);
    out.set(value, at + 4);
    at += 4 + align4(value.length);
  }
  return out;
}

function attributesOf(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > bytes.length) break;
    // The top bits are flags (nested, network byte order).
    found.set(view.getUint16(at + 2, true) & 0x3fff, bytes.slice(at + 4, at + length));
    at += align4(length);
  }
  return found;
}

/** One request and its first reply; a kernel error comes back as a positive errno. */
function ask(request: Uint8Array): Reply | { readonly errno: number } {
  const fd = checked('socket AF_NETLINK', libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  try {
    checked('send to netlink', libc().send(fd, request, request.length, 0));
    const bytes = new Uint8Array(REPLY_BYTES);
    const length = checked('recv from netlink', libc().recv(fd, bytes, bytes.length, 0));
    const view = new DataView(bytes.buffer, 0, length);
    const type = view.getUint16(4, true);
    const end = Math.min(length, view.getUint32(0, true));
    if (type === NLMSG_ERROR) return { errno: -view.getInt32(HEADER_BYTES, true) };
    return {
      type,
      body: new DataView(bytes.buffer, HEADER_BYTES, end - HEADER_BYTES),
      attributes: (structBytes) => attributesOf(bytes.subarray(HEADER_BYTES + structBytes, end)),
    };
  } finally {
    libc().close(fd);
  }
}

const familyOf = (address: IpAddress) => (address.family === 4 ? AF_INET : AF_INET6);

interface Route {
  readonly ifindex: number;
  /** Whose MAC address the frame carries: the gateway, or the destination itself. */
  readonly nextHop: IpAddress;
  readonly type: number;
}

function findRoute(address: IpAddress): Route | { readonly errno: number } {
  const struct = new Uint8Array(ROUTE_BYTES);
  struct[0] = familyOf(address);
  struct[1] = address.bytes.length * 8;
  const reply = ask(message(RTM_GETROUTE, 0, struct, [{ type: RTA_DST, value: address.bytes }]));
  if ('errno' in reply) return reply;
  if (reply.type !== RTM_NEWROUTE) return { errno: 0 };
  const attributes = reply.attributes(ROUTE_BYTES);
  const oif = attributes.get(RTA_OIF);
  // RTA_VIA is a gateway of the other family: two bytes of family, then the address.
  const gateway = attributes.get(RTA_GATEWAY) ?? attributes.get(RTA_VIA)?.subarray(2);
  return {
    ifindex: oif ? new DataView(oif.buffer, oif.byteOffset).getInt32(0, true) : 0,
    nextHop: gateway ? ipFromBytes(gateway) : address,
    type: reply.body.getUint8(7),
  };
}

function neighbourStruct(address: IpAddress, ifindex: number, flags: number): Uint8Array {
  const struct = new Uint8Array(NEIGHBOUR_BYTES);
  struct[0] = familyOf(address);
  new DataView(struct.buffer).setInt32(4, ifindex, true);
  struct[10] = flags;
  return struct;
}

/** Have the kernel find out, or confirm, a neighbour's MAC address: it asks by ARP or neighbour discovery. */
function requestNeighbour(address: IpAddress, ifindex: number): number {
  const attributes = [{ type: NDA_DST, value: address.bytes }];
  const reply = ask(
    message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK, neighbourStruct(address, ifindex, NTF_USE), attributes),
  );
  return 'errno' in reply ? reply.errno : 0;
}

/**
 * Where to send a frame for an address: to this MAC address; not known yet, the kernel is asking the network, ask
 * again soon; or nowhere, and why.
 */
export type NextHop =
  | { readonly mac: Mac; readonly via: IpAddress }
  | { readonly pending: true; readonly via: IpAddress }
  | { readonly unreachable: true; readonly reason: string };

/** Whether the kernel takes packets for an address as its own: of an interface, or by a route of type local. */
export function isLocalAddress(address: IpAddress): boolean {
  const route = findRoute(address);
  return 'type' in route && route.type === RTN_LOCAL;
}

const unreachable = (reason: string): NextHop => ({ unreachable: true, reason });

/** Next hops out of an interface, by the kernel's routing and neighbour tables. */
export class NextHops {
  readonly #ifindex: number;
  /** Neighbours that did not answer when last asked: they stay unreachable while they are asked again. */
  readonly #silent = new Set<string>();

  constructor(ifindex: number) {
    this.#ifindex = ifindex;
  }

  /**
   * Where to send a frame for an address. A neighbour that is not known yet is asked for its MAC address: the answer
   * is there at a later call. A stale one is confirmed.
   * @throws SysError when netlink itself fails
   */
  find(address: IpAddress): NextHop {
    const route = findRoute(address);
    if ('errno' in route) return unreachable(`there is no route to it (${errnoName(route.errno)})`);
    if (route.type === RTN_LOCAL) return unreachable('it is an address of this host');
    if (route.type !== RTN_UNICAST) return unreachable('its route is not a unicast route');
    if (route.ifindex !== this.#ifindex) return unreachable('its route leads out of another interface');
    return this.#findNeighbour(route.nextHop);
  }

  #findNeighbour(via: IpAddress): NextHop {
    const destination = [{ type: NDA_DST, value: via.bytes }];
    const reply = ask(message(RTM_GETNEIGH, 0, neighbourStruct(via, this.#ifindex, 0), destination));
    const known = 'errno' in reply ? undefined : reply;
    const state = known ? known.body.getUint16(8, true) : 0;
    const lladdr = known?.attributes(NEIGHBOUR_BYTES).get(NDA_LLADDR);
    const isValid = (state & NUD_VALID) !== 0 && lladdr?.length === ETHERNET_ADDRESS_BYTES;
    if (!isValid || (state & NUD_STALE) !== 0) {
      const errno = requestNeighbour(via, this.#ifindex);
      if (errno !== 0 && !isValid) {
        return unreachable(`its neighbour cannot be asked for (${errnoName(errno)})`);
      }
    }
    const key = formatIp(via);
    if (isValid) {
      this.#silent.delete(key);
      return { mac: macFromBytes(lladdr), via };
    }
    if ((state & NUD_FAILED) !== 0) this.#silent.add(key);
    return this.#silent.has(key) ? unreachable('its neighbour does not answer') : { pending: true, via };
  }
}
