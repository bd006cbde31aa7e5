import type { Argument, Command, Option } from 'commander';
import { type NameSource, sourceOf } from './sources.js';

/** A word that would fit. */
export interface Candidate {
  readonly value: string;
  /** For shells that show it; empty for none. */
  readonly says: string;
}

/** What fits at the end of a command line. */
export interface Completion {
  readonly candidates: readonly Candidate[];
  /** What the shell is to look for itself. */
  readonly look: 'nothing' | 'files' | 'directories';
}

const NOTHING: Completion = { candidates: [], look: 'nothing' };

/** Names that a source knows; the options are those that stand on the line. */
export type AskNames = (
  source: NameSource,
  options: Readonly<Record<string, string | boolean>>,
) => Promise<readonly Candidate[]>;

/** Where a line has come to. */
interface Place {
  readonly command: Command;
  /** Words that are no options, behind the names of commands. */
  readonly positional: readonly string[];
  /** The option that the last word belongs to. */
  readonly pending: Option | undefined;
  /** Options that were given, by attribute. */
  readonly given: Readonly<Record<string, string | boolean>>;
  /** Behind "--", where nothing is an option. */
  readonly isPlain: boolean;
}

/** A command and those above it: their options can stand anywhere. */
const chainOf = (command: Command): Command[] =>
  command.parent ? [command, ...chainOf(command.parent)] : [command];

const optionsOf = (command: Command): Option[] =>
  chainOf(command).flatMap(({ options }) => options.filter(({ hidden }) => !hidden));

const findOption = (command: Command, flag: string): Option | undefined =>
  optionsOf(command).find(({ short, long }) => flag === short || flag === long);

const childOf = (command: Command, word: string): Command | undefined =>
  command.commands.find((child) => child.name() === word || child.aliases().includes(word));

const takesValue = ({ required, optional }: Option) => required || optional;

function placeOf(program: Command, words: readonly string[]): Place {
  let command = program;
  let pending: Option | undefined;
  let isPlain = false;
  const positional: string[] = [];
  const given: Record<string, string | boolean> = {};
  for (const word of words) {
    if (pending !== undefined) {
      given[pending.attributeName()] = word;
      pending = undefined;
    } else if (!isPlain && word === '--') isPlain = true;
    else if (!isPlain && word.startsWith('-')) {
      const [flag = '', ...value] = word.split('=');
      const option = findOption(command, flag);
      if (option === undefined) continue;
      if (!takesValue(option)) given[option.attributeName()] = true;
      else if (value.length > 0) given[option.attributeName()] = value.join('=');
      else pending = option;
    } else {
      const child = positional.length === 0 ? childOf(command, word) : undefined;
      if (child === undefined) positional.push(word);
      else command = child;
    }
  }
  return { command, positional, pending, given, isPlain };
}

const starting = (candidates: readonly Candidate[], word: string): Candidate[] =>
  candidates.filter(({ value }) => value.startsWith(word));

/** Fitting words of a value: those of a closed list, names that the server knows, files. */
async function valuesOf(
  what: Argument | Option,
  placeholder: string,
  word: string,
  { positional, given }: Place,
  ask: AskNames,
): Promise<Completion> {
  const closed = what.argChoices;
  const source =
    closed === undefined
      ? sourceOf(placeholder, 'flags' in what ? what.name() : undefined, positional)
      : undefined;
  if (source === 'files' || source === 'directories') return { candidates: [], look: source };
  if (closed === undefined && source === undefined) return NOTHING;
  // Behind the last comma of a list the next item begins.
  const isList = /list/.test(placeholder);
  const before = isList ? word.slice(0, word.lastIndexOf(',') + 1) : '';
  const all =
    source === undefined ? (closed ?? []).map((value) => ({ value, says: '' })) : await ask(source, given);
  const candidates = all.map(({ value, says }) => ({ value: before + value, says }));
  return { candidates: starting(candidates, word), look: 'nothing' };
}

/** The placeholder of an option: --pool <pool> has "pool". */
const placeholderOf = ({ flags }: Option): string => /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? '';

function flagsOf(command: Command, word: string): Completion {
  const flags = optionsOf(command).flatMap(({ short, long, description }) =>
    [long, word.startsWith('--') ? undefined : short]
      .filter((flag) => flag !== undefined)
      .map((flag) => ({ value: flag, says: description })),
  );
  const help = { value: '--help', says: 'show help' };
  return { candidates: starting([...flags, help], word), look: 'nothing' };
}

/** Sub-commands that fit, without their aliases: one word for one thing. */
const commandsOf = (command: Command, word: string): Candidate[] =>
  starting(
    command.commands.map((child) => ({ value: child.name(), says: child.description() })),
    word,
  );

/**
 * What fits at the end of a command line.
 * @param words behind "waggle", the last one being typed: empty at the start of a word
 */
export async function complete(
  program: Command,
  words: readonly string[],
  ask: AskNames,
): Promise<Completion> {
  const word = words.at(-1) ?? '';
  const place = placeOf(program, words.slice(0, -1));
  const { command, positional, pending, isPlain } = place;
  if (pending !== undefined) return valuesOf(pending, placeholderOf(pending), word, place, ask);
  if (!isPlain && word.startsWith('-')) {
    const [flag = '', ...value] = word.split('=');
    const option = value.length > 0 ? findOption(command, flag) : undefined;
    if (option === undefined) return flagsOf(command, word);
    const found = await valuesOf(option, placeholderOf(option), value.join('='), place, ask);
    return {
      ...found,
      candidates: found.candidates.map(({ value: one, says }) => ({ value: `${flag}=${one}`, says })),
    };
  }
  if (command.commands.length > 0 && positional.length === 0)
    return { candidates: commandsOf(command, word), look: 'nothing' };
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  const argument = registeredArguments[positional.length] ?? (last?.variadic ? last : undefined);
  return argument === undefined ? NOTHING : valuesOf(argument, argument.name(), word, place, ask);
}

/** As the scripts of the shells read it: a line for each word, a tab and what it says; then what to look for. */
export const completionText = ({ candidates, look }: Completion): string =>
  [
    ...candidates.map(({ value, says }) => (says === '' ? value : `${value}\t${says.replace(/\s+/g, ' ')}`)),
    `:${look}`,
  ].join('\n');
