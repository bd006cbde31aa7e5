// npm run demo [-- --keep] [--seconds N] [--capture]
import { Command, InvalidArgumentError } from 'commander';
import { captureDemo } from './capture.js';
import { networkDemo } from './network.js';

const MIN_SECONDS = 8;

function secondsOf(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < MIN_SECONDS)
    throw new InvalidArgumentError(`a whole number from ${MIN_SECONDS} on`);
  return value;
}

const command = new Command('demo')
  .description(
    'Watch real HTTP connections being balanced; without root, the same program over a generated capture',
  )
  .option('--seconds <n>', 'length of the load', secondsOf, 24)
  .option('--keep', 'leave everything running at the end, and print what to try', false)
  .option('--capture', 'the offline demo, even as root', false)
  .parse();
const options = command.opts<{ seconds: number; keep: boolean; capture: boolean }>();

const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (!abort.signal.aborted) console.log('\nStopping and cleaning up …');
    abort.abort(new Error(`stopped by ${signal}`));
  });
}

try {
  const root = process.getuid?.() === 0;
  if (!root)
    console.log(
      'Not root: no network namespaces and no packet sockets, so the same program runs over a generated capture.',
    );
  const passed =
    root && !options.capture ? await networkDemo({ ...options, signal: abort.signal }) : await captureDemo();
  process.exitCode = passed ? 0 : 1;
} catch (error) {
  if (abort.signal.aborted) process.exitCode = 130;
  else {
    console.error(`Error: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
