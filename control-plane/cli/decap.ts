import { type Command, Option } from 'commander';
import { usageError } from './faults.js';
import { requiredOption } from './required.js';

interface DecapOptions {
  readonly interface: string;
  readonly address: readonly string[];
  readonly mode: 'auto' | 'native' | 'generic';
  readonly guePort: string;
  readonly serverId?: string;
}

/** A whole number of an option. @throws CliError */
function numberOf(option: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw usageError(`${option}: "${text}" is not a whole number from ${least} to ${most}`);
}

async function decap(options: DecapOptions): Promise<void> {
  // Only here: the other commands need nothing of the kernel.
  const { attachDecap, formatIp, parseIp } = await import('../../lb/index.js');
  const addresses = options.address.map((text) => {
    try {
      return parseIp(text);
    } catch {
      throw usageError(`--address: "${text}" is not an IPv4 or IPv6 address`);
    }
  });
  const guePort = numberOf('--gue-port', options.guePort, 0, 65535);
  const serverId =
    options.serverId === undefined
      ? {}
      : { serverId: numberOf('--server-id', options.serverId, 1, 0xffffffff) };
  const attached = attachDecap({
    interface: options.interface,
    addresses,
    mode: options.mode,
    guePort,
    ...serverId,
  });
  console.log(
    `taking outer headers off on ${options.interface} (XDP, ${attached.mode}) for ${addresses.map(formatIp).join(', ')}; Ctrl-C ends it`,
  );
  try {
    // A signal alone keeps no process alive.
    const alive = setInterval(() => undefined, 0x7fffffff);
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    });
    clearInterval(alive);
    const { ipv4, ipv6, drops, serverIdChecked, serverIdMisrouted } = attached.counters();
    console.log(`took off ${ipv4} IPv4 and ${ipv6} IPv6 headers`);
    const dropped = drops.fragment + drops.ip_options;
    if (dropped > 0n)
      console.log(`dropped ${drops.fragment} fragments and ${drops.ip_options} with IP options`);
    if (options.serverId !== undefined)
      console.log(`of ${serverIdChecked} packets with a server id, ${serverIdMisrouted} had another host's`);
  } finally {
    attached.close();
  }
}

export function addDecap(program: Command): void {
  program
    .command('decap')
    .description(
      "on a backend: take the load balancer's outer headers off, until Ctrl-C (needs root, or CAP_BPF and CAP_NET_ADMIN)",
    )
    .addOption(requiredOption('--interface <name>', 'interface that packets come in by'))
    .addOption(
      requiredOption('--address <ip>', 'tunnel address of this host; may be given several times').argParser(
        (text: string, before?: string[]) => [...(before ?? []), text],
      ),
    )
    .addOption(
      new Option('--mode <mode>', 'how XDP is attached; auto: native where the driver has it')
        .choices(['auto', 'native', 'generic'])
        .default('auto'),
    )
    .addOption(new Option('--gue-port <port>', 'UDP port of GUE; 0: IP in IP alone').default('6080'))
    .option('--server-id <id>', "this host's id in the TCP option: count packets with another host's")
    .action((options: DecapOptions) => decap(options));
}
