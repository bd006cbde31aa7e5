/**
 * A process that runs the datapath in the kernel, pinned: options as JSON in its argument. It says `ready` and its datapath's
 * mode, and ends at the end of its input; whoever kills it sees what is left.
 */
import { KernelDatapath } from '../../dist/lb/index.js';

const datapath = await KernelDatapath.start({ ...JSON.parse(process.argv[2]), log: () => undefined });
process.stdout.write(`ready ${datapath.adopted === undefined ? 'fresh' : 'adopted'}\n`);
for await (const _ of process.stdin);
await datapath.stop();
