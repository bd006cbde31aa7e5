import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { RUN_CAPABILITIES } from '../../lb/engine/run-capabilities.js';
import { CAPABILITIES } from '../../lb/sys/capabilities.js';
import { missingRoot } from '../support/capabilities.js';

const SCRIPT = fileURLToPath(new URL('../support/confined-appliance.mjs', import.meta.url));
const BITS = RUN_CAPABILITIES.reduce((sum, name) => sum | (1n << BigInt(CAPABILITIES.indexOf(name))), 0n)
  .toString(16)
  .padStart(16, '0');

for (const engine of ['af_packet', 'af_xdp', 'xdp'] as const) {
  it.skipIf(missingRoot)(
    `waggle up --engine ${engine} does all it has to with the capabilities that it keeps${missingRoot ? ` (${missingRoot})` : ''}`,
    () => {
      const options = { encoding: 'utf8', timeout: 55_000 } as const;
      const { stdout, stderr } = spawnSync('unshare', ['-n', process.execPath, SCRIPT, engine], options);
      if (stdout === '') throw new Error(stderr);
      expect(JSON.parse(stdout)).toEqual({
        threads: [[BITS, BITS, BITS].join()],
        failed: [],
        probes: 2,
        refused: [],
        // The kernel's program takes packets before the host could see them.
        isGuarded: engine === 'af_packet',
        status: 0,
        left: { nft: '', xdp: false, offloads: true },
      });
    },
  );
}
