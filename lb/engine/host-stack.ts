import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { CodedError } from '../errors.js';
import { formatIp, type IpAddress, parseIp } from '../net/address.js';
import { isLocalAddress } from '../sys/netlink.js';

/** What the guard needs of a VIP; port 0 is every port. */
export interface GuardedVip {
  readonly address: IpAddress;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

export type HostStackFault =
  | { readonly code: 'HOST_VIP_IS_LOCAL'; readonly address: string; readonly device: string | undefined }
  | { readonly code: 'HOST_GUARD_MISSING'; readonly reason: string }
  | { readonly code: 'HOST_GUARD_WRITE'; readonly reason: string };

/** The host's stack and a VIP would both answer. */
export class HostStackError extends CodedError<HostStackFault> {}

/** Devices by the addresses that they have. An IPv4 address of one that is down is found by its route alone. */
function devicesByAddress(): Map<string, string> {
  const devices = new Map<string, string>();
  for (const [device, entries = []] of Object.entries(networkInterfaces()))
    for (const { address } of entries) devices.set(formatIp(parseIp(address.replace(/%.*$/, ''))), device);
  return devices;
}

/** The device with an IPv6 address, up or not: while it is down its addresses have no route to be found by. */
function ipv6Device({ bytes }: IpAddress): string | undefined {
  try {
    // A line an address: 32 digits, then number, prefix length, scope, flags and name of the device.
    const lines = readFileSync('/proc/net/if_inet6', 'utf8').split('\n');
    return lines.find((line) => line.startsWith(Buffer.from(bytes).toString('hex')))?.split(/\s+/)[5];
  } catch {
    // No IPv6 in this kernel.
    return undefined;
  }
}

/** True where the kernel would forward what comes in by the interface. */
function isForwarding(device: string): boolean {
  const isOn = (path: string) => {
    try {
      return readFileSync(`/proc/sys/net/${path}`, 'utf8').trim() === '1';
    } catch {
      // No such family in this kernel: nothing to forward.
      return false;
    }
  };
  return isOn(`ipv4/conf/${device}/forwarding`) || isOn(`ipv6/conf/${device}/forwarding`);
}

/** Run an nftables script, all of it or nothing; gives what nft said against it. Other work goes on meanwhile. */
function nft(script: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn('nft', ['-f', '-'], {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'ENOENT' ? 'nft is not installed (package nftables)' : error.message),
    );
    child.once('close', (status, signal) => {
      if (status === 0) resolve(undefined);
      else {
        const end = `nft ended with ${signal === null ? `status ${status}` : signal}`;
        resolve(said.split('\n').find((line) => line.length > 0) ?? end);
      }
    });
    // One that ends before it has read all says why, or with which status.
    child.stdin.on('error', () => undefined).end(script);
  });
}

/** nftables names have letters, digits and underscores; what else a device's has is written as its code. */
const tableName = (device: string) =>
  `waggle_${device.replaceAll(/[^A-Za-z0-9]/g, (other) => `_${other.charCodeAt(0).toString(16)}_`)}`;

/** The set that holds a VIP, and its element there. */
function elementOf({ address, port, protocol }: GuardedVip): { set: string; element: string } {
  const text = formatIp(address);
  if (port === 0) return { set: `any${address.family}`, element: `${text} . ${protocol}` };
  return { set: `vip${address.family}`, element: `${text} . ${protocol} . ${port}` };
}

function tableOf(name: string, device: string): string {
  const set = (kind: string, key: string) => `  set ${kind} { type ${key}; }`;
  return `
table netdev ${name}
delete table netdev ${name}
table netdev ${name} {
${set('vip4', 'ipv4_addr . inet_proto . inet_service')}
${set('vip6', 'ipv6_addr . inet_proto . inet_service')}
${set('any4', 'ipv4_addr . inet_proto')}
${set('any6', 'ipv6_addr . inet_proto')}
${set('address4', 'ipv4_addr')}
${set('address6', 'ipv6_addr')}
  chain ingress {
    type filter hook ingress device "${device}" priority -450; policy accept;
    ip daddr . meta l4proto . th dport @vip4 counter drop
    ip6 daddr . meta l4proto . th dport @vip6 counter drop
    ip daddr . meta l4proto @any4 counter drop
    ip6 daddr . meta l4proto @any6 counter drop
    ip frag-off & 0x1fff != 0 ip daddr @address4 counter drop
    exthdr frag exists ip6 daddr @address6 counter drop
  }
}
`;
}

/**
 * Keeps the host's stack from answering or forwarding VIP traffic: a tap sees a frame and so does the stack. An
 * nftables table of its own drops VIP destinations at the ingress of the interface, behind the taps.
 */
export class HostStackGuard {
  readonly #device: string;
  readonly #table: string;
  /** Why there is no table; VIPs are then not guarded, which is harmless where nothing is forwarded. */
  readonly missing: string | undefined;
  /** Elements for each address: what is left of a fragmented packet has no port to tell its VIP by. */
  readonly #elementsOn = new Map<string, ReadonlySet<string>>();
  #isClosed = false;

  private constructor(device: string, table: string, missing: string | undefined) {
    this.#device = device;
    this.#table = table;
    this.missing = missing;
  }

  /**
   * Install the table, in the place of one that a dead process left.
   * @throws HostStackError HOST_GUARD_MISSING where it cannot be installed and the interface forwards
   */
  static async install(device: string): Promise<HostStackGuard> {
    const table = tableName(device);
    const missing = await nft(tableOf(table, device));
    if (missing !== undefined && isForwarding(device)) {
      throw new HostStackError(
        { code: 'HOST_GUARD_MISSING', reason: missing },
        `the host forwards what comes in by ${device}, and VIP traffic cannot be kept from that: ${missing}; install nftables or turn forwarding off`,
      );
    }
    return new HostStackGuard(device, table, missing);
  }

  /**
   * Drop the traffic of VIPs on its way to the host's stack: of all of them, or of none. One change at a time.
   * @throws HostStackError HOST_VIP_IS_LOCAL, HOST_GUARD_WRITE
   */
  async protect(vips: readonly GuardedVip[]): Promise<void> {
    const devices = devicesByAddress();
    for (const { address } of vips) {
      const text = formatIp(address);
      const device = devices.get(text) ?? (address.family === 6 ? ipv6Device(address) : undefined);
      if (device === undefined && !isLocalAddress(address)) continue;
      const where = device === undefined ? 'by a route of type local' : `on ${device}`;
      throw new HostStackError(
        { code: 'HOST_VIP_IS_LOCAL', address: text, device },
        `${text} is an address of this host (${where}): the host would answer for the VIP; remove it there, or choose another`,
      );
    }
    await this.#change('add', vips);
  }

  /** Let the host's stack see the traffic of former VIPs. */
  async unprotect(vips: readonly GuardedVip[]): Promise<void> {
    await this.#change('delete', vips);
  }

  /** Remove the table. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed || this.missing !== undefined) return;
    this.#isClosed = true;
    await nft(`delete table netdev ${this.#table}`);
  }

  async #change(verb: 'add' | 'delete', vips: readonly GuardedVip[]): Promise<void> {
    if (this.missing !== undefined || vips.length === 0) return;
    const changed = new Map<string, ReadonlySet<string>>();
    const lines: string[] = [];
    const elementLine = (set: string, element: string) =>
      lines.push(`${verb} element netdev ${this.#table} ${set} { ${element} }`);
    for (const vip of vips) {
      const { set, element } = elementOf(vip);
      const address = formatIp(vip.address);
      const before = changed.get(address) ?? this.#elementsOn.get(address) ?? new Set();
      const after = new Set(before);
      if (verb === 'add') after.add(element);
      else after.delete(element);
      elementLine(set, element);
      if ((before.size === 0) !== (after.size === 0)) elementLine(`address${vip.address.family}`, address);
      changed.set(address, after);
    }
    // One script is one transaction of nftables.
    const reason = await nft(lines.join('\n'));
    if (reason !== undefined) {
      const what = vips.length === 1 ? elementOf(vips[0]!).element : `${vips.length} VIPs`;
      throw new HostStackError(
        { code: 'HOST_GUARD_WRITE', reason },
        `nftables on ${this.#device} refused to ${verb} ${what}: ${reason}`,
      );
    }
    for (const [address, elements] of changed) {
      if (elements.size > 0) this.#elementsOn.set(address, elements);
      else this.#elementsOn.delete(address);
    }
  }
}
