import { Argument, InvalidArgumentError } from 'commander';
import { usageError } from './faults.js';

/** Kinds of resources that are made and changed by name, as the command line names them. */
export const KINDS = ['vip', 'pool', 'backend', 'health-check'] as const;
export type Kind = (typeof KINDS)[number];

/** Kinds that can be looked at as well. */
export const SHOWN_KINDS = [
  ...KINDS,
  'server-id',
  'source-route',
  'global-flow',
  'flow',
  'revision',
  'node',
  'option',
] as const;
export type ShownKind = (typeof SHOWN_KINDS)[number];

/** Short for a kind. */
const SHORT: Readonly<Record<string, Kind>> = { hc: 'health-check', healthcheck: 'health-check' };

const MAX_PORT = 65535;
const MAX_WEIGHT = 65535;

/** A reader of one of several kinds, which throws InvalidArgumentError; plurals and short forms do as well. */
export function kindOf<K extends string>(kinds: readonly K[]): (text: string) => K {
  return (text) => {
    const single = text.toLowerCase().replace(/s$/, '');
    const kind = kinds.find((name) => name === (SHORT[single] ?? single));
    if (kind === undefined) throw new InvalidArgumentError(`It is one of: ${kinds.join(', ')}.`);
    return kind;
  };
}

/** The argument of a command for several kinds. */
export const kindArgument = <K extends string>(kinds: readonly K[]): Argument =>
  // The choices are for help and completion; plurals and short forms are understood as well.
  new Argument('<kind>', 'kind of resource').choices(kinds).argParser(kindOf(kinds));

/** A reader of whole numbers within bounds, for an option or an argument. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`${text} is not in ${min}..${max}.`);
    return value;
  };
}

export const parsePort = wholeNumber(0, MAX_PORT);
export const parseWeight = wholeNumber(0, MAX_WEIGHT);
export const parseWorker = wholeNumber(0, 0xffffffff);
export const parsePercent = wholeNumber(0, 100);

/** A reader of an option that may be given several times. */
export const several = (text: string, before?: readonly string[]): readonly string[] => [
  ...(before ?? []),
  text,
];

/** Resource name of a VIP: its id, or the name itself. */
export const vipName = (text: string): string => (text.startsWith('vips/') ? text : `vips/${text}`);

/** Resource name of a pool: its id, or the name itself. */
export const poolName = (text: string): string => (text.startsWith('pools/') ? text : `pools/${text}`);

/** Resource name of a health check: its id, or the name itself. */
export const checkName = (text: string): string =>
  text.startsWith('healthChecks/') ? text : `healthChecks/${text}`;

/**
 * Resource name of a backend: POOL/BACKEND, or the name itself.
 * @throws CliError of wrong usage
 */
export function backendName(text: string): string {
  if (/^pools\/[^/]+\/backends\/[^/]+$/.test(text)) return text;
  const match = /^([^/]+)\/([^/]+)$/.exec(text);
  if (!match) throw usageError(`backend: "${text}" is not of the form POOL/BACKEND`);
  return `pools/${match[1]}/backends/${match[2]}`;
}

const NAMES: Readonly<Record<Kind, (text: string) => string>> = {
  vip: vipName,
  pool: poolName,
  backend: backendName,
  'health-check': checkName,
};

/** Resource name of a kind. */
export const nameOf = (kind: Kind, text: string): string => NAMES[kind](text);

/** How the command line writes a resource's name: the id, POOL/BACKEND for a backend. */
export function shortName(name: string): string {
  return name.replace(/^(vips|pools|healthChecks)\//, '').replace('/backends/', '/');
}

/** The last part of a name, and what stands before it. */
export function splitName(name: string): { readonly parent: string; readonly id: string } {
  const id = name.slice(name.lastIndexOf('/') + 1);
  return { id, parent: name.replace(/\/backends\/[^/]*$/, '') };
}
