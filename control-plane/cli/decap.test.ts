import { Command } from 'commander';
import { expect, it } from 'vitest';
import { addDecap } from './decap.js';

const run = (...words: readonly string[]): Promise<unknown> => {
  const program = new Command();
  addDecap(program);
  return program.parseAsync(['node', 'waggle', 'decap', '--interface', 'no-such0', ...words]);
};
const ADDRESS = ['--address', '10.0.0.1'];

it.each([
  [['--address', 'web1'], '--address: "web1" is not an IPv4 or IPv6 address'],
  [[...ADDRESS, '--gue-port', '65536'], '--gue-port: "65536" is not a whole number from 0 to 65535'],
  [[...ADDRESS, '--gue-port', '-1'], '--gue-port: "-1" is not a whole number from 0 to 65535'],
  [[...ADDRESS, '--gue-port', '0x10'], '--gue-port: "0x10" is not a whole number from 0 to 65535'],
  [[...ADDRESS, '--server-id', '0'], '--server-id: "0" is not a whole number from 1 to 4294967295'],
  [
    [...ADDRESS, '--server-id', '4294967296'],
    '--server-id: "4294967296" is not a whole number from 1 to 4294967295',
  ],
])('refuses %j', async (words, message) => {
  await expect(run(...words)).rejects.toThrow(expect.objectContaining({ message, exitCode: 2 }));
});

it.each([[['--gue-port', '0']], [['--gue-port', '65535', '--server-id', '4294967295']]])(
  'takes %j',
  async (words) => {
    // What is refused then is the interface.
    await expect(run(...ADDRESS, ...words)).rejects.toThrow(/interface no-such0 does not exist/);
  },
);
