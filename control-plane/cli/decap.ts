import { type Command, Option } from 'commander';
import { requiredOption } from './required.js';

interface DecapOptions {
  readonly interface: string;
  readonly address: readonly string[];
  readonly mode: 'auto' | 'native' | 'generic';
}

async function decap(options: DecapOptions): Promise<void> {
  // Only here: the other commands need nothing of the kernel.
  const [{ attachDecap, formatIp, parseIp }, { usageError }] = await Promise.all([
    import('../../lb/index.js'),
    import('./faults.js'),
  ]);
  const addresses = options.address.map((text) => {
    try {
      return parseIp(text);
    } catch {
      throw usageError(`--address: "${text}" is not an IPv4 or IPv6 address`);
    }
  });
  const attached = attachDecap({ interface: options.interface, addresses, mode: options.mode });
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
    const { ipv4, ipv6 } = attached.counters();
    console.log(`took off ${ipv4} IPv4 and ${ipv6} IPv6 headers`);
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
    .action((options: DecapOptions) => decap(options));
}
