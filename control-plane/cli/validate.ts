import type { Command } from 'commander';
import { readNode } from './replay-config.js';

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;

/** Check a file without a load balancer. @throws CliError with the last fault; the others are told before, a line each */
function validate(file: string): void {
  const { vips, pools } = readNode(file);
  const backends = pools.reduce((sum, pool) => sum + pool.backends.length, 0);
  const what = [counted(vips.length, 'VIP'), counted(pools.length, 'pool'), counted(backends, 'backend')];
  console.log(`${file}: valid (${what.join(', ')})`);
}

export function addValidate(program: Command): void {
  program
    .command('validate')
    .description('check a configuration file: every fault is told, with its line and column')
    .argument('<file>', 'YAML file; - for standard input')
    .action(validate);
}
