import type { Command } from 'commander';
import { isForPeople, type Output, structured } from './format.js';
import { requiredOption } from './required.js';

interface DownOptions {
  readonly output: Output;
  readonly interface: string;
  readonly pin?: string;
}

async function down({ output, interface: device, pin }: DownOptions): Promise<void> {
  // Only here: the other commands need nothing of the kernel.
  const { defaultPinDirectory, unpinDatapath } = await import('../../lb/index.js');
  const directory = pin ?? defaultPinDirectory(device);
  const { wasAttached, removed } = unpinDatapath(directory);
  const text = wasAttached
    ? `the program is off ${device}: its packets go to the host; ${directory} is removed`
    : `no program was on ${device}; ${directory} is removed`;
  console.log(isForPeople(output) ? text : structured({ directory, wasAttached, removed }, output));
}

export function addDown(program: Command): void {
  const command = program.command('down');
  command
    .description(
      'take a pinned program off an interface that "waggle up --pin" left on it: its packets go to the host (needs root, or CAP_BPF and CAP_NET_ADMIN)',
    )
    .addOption(requiredOption('--interface <interface>', 'the interface'))
    .option('--pin <directory>', 'where it is pinned, if not in the usual folder of the interface')
    .action(() => down(command.optsWithGlobals<DownOptions>()));
}
