import { isIPv4, isIPv6 } from 'node:net';
import type { FiveTuple, FiveTuple__Output } from '../grpc/generated/waggle/v1/FiveTuple.js';
import { usageError } from './faults.js';

const bracketed = (address: string, port: number) =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`;

/** A flow as `waggle simulate` takes it: tcp 192.0.2.1:4000 -> 198.51.100.1:80. */
export function flowText(flow: FiveTuple__Output | null): string {
  if (flow === null) return '';
  const protocol = flow.protocol.replace('PROTOCOL_', '').toLowerCase();
  const source = bracketed(flow.sourceAddress, flow.sourcePort);
  return `${protocol} ${source} -> ${bracketed(flow.destinationAddress, flow.destinationPort)}`;
}

const END = String.raw`(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})`;
const FLOW = new RegExp(`^(tcp|udp)\\s+${END}\\s*->\\s*${END}$`, 'i');

/**
 * Read what `flowText` writes.
 * @throws CliError of wrong usage
 */
export function parseFlowText(text: string): FiveTuple {
  const match = FLOW.exec(text.trim());
  const fault = (why: string) =>
    usageError(
      `flow: "${text}" ${why}: tcp 192.0.2.1:4000 -> 198.51.100.1:80 is one, IPv6 addresses in brackets`,
    );
  if (!match) throw fault('is not a flow');
  const end = (six: string | undefined, four: string | undefined, port: string | undefined) => {
    const address = six ?? four ?? '';
    if (!(six === undefined ? isIPv4(address) : isIPv6(address)))
      throw fault(`has "${address}", which is no address`);
    if (Number(port) > 65535) throw fault(`has the port ${port}, which is not in 0..65535`);
    return { address, port: Number(port) };
  };
  const source = end(match[2], match[3], match[4]);
  const destination = end(match[5], match[6], match[7]);
  return {
    sourceAddress: source.address,
    sourcePort: source.port,
    destinationAddress: destination.address,
    destinationPort: destination.port,
    protocol: match[1]?.toLowerCase() === 'udp' ? 'PROTOCOL_UDP' : 'PROTOCOL_TCP',
  };
}
