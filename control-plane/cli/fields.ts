import { type Command, InvalidArgumentError, Option, type OptionValues } from 'commander';
import { usageError } from './faults.js';
import { requiredOption } from './required.js';

/** A field of a resource as flags give it. */
export interface Field<R> {
  /** Where the field goes in an update's mask. */
  readonly path: string;
  /** 'create': must be given then. 'immutable': that, and never changed after. */
  readonly when: 'always' | 'required' | 'immutable' | 'create';
  /** The flag, new for each command. */
  option(isRequired: boolean): Option;
  /** Name of the flag as commander keeps it. */
  readonly attribute: string;
  /** What it makes of the resource; undefined where the flag was not given. */
  read(options: OptionValues): R | undefined;
}

interface FieldSpec<V, R> {
  readonly flags: string;
  readonly says: string;
  readonly path: string;
  /** Neither null nor undefined: commander takes both for a flag without a value. */
  readonly parse: (text: string, before?: V) => V & {};
  /** The value as a part of the resource. */
  readonly put: (value: V) => R;
  readonly when?: Field<R>['when'];
  /** Words that it takes, for help and completion. */
  readonly choices?: readonly string[];
}

/** Describe a field: how its flag is read, and where the value goes. */
export function field<V, R>({
  flags,
  says,
  path,
  parse,
  put,
  when = 'always',
  choices,
}: FieldSpec<V, R>): Field<R> {
  const option = (isRequired: boolean) => {
    const made = isRequired ? requiredOption(flags, says) : new Option(flags, says);
    if (choices !== undefined) made.choices(choices);
    return made.argParser(parse);
  };
  const attribute = option(false).attributeName();
  return {
    path,
    when,
    attribute,
    option,
    read(options) {
      const value: V | undefined = options[attribute];
      return value === undefined ? undefined : put(value);
    },
  };
}

/** Words of the command line and the API's values that they stand for. */
export function wordField<V extends string, R>(
  spec: Omit<FieldSpec<V, R>, 'parse' | 'choices'> & { readonly words: Readonly<Record<string, V>> },
): Field<R> {
  const choices = Object.keys(spec.words);
  return field<V, R>({
    ...spec,
    choices,
    parse(text) {
      const value = spec.words[text];
      if (value === undefined) throw new InvalidArgumentError(`It is one of: ${choices.join(', ')}.`);
      return value;
    },
  });
}

/** A text as it stands. */
export const asText = (text: string): string => text;

/** A flag that is given several times, or with commas; an empty text is none of them. */
export const asList = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...text.split(',').filter((item) => item !== ''),
];

/** @throws InvalidArgumentError */
export function onOff(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new InvalidArgumentError('It is one of: on, off.');
}

/** Text for people, which resources of several kinds have. */
export const DISPLAY_NAME: Field<{ displayName: string }> = field({
  flags: '--display-name <text>',
  says: 'text for people',
  path: 'display_name',
  parse: asText,
  put: (displayName) => ({ displayName }),
});

/** Flags of a command that makes a resource. */
export function createOptions<R>(command: Command, fields: readonly Field<R>[]): Command {
  for (const one of fields)
    command.addOption(one.option(one.when === 'required' || one.when === 'immutable'));
  return command;
}

/** Flags of a command that changes one. */
export function setOptions<R>(command: Command, fields: readonly Field<R>[]): Command {
  for (const one of fields)
    if (one.when === 'always' || one.when === 'required') command.addOption(one.option(false));
  return command;
}

/** What the flags say of a resource, and which of its fields that is. */
export function readFields<R extends object>(
  fields: readonly Field<Partial<R>>[],
  options: OptionValues,
): { readonly resource: Partial<R>; readonly paths: string[] } {
  let resource: Partial<R> = {};
  const paths: string[] = [];
  for (const one of fields) {
    const part = one.read(options);
    if (part === undefined) continue;
    resource = { ...resource, ...part };
    paths.push(one.path);
  }
  return { resource, paths };
}

/** Flags of a command that changes a resource. */
export const flagsOf = <R>(fields: readonly Field<R>[]): readonly string[] =>
  fields
    .filter(({ when }) => when === 'always' || when === 'required')
    .map((one) => one.option(false).long ?? '');

/** @throws CliError of wrong usage when nothing is to be changed */
export function checkAny(flags: readonly string[], paths: readonly string[]): void {
  if (paths.length > 0) return;
  throw usageError(`nothing to set: give ${flags.slice(0, -1).join(', ')} or ${flags.at(-1)}`);
}
