import { type Command, Option } from 'commander';
import { usageError } from './faults.js';

const required = new WeakSet<Option>();

/**
 * An option that must be given. Not commander's own kind: that one is looked for before unknown options are,
 * and a mistyped flag would be reported as a missing one.
 */
export function requiredOption(flags: string, description: string): Option {
  const option = new Option(flags, `${description} (required)`);
  required.add(option);
  return option;
}

/** @throws CliError of wrong usage, naming every option that is missing */
export function checkRequired(command: Command): void {
  const missing = command.options.filter(
    (option) => required.has(option) && command.getOptionValue(option.attributeName()) === undefined,
  );
  if (missing.length === 0) return;
  const flags = missing.map((option) => option.flags).join(', ');
  throw usageError(`missing: ${flags}; see ${pathOf(command)} --help`);
}

/** A command as it is typed: waggle create vip. */
export function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
