import { expect, it } from 'vitest';
import { createLog, type LogLevel, parseLogLevel } from './log.js';

function logTo(level: LogLevel, isTTY: boolean) {
  const lines: string[] = [];
  return { lines, log: createLog(level, { isTTY, write: (text) => lines.push(text) }) };
}

it('is a line of JSON for each entry, with its fields', () => {
  const { lines, log } = logTo('info', false);
  log('warn', 'worker died', { worker: 1, packets: 5n, error: new TypeError('broken') });
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 40,
    msg: 'worker died',
    worker: 1,
    packets: '5',
    error: { type: 'TypeError', message: 'broken', stack: expect.stringContaining('log.test') },
  });
});

it('is one short line where a person watches', () => {
  const { lines, log } = logTo('info', true);
  log('info', 'ready', { listen: '127.0.0.1:9443', reason: 'two words', error: new Error('broken "x"') });
  expect(lines).toEqual([
    expect.stringMatching(
      /^\d\d:\d\d:\d\d INFO {2}ready listen=127\.0\.0\.1:9443 reason="two words" error="broken \\"x\\""\n$/,
    ),
  ]);
});

it('leaves out what is below its level', () => {
  const { lines, log } = logTo('warn', false);
  log('info', 'ready');
  log('debug', 'tables written');
  expect(lines).toEqual([]);
});

it('takes another level while it runs', () => {
  const { lines, log } = logTo('warn', false);
  log('info', 'before');
  log.setLevel('debug');
  expect(log.level).toBe('debug');
  log('debug', 'after');
  log.setLevel('error');
  log('warn', 'at last');
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['after']);
});

it('knows its levels by their names', () => {
  expect(['debug', 'INFO', 'Warn', 'error', 'trace', ''].map(parseLogLevel)).toEqual([
    'debug',
    'info',
    'warn',
    'error',
    undefined,
    undefined,
  ]);
});

it('an entry cannot forge another one', () => {
  for (const isTTY of [true, false]) {
    const { lines, log } = logTo('info', isTTY);
    log('info', 'request\nrefused', { reason: 'x\n12:00:00 ERROR \u001b[31mforged' });
    expect(lines.join('')).not.toContain('\u001b');
    expect(lines.join('').trimEnd().split('\n')).toHaveLength(1);
  }
});
