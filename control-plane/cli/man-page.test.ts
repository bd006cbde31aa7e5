import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { manPage } from './man-page.js';
import { createProgram, VERSION } from './program.js';

const program = createProgram();
const page = manPage(program, VERSION);

it('docs/waggle.1 is what tools/man.mjs makes of the command line (UPDATE=1 writes it)', () => {
  const file = fileURLToPath(new URL('../../docs/waggle.1', import.meta.url));
  if (process.env.UPDATE === '1') writeFileSync(file, page);
  expect(readFileSync(file, 'utf8')).toBe(page);
});

const leaves = (command: Command): Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);

it('every command and every flag is in it', () => {
  const text = page.replaceAll('\\-', '-').replaceAll(/\\f[BIR]/g, '');
  for (const command of leaves(program)) {
    expect(text).toMatch(new RegExp(`^\\.SS waggle .*\\b${command.name()}\\b`, 'm'));
    for (const { long } of command.options) expect(text).toContain(long);
  }
});

it('no line is a request of roff by accident', () => {
  const requests = page.split('\n').filter((line) => /^[.']/.test(line));
  expect(requests.filter((line) => !/^\.(?:TH|SH|SS|TP|br|\\")(?: |$)/.test(line))).toEqual([]);
});
