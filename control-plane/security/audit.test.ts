import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '../log.js';
import { type AuditEntry, AuditLog, type AuditOptions } from './audit.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'waggle-audit-'));
  file = join(folder, 'audit.log');
});
afterEach(() => rmSync(folder, { recursive: true }));

const ENTRY: AuditEntry = {
  requestId: 'r1',
  caller: { name: 'alice', role: 'admin', address: '10.0.0.1:5', via: 'certificate' },
  address: '10.0.0.1:5',
  method: 'waggle.v1.PoolService/CreatePool',
  resource: 'web',
  fields: [],
  result: 'OK',
  revision: 7,
  changes: [{ name: 'pools/web', how: 'created', after: { displayName: 'Web' } }],
};

async function opened(options: Partial<AuditOptions> = {}, nowMs = () => 1_700_000_000_000) {
  const lines: string[] = [];
  const log = createLog('debug', { write: (line) => lines.push(line) });
  return { audit: await AuditLog.open({ file, ...options }, log, nowMs), lines };
}
const entries = (path = file): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

describe('the audit file', () => {
  it('has a line for each entry, for its owner alone', async () => {
    const { audit } = await opened();
    await Promise.all([audit.record(ENTRY), audit.record({ ...ENTRY, requestId: 'r2' })]);
    await audit.close();
    const { address: _, ...caller } = ENTRY.caller!;
    expect(entries()).toEqual([
      { ...ENTRY, time: '2023-11-14T22:13:20.000Z', caller },
      { ...ENTRY, time: '2023-11-14T22:13:20.000Z', caller, requestId: 'r2' },
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('is added to by the next run', async () => {
    for (const requestId of ['a', 'b']) {
      const { audit } = await opened();
      await audit.record({ ...ENTRY, requestId });
      await audit.close();
    }
    expect(entries().map(({ requestId }) => requestId)).toEqual(['a', 'b']);
  });

  it('that is full is put aside, and so many are kept', async () => {
    const { audit } = await opened({ maxBytes: 100, keep: 2 });
    for (const requestId of ['a', 'b', 'c', 'd']) await audit.record({ ...ENTRY, requestId });
    await audit.close();
    const ids = ['audit.log', 'audit.log.1', 'audit.log.2'].map((name) =>
      entries(join(folder, name)).map(({ requestId }) => requestId),
    );
    expect(ids).toEqual([['d'], ['c'], ['b']]);
    expect(existsSync(join(folder, 'audit.log.3'))).toBe(false);
  });

  it('has no secrets', async () => {
    const { audit } = await opened();
    const after = { headers: { authorization: 'CANARY' }, note: 'Bearer CANARY-abcdef' };
    await audit.record({ ...ENTRY, changes: [{ name: 'healthChecks/h', how: 'created', after }] });
    await audit.close();
    expect(readFileSync(file, 'utf8')).not.toContain('CANARY');
  });

  it('that cannot be opened keeps the server from starting', async () => {
    await expect(opened({ file: join(folder, 'no', 'audit.log') })).rejects.toMatchObject({
      code: 'AUDIT_WRITE',
      fault: { errno: 'ENOENT' },
    });
  });
});

describe('a disk that takes no more', () => {
  it('leaves the entry whole in the log, as an error, and changes go on', async () => {
    const { audit, lines } = await opened({ file: '/dev/full' });
    await audit.ready();
    await audit.record(ENTRY);
    await audit.ready();
    const faults = lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 50);
    expect(faults).toMatchObject([{ entry: { requestId: 'r1', revision: 7, changes: ENTRY.changes } }]);
  });

  it('refuses further changes where that is asked for', async () => {
    const { audit } = await opened({ file: '/dev/full', onFault: 'refuse' });
    await audit.ready();
    await audit.record(ENTRY);
    await expect(audit.ready()).rejects.toMatchObject({ code: 'AUDIT_WRITE', fault: { errno: 'ENOSPC' } });
  });

  it('that takes entries again is written to again, from the start of a line', async () => {
    const { audit } = await opened({ onFault: 'refuse', maxBytes: 1, keep: 1 });
    await audit.record(ENTRY);
    // A folder in the place of what is put aside: the file cannot be rotated.
    mkdirSync(`${file}.1`);
    writeFileSync(join(`${file}.1`, 'x'), '');
    await audit.record({ ...ENTRY, requestId: 'lost' });
    rmSync(`${file}.1`, { recursive: true });
    await audit.ready();
    await audit.record({ ...ENTRY, requestId: 'r3' });
    await audit.close();
    expect(entries().map(({ requestId }) => requestId)).toEqual(['r3']);
  });
});

it('refusals without number are counted, not written: entries of others stay', async () => {
  let nowMs = 0;
  const { audit } = await opened({}, () => nowMs);
  const refusal = { ...ENTRY, caller: undefined, result: 'UNAUTHENTICATED' };
  for (let i = 0; i < 1000; i++) await audit.recordRefusal(refusal);
  nowMs = 10_000;
  await audit.record(ENTRY);
  await audit.close();
  expect(entries()).toHaveLength(101);
  expect(entries().at(-1)).toMatchObject({ requestId: 'r1', refusalsNotRecorded: 900 });
});
