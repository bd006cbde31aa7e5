import { execFileSync } from 'node:child_process';

/** A device in a network namespace. */
export interface Device {
  readonly namespace: string;
  readonly device: string;
}

/** Run ip(8). @throws what it says on standard error */
export function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Run a command in a namespace, with `input` on its standard input. */
export function runIn(namespace: string, command: readonly string[], input = ''): void {
  execFileSync('ip', ['netns', 'exec', namespace, ...command], { input, stdio: ['pipe', 'ignore', 'pipe'] });
}

/** Connect two namespaces by a veth pair; both ends are down. */
export function addVethBetween(here: Device, there: Device): void {
  const peer = ['peer', 'name', there.device, 'netns', there.namespace];
  ip('-n', here.namespace, 'link', 'add', here.device, 'type', 'veth', ...peer);
}

/**
 * Have a device hand over frames as a real network does: veth hands over segments of up to 64 KiB otherwise.
 * @param checksums whether it leaves them to a NIC
 */
export function setOffloads({ namespace, device }: Device, checksums: 'on' | 'off'): void {
  const offloads = `tx ${checksums} tso off gso off gro off`.split(' ');
  runIn(namespace, ['ethtool', '-K', device, ...offloads]);
}

/** Delete namespaces and all that is in them; those that are not there are left out. */
export function deleteNamespaces(names: Iterable<string>): void {
  for (const name of names) {
    try {
      ip('netns', 'delete', name);
    } catch {
      // Not made yet, or gone already: there is nothing left to free.
    }
  }
}
