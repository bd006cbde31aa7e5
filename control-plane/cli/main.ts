#!/usr/bin/env node
import { EXIT } from './faults.js';
import { run } from './run.js';

// Who reads may have seen enough, as `head` does: that is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.refused);
});

process.exitCode = (await run(process.argv.slice(2))) ?? process.exitCode ?? EXIT.ok;
