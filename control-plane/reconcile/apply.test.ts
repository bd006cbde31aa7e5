import { expect, it } from 'vitest';
import { MemoryDatapath } from '../../test/support/memory-datapath.js';
import { TableWriter } from './apply.js';

it('writes that take long leave others their turns, and are done in order; one that fails ends them', async () => {
  const { tables } = new MemoryDatapath();
  const done: string[] = [];
  tables.putServerId = (id) => {
    done.push(`write ${id}`);
    const endMs = performance.now() + 12;
    while (performance.now() < endMs);
    if (id === 9) throw new Error('no room');
  };
  const ids = [1, 2, 3, 4, 5, 6];
  const writesOf = (list: readonly number[]) =>
    list.map((id) => ({ kind: 'server-id', id, real: 1 }) as const);
  const writer = new TableWriter(tables);
  let isOver = false;
  const others = (async () => {
    while (!isOver) {
      await new Promise((resolve) => setImmediate(resolve));
      done.push('others');
    }
  })();
  await writer.applyInSlices(writesOf(ids));
  expect(done.filter((each) => each !== 'others')).toEqual(ids.map((id) => `write ${id}`));
  const between = done.slice(0, done.indexOf('write 6')).filter((each) => each === 'others');
  expect(between.length).toBeGreaterThan(1);
  await expect(writer.applyInSlices(writesOf([7, 8, 9, 10]))).rejects.toThrow('no room');
  expect(done).not.toContain('write 10');
  isOver = true;
  await others;
});
