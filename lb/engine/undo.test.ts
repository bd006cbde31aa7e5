import { expect, it } from 'vitest';
import { undoAll } from './undo.js';

it('undoes the last first, and each: what fails is said, and hides nothing', async () => {
  const done: string[] = [];
  const said: unknown[] = [];
  const steps = [
    () => done.push('first'),
    async () => {
      await Promise.resolve();
      done.push('second');
      throw new Error('is gone');
    },
    () => {
      done.push('third');
      throw 'no reason';
    },
    () => done.push('fourth'),
  ];
  await undoAll(steps, (level, _, fields) => said.push([level, fields]));
  expect(done).toEqual(['fourth', 'third', 'second', 'first']);
  expect(said).toEqual([
    ['warn', { reason: 'no reason' }],
    ['warn', { reason: 'is gone' }],
  ]);
});
