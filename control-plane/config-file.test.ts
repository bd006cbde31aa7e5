import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ReconcileBed } from '../test/support/reconcile-bed.js';
import { applianceSettings, loadConfig } from './config/index.js';
import { ConfigFile } from './config-file.js';
import { createLog, type LevelledLog } from './log.js';

const FILE = (weight: number, more = '') => `
vips:
  - { name: web, address: 192.0.2.10, port: 80, protocol: tcp, pool: web }
pools:
  - name: web
    backends:
      - { name: a, address: 10.0.0.1, weight: ${weight} }
      - { name: b, address: 10.0.0.2 }
${more}`;

let folder: string;
let path: string;
let bed: ReconcileBed;
let file: ConfigFile;
let lines: string[];
let log: LevelledLog;

/** As editors and deployments do: a new file in the place of the old one. */
function write(text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'waggle-config-'));
  path = join(folder, 'node.yaml');
  write(FILE(1));
  bed = new ReconcileBed();
  lines = [];
  log = createLog('info', { write: (line) => lines.push(line) });
  const settings = applianceSettings(loadConfig(FILE(1), path));
  const { reconciler, events } = bed;
  file = new ConfigFile({ path, settings, reconciler, events, log });
});
afterEach(() => {
  file.stop();
  rmSync(folder, { recursive: true });
});

const weight = () => bed.store.state.backends.get('pools/web/backends/a')?.weight;

it('what the file declares is in force, and what it no longer declares is gone', async () => {
  await file.apply();
  expect(Object.keys(bed.spread()).sort()).toEqual(['10.0.0.1', '10.0.0.2']);
  await bed.make({ kind: 'create-pool', id: 'other', displayName: '' });
  write(FILE(0));
  expect(await file.reload()).toBe(true);
  expect([...bed.store.state.pools.keys()]).toEqual(['pools/web']);
  expect(Object.keys(bed.spread())).toEqual(['10.0.0.2']);
  expect(bed.store.history.at(-1)).toMatchObject({
    actor: 'config',
    action: 'apply',
    comment: `file ${path}`,
  });
});

it('a file that says the same changes nothing', async () => {
  await file.apply();
  const { state } = bed.store;
  expect(await file.reload()).toBe(true);
  expect(bed.store.state).toBe(state);
});

it.each([
  ['a fault of the text', FILE(70_000)],
  ['a fault that only the tables find', FILE(1).replace('192.0.2.10', '192.0.2.66')],
  ['no YAML', '{'],
])('%s changes nothing, and is said', async (_, text) => {
  bed.datapath.hostAddresses.add('192.0.2.66');
  await file.apply();
  const { state } = bed.store;
  write(text);
  expect(await file.reload()).toBe(false);
  expect(bed.store.state).toBe(state);
  expect(Object.keys(bed.spread()).sort()).toEqual(['10.0.0.1', '10.0.0.2']);
  const { events } = bed.events.after(0, { types: ['config.rejected'] }, 10);
  expect(events.map(({ attributes }) => attributes.file)).toEqual([path]);
  expect(lines.join('')).toContain('what was in force goes on');
  write(FILE(7));
  expect(await file.reload()).toBe(true);
  expect(weight()).toBe(7);
});

it('at the start a fault is thrown, with every place', async () => {
  write(`${FILE(-1)}\nserverIds:\n  - { id: x, backend: 10.0.0.1 }\n`);
  await expect(file.apply()).rejects.toThrow(
    /node\.yaml:7:\d+: pools\[0\].*\n.*node\.yaml:11:\d+: serverIds\[0\]/,
  );
  expect(bed.store.state.revision).toBe(0);
});

it('follows the file when another takes its place', async () => {
  await file.apply();
  file.watch();
  write(FILE(5));
  await vi.waitFor(() => expect(weight()).toBe(5), { timeout: 10_000 });
  const { revision } = bed.store.state;
  // A file beside it is not it.
  writeFileSync(join(folder, 'other.yaml'), 'x');
  write(FILE(5));
  write(FILE(6));
  await vi.waitFor(() => expect(weight()).toBe(6), { timeout: 10_000 });
  expect(bed.store.state.revision).toBe(revision + 1);
});

it('keys that wait for the next start are named, and the log level is not one of them', async () => {
  await file.apply();
  write(FILE(1, 'appliance: { workers: 7, log: { level: error } }\nnode: { interface: eth9 }\n'));
  expect(await file.reload()).toBe(true);
  const said = lines.find((line) => line.includes('at the next start')) ?? '';
  expect((JSON.parse(said) as { keys: string[] }).keys).toEqual(['node.interface', 'appliance.workers']);
  expect(log.level).toBe('error');
});
