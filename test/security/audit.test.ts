import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { SecurityBed } from '../support/security-bed.js';

let folder: string;
let bed: SecurityBed;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'waggle-audit-'));
  bed = await SecurityBed.start({ audit: { file: join(folder, 'audit.log') } });
});
afterAll(async () => {
  await bed.stop();
  rmSync(folder, { recursive: true });
});

const all = (): Record<string, unknown>[] =>
  readFileSync(join(folder, 'audit.log'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
let before = 0;
beforeEach(() => {
  before = all().length;
});
/** Those of the test that runs. */
const entries = () => all().slice(before);

describe('the audit log of an API', () => {
  it('says who changed what, from what to what', async () => {
    const client = bed.client();
    await client.createPool('web');
    await client.createBackend('web', 'b1', '10.0.0.1');
    await client.updateBackend('pools/web/backends/b1', 7, ['weight']);
    const [, created, weighed] = entries();
    expect(created).toMatchObject({
      caller: { name: 'loopback', role: 'admin', via: 'loopback' },
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      method: 'waggle.v1.PoolService/CreateBackend',
      resource: 'pools/web/b1',
      result: 'OK',
      revision: 2,
      changes: [{ name: 'pools/web/backends/b1', how: 'created', after: { address: '10.0.0.1', weight: 1 } }],
    });
    expect(weighed).toMatchObject({
      resource: 'pools/web/backends/b1',
      fields: ['weight'],
      revision: 3,
      changes: [
        { name: 'pools/web/backends/b1', how: 'updated', before: { weight: 1 }, after: { weight: 7 } },
      ],
    });
  });

  it('has the answer that the caller got, and the id of its call, when it gets it', async () => {
    const { metadata } = await bed.client().createPool('twice');
    const again = await bed.client().createPool('twice');
    expect(again.error?.code).toBe(status.ALREADY_EXISTS);
    expect(entries()).toMatchObject([
      { result: 'OK', requestId: metadata.get('x-request-id')[0] },
      { result: 'ALREADY_EXISTS', reason: again.error?.details, changes: [] },
    ]);
  });

  it('has nothing of calls that only look, or only ask whether a change could be made', async () => {
    await bed.client().view();
    expect((await bed.client().createPool('other', true)).error).toBeUndefined();
    expect(entries()).toEqual([]);
  });

  it('is in the log too, in short', async () => {
    await bed.client().createPool('short');
    expect(bed.logged('audit').at(-1)).toMatchObject({
      caller: 'loopback',
      method: 'waggle.v1.PoolService/CreatePool',
      resource: 'short',
      revision: expect.any(Number),
    });
  });

  it('has calls that were refused for who made them', async () => {
    const { error } = await bed.client(undefined, 'x'.repeat(40)).createPool('web');
    expect(error?.code).toBe(status.UNAUTHENTICATED);
    // A refusal is not kept waiting for the disk.
    await vi.waitFor(() =>
      expect(entries()).toMatchObject([
        { method: 'waggle.v1.PoolService/CreatePool', result: 'UNAUTHENTICATED', changes: [] },
      ]),
    );
  });
});

it('a change is not made where it could not be recorded, if that is asked for', async () => {
  const full = await SecurityBed.start({ audit: { file: '/dev/full', onFault: 'refuse' } });
  try {
    expect((await full.client().createPool('first')).error).toBeUndefined();
    const { error } = await full.client().createPool('second');
    expect(error?.code).toBe(status.UNAVAILABLE);
    expect(error?.details).toContain('ENOSPC');
    expect((await full.client().view()).error).toBeUndefined();
  } finally {
    await full.stop();
  }
});
