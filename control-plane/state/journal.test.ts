import { describe, expect, it } from 'vitest';
import { createBackend, createPool, createVip } from '../../test/support/changes.js';
import { deaths, FaultFiles, type FaultPlan } from '../../test/support/fault-files.js';
import type { Change } from './changes.js';
import { Journal } from './journal.js';
import { stateText } from './journal-codec.js';
import { JournalError } from './journal-faults.js';
import { FILE_HEADER_BYTES, recordBytes } from './journal-record.js';
import { Store } from './store.js';

/** Small, so that the short history has snapshots in it. */
const JOURNAL_LIMIT_BYTES = 500;
const over = (files: FaultFiles, epoch = 'e') =>
  Store.over(files, { nowMs: () => 1000, epoch, journalLimitBytes: JOURNAL_LIMIT_BYTES });
const textOf = (store: Store) => [...stateText(store.state)].join('');

const backend = (id: string, address: string) => createBackend({ pool: 'pools/a', id, address });
const HISTORY: readonly Change[] = [
  createPool('a'),
  backend('b', '10.0.0.1'),
  createVip({ id: 'v', displayName: 'é', port: 53, protocol: 'udp', pool: 'pools/a' }),
  backend('c', 'fc00::2'),
  { kind: 'drain-backend', name: 'pools/a/backends/b', etag: '' },
  createPool('z'),
  { kind: 'delete-pool', name: 'pools/a', etag: '', force: true },
];

async function make(store: Store, change: Change): Promise<void> {
  const draft = store.draft(change);
  await store.record(draft);
  store.commit(draft);
}

/** The history, made: the files, the state after each change, and how many steps were done when it was acknowledged. */
async function made() {
  const files = new FaultFiles();
  const store = await over(files);
  const states = [textOf(store)];
  const acknowledgedAt = [0];
  for (const change of HISTORY) {
    await make(store, change);
    states.push(textOf(store));
    acknowledgedAt.push(files.steps.length);
  }
  return { files, states, acknowledgedAt };
}

describe('the process may die, or power be lost, at any moment', () => {
  it('what comes back is what was acknowledged, or that and the change under way', async () => {
    const { files, states, acknowledgedAt } = await made();
    expect([...files.content().keys()].some((name) => name.startsWith('snapshot-00000003'))).toBe(true);
    let count = 0;
    const found = { before: 0, after: 0, torn: 0 };
    for (const { stepsDone, after, content } of deaths(files.steps)) {
      const acknowledged = acknowledgedAt.filter((steps) => steps <= stepsDone).length - 1;
      const left = new FaultFiles(content);
      const store = await over(left, 'f');
      const place = states.indexOf(textOf(store));
      if (place !== acknowledged && place !== acknowledged + 1) {
        throw new Error(`${after} after ${stepsDone} steps: state ${place}, acknowledged ${acknowledged}`);
      }
      expect(store.recovery?.notes.filter(({ kind }) => kind !== 'torn')).toEqual([]);
      found[place === acknowledged ? 'before' : 'after']++;
      found.torn += store.recovery?.notes.length ?? 0;
      // Each is a store that goes on; every hundredth shows it.
      if (count++ % 100 === 0) {
        await make(store, createPool('next'));
        expect(textOf(await over(left))).toBe(textOf(store));
      }
    }
    expect(count).toBeGreaterThan(5000);
    expect(found.before).toBeGreaterThan(1000);
    expect(found.after).toBeGreaterThan(0);
    expect(found.torn).toBeGreaterThan(1000);
  });
});

describe('the disk refuses', () => {
  /** Operations that a fault lasts for: one, or several until there is room again. */
  const faults: readonly [rule: string, lasts: number, errno: 'ENOSPC' | 'EIO'][] = [
    ['one operation fails', 1, 'EIO'],
    ['the disk is full for a while', 4, 'ENOSPC'],
    ['the disk fails for long', 9, 'EIO'],
  ];
  for (const [rule, lasts, errno] of faults) {
    it(`${rule}: a change that is refused changes nothing, and is taken later`, async () => {
      const { files: whole } = await made();
      let refused = 0;
      for (let first = 0; first < whole.operations; first++) {
        const files = new FaultFiles();
        const plan: FaultPlan = (n) => (n >= first && n < first + lasts ? errno : undefined);
        files.plan = plan;
        const store = await untilTaken(() => over(files));
        for (const change of HISTORY) {
          for (let isTaken = false; !isTaken; ) {
            const before = textOf(store);
            try {
              await make(store, change);
              isTaken = true;
            } catch (error) {
              expect(error).toBeInstanceOf(JournalError);
              expect(error).toMatchObject({ code: 'JOURNAL_IO' });
              expect(textOf(store)).toBe(before);
              refused++;
            }
          }
          for (const after of ['kill', 'power loss'] as const) {
            const again = await over(new FaultFiles(files.content(after)));
            if (textOf(again) !== textOf(store)) {
              throw new Error(`fault at ${first}, ${change.kind}: not what was acknowledged after ${after}`);
            }
            expect(again.recovery?.notes.filter(({ kind }) => kind === 'damaged')).toEqual([]);
          }
        }
      }
      expect(refused).toBeGreaterThan(20);
    });
  }

  it('nothing of a long change that was refused is left behind a short one', async () => {
    const files = new FaultFiles();
    const store = await Store.over(files, { nowMs: () => 0, epoch: 'e' });
    await make(store, createPool('a'));
    const next = files.operations;
    files.plan = (n) => (n === next ? 'ENOSPC' : undefined);
    const long: Change = { kind: 'create-pool', id: 'b', displayName: 'b'.repeat(255) };
    const many = store.draftAll([long, ...Array.from({ length: 20 }, (_, i) => createPool(`c${i}`))]);
    await expect(store.record(many)).rejects.toMatchObject({
      fault: { operation: 'write', errno: 'ENOSPC' },
    });
    await make(store, createPool('d'));
    const again = await over(new FaultFiles(files.content()));
    expect(again.recovery?.notes).toEqual([]);
    expect(textOf(again)).toBe(textOf(store));
  });

  it('a refused change in a journal that was given up is void, also when the newest snapshot is damaged', async () => {
    const files = new FaultFiles();
    const store = await Store.over(files, { nowMs: () => 0, epoch: 'e' });
    await make(store, createPool('a'));
    const draft = store.draft(createPool('refused'));
    await store.record(draft);
    // It cannot be taken back, so the journal is given up.
    files.plan = () => 'EIO';
    await expect(store.retract(draft)).rejects.toMatchObject({ code: 'JOURNAL_IO' });
    files.plan = () => undefined;
    await make(store, createPool('b'));
    const content = files.content();
    expect([...content.keys()].sort()).toEqual(['journal-00000001', 'journal-00000002', 'snapshot-00000002']);
    content.set('snapshot-00000002', new Uint8Array(50));
    const again = await over(new FaultFiles(content));
    expect([...again.state.pools.keys()]).toEqual(['pools/a', 'pools/b']);
  });

  it('a change that was retracted does not come back', async () => {
    const files = new FaultFiles();
    const store = await over(files);
    await make(store, createPool('a'));
    const draft = store.draft(createPool('b'));
    await store.record(draft);
    await store.retract(draft);
    expect(textOf(await over(new FaultFiles(files.content('power loss'))))).toBe(textOf(store));
    await make(store, createPool('c'));
    expect(textOf(await over(new FaultFiles(files.content())))).toBe(textOf(store));
  });

  async function untilTaken<T>(run: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await run();
      } catch (error) {
        if (!(error instanceof JournalError)) throw error;
      }
    }
  }
});

describe('bytes are not those that were written', () => {
  it('any byte of any file: the good part is used, and the fault is said', async () => {
    const { files, states } = await made();
    const content = files.content();
    const last = states.length - 1;
    let losses = 0;
    for (const [name, bytes] of content) {
      for (let offset = 0; offset < bytes.length; offset++) {
        const flipped = bytes.slice();
        flipped[offset]! ^= 1 << (offset % 8);
        const damaged = new FaultFiles(new Map(content).set(name, flipped));
        const store = await over(damaged, 'f');
        const place = states.indexOf(textOf(store));
        const isSaid = store.recovery?.notes.some(({ kind }) => kind === 'damaged') === true;
        if (place < 0 || (place !== last && !isSaid)) {
          throw new Error(`${name} byte ${offset}: state ${place}, ${isSaid ? 'said' : 'not said'}`);
        }
        if (!isSaid) continue;
        losses += place === last ? 0 : 1;
        expect(damaged.content().get(`${name}.damaged`)).toEqual(flipped);
        // The damage is left behind, and said once.
        const again = await over(damaged, 'g');
        expect(textOf(again)).toBe(textOf(store));
        expect(again.recovery?.notes).toEqual([]);
      }
    }
    expect(losses).toBeGreaterThan(100);
  });

  it('says where, and how many sound records are lost behind it', async () => {
    const files = new FaultFiles();
    const store = await Store.over(files, { nowMs: () => 0, epoch: 'e' });
    for (const id of ['a', 'b', 'c']) await make(store, createPool(id));
    const content = files.content();
    const bytes = content.get('journal-00000001')?.slice() ?? new Uint8Array();
    const second = FILE_HEADER_BYTES + 12 + Buffer.from(bytes).readUInt32LE(FILE_HEADER_BYTES);
    bytes[second + 20]! ^= 0x40;
    const again = await over(new FaultFiles(content.set('journal-00000001', bytes)));
    expect([...again.state.pools.keys()]).toEqual(['pools/a']);
    expect(again.recovery).toEqual({
      revision: 1,
      replayed: 1,
      notes: [
        {
          kind: 'damaged',
          file: 'journal-00000001',
          offset: second,
          reason: 'payload checksum',
          lostRecords: 1,
          aside: 'journal-00000001.damaged',
        },
      ],
    });
  });

  it('a directory that holds nothing whole is not taken for an empty one', async () => {
    const { files } = await made();
    const content = files.content();
    for (const name of content.keys()) if (name.startsWith('snapshot')) content.set(name, new Uint8Array(50));
    await expect(over(new FaultFiles(content))).rejects.toMatchObject({ code: 'JOURNAL_NO_STATE' });
  });
});

describe('Journal', () => {
  it('records that wait for the disk are written with one sync', async () => {
    const files = new FaultFiles();
    const journal = await Journal.create(files, 'j', { generation: 1, baseRevision: 0, timeMs: 0 });
    const syncs = () => files.steps.filter(({ kind }) => kind === 'sync').length;
    const before = syncs();
    const records = Array.from({ length: 50 }, (_, i) => recordBytes({ i }));
    const starts = await Promise.all(records.map((record) => journal.append(record)));
    expect(syncs() - before).toBeLessThanOrEqual(2);
    const written = Buffer.from(files.content('power loss').get('j') ?? []);
    expect(written.subarray(FILE_HEADER_BYTES)).toEqual(Buffer.concat(records));
    expect(starts.every((start, i) => i === 0 || start === starts[i - 1]! + records[i - 1]!.length)).toBe(
      true,
    );
  });
});
