import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const MODULES = new URL('../../dist/control-plane/state/', import.meta.url);
const WRITER = fileURLToPath(new URL('writer.mjs', import.meta.url));
const missingBuild = !existsSync(new URL('journal-codec.js', MODULES));

const KILLS = 200;
/** Writers that run at the same time, each on a directory of its own. */
const DIRECTORIES = 4;
const LONGEST_RUN_MS = 60;

const root = mkdtempSync(join(tmpdir(), 'waggle-crash-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Lines that a writer printed until it was killed, a random time after it had opened its store. */
function run(directory: string, seed: number, delayMs: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [WRITER, MODULES.href, directory, String(seed)]);
    let [output, errors] = ['', ''];
    let isTimed = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (isTimed) return;
      isTimed = true;
      setTimeout(() => child.kill('SIGKILL'), delayMs);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(output.split('\n').slice(0, -1));
      else reject(new Error(`the writer ended by itself (${code ?? signal}): ${errors}`));
    });
  });
}

interface Tally {
  kills: number;
  acknowledged: number;
  retracted: number;
  /** Kills after which the change under way had become durable, or had not. */
  kept: number;
  lost: number;
}

/** Kill writers on one directory in a row; each start has to find what the one before acknowledged. */
async function killInARow(directory: string, kills: number, firstSeed: number, tally: Tally): Promise<void> {
  let acknowledged: string | undefined;
  let underWay: string | undefined;
  for (let i = 0; i <= kills; i++) {
    const seed = firstSeed + i;
    const delayMs = (seed * 7919) % LONGEST_RUN_MS;
    const lines = await run(directory, seed, delayMs);
    for (const line of lines) {
      const [word, ...rest] = line.split(' ');
      const state = rest.join(' ');
      if (word === 'under') {
        underWay = state;
        continue;
      }
      if (word === 'open' && acknowledged !== undefined && state !== acknowledged) {
        if (state !== underWay) {
          throw new Error(
            `seed ${seed}: found ${state}, acknowledged ${acknowledged}, under way ${underWay}`,
          );
        }
        tally.kept++;
      } else if (word === 'open' && underWay !== undefined) tally.lost++;
      if (word === 'done') tally.acknowledged++;
      if (word === 'retracted') tally.retracted++;
      acknowledged = state;
      underWay = undefined;
    }
    tally.kills++;
  }
}

it.skipIf(missingBuild)(
  `after ${KILLS} kills at random moments, all that was acknowledged is there (${missingBuild ? 'dist/ is not built' : 'dist/'})`,
  async () => {
    const tally: Tally = { kills: 0, acknowledged: 0, retracted: 0, kept: 0, lost: 0 };
    const each = Math.ceil(KILLS / DIRECTORIES);
    const directories = Array.from({ length: DIRECTORIES }, (_, i) => join(root, String(i)));
    await Promise.all(directories.map((directory, i) => killInARow(directory, each, 1 + i * 1000, tally)));
    console.info(JSON.stringify(tally));
    expect(tally.kills).toBeGreaterThanOrEqual(KILLS);
    expect(tally.acknowledged).toBeGreaterThan(KILLS);
    expect(tally.lost + tally.kept).toBeGreaterThan(KILLS / 4);
    // Snapshots were among the moments.
    expect(readdirSync(join(root, '0')).some((name) => name.startsWith('snapshot-'))).toBe(true);
  },
  180_000,
);
