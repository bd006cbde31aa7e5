import { InvalidArgumentError } from 'commander';
import { usageError } from './faults.js';

/** Kinds of resources as the command line names them; plurals do as well. */
export const KINDS = ['vip', 'pool', 'backend'] as const;
export type Kind = (typeof KINDS)[number];

const MAX_PORT = 65535;
const MAX_WEIGHT = 65535;

/** @throws InvalidArgumentError */
export function parseKind(text: string): Kind {
  const kind = KINDS.find((name) => text === name || text === `${name}s`);
  if (kind === undefined) throw new InvalidArgumentError(`It is one of: ${KINDS.join(', ')}.`);
  return kind;
}

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

/** Resource name of a VIP: its id, or the name itself. */
export const vipName = (text: string): string => (text.startsWith('vips/') ? text : `vips/${text}`);

/** Resource name of a pool: its id, or the name itself. */
export const poolName = (text: string): string => (text.startsWith('pools/') ? text : `pools/${text}`);

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

/** Resource name of a kind. */
export function nameOf(kind: Kind, text: string): string {
  if (kind === 'vip') return vipName(text);
  return kind === 'pool' ? poolName(text) : backendName(text);
}

/** How the command line writes a resource's name: the id, POOL/BACKEND for a backend. */
export function shortName(name: string): string {
  return name.replace(/^(vips|pools)\//, '').replace('/backends/', '/');
}

/** The last part of a name, and what stands before it. */
export function splitName(name: string): { readonly parent: string; readonly id: string } {
  const id = name.slice(name.lastIndexOf('/') + 1);
  return { id, parent: name.replace(/\/backends\/[^/]*$/, '') };
}
