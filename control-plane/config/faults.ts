import { CodedError } from '../../lb/index.js';

/** What kind of rule a place in the file breaks. */
export type ConfigFaultCode =
  | 'CONFIG_SYNTAX'
  | 'CONFIG_UNKNOWN_KEY'
  | 'CONFIG_MISSING'
  | 'CONFIG_VALUE'
  | 'CONFIG_REFERENCE'
  | 'CONFIG_DUPLICATE'
  | 'CONFIG_CONFLICT'
  | 'CONFIG_LIMIT';

/** Keys and indices from the top of the file. */
export type ConfigPath = readonly (string | number)[];

/** One place of the file that breaks a rule. */
export interface ConfigFault {
  readonly code: ConfigFaultCode;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** `vips[0].port`; '' for the file as a whole. */
  readonly path: string;
  /** As it is written, shortened; undefined where nothing is there. */
  readonly value: string | undefined;
  readonly rule: string;
}

/** A configuration file that cannot be used: all that is wrong with it, in the order of the file. */
export class ConfigError extends CodedError<{
  readonly code: 'CONFIG_INVALID';
  readonly fileName: string;
  readonly faults: readonly ConfigFault[];
}> {
  /** @param faults at least one */
  constructor(fileName: string, faults: readonly ConfigFault[]) {
    const lines = faults.map((fault) => formatFault(fileName, fault));
    super({ code: 'CONFIG_INVALID', fileName, faults }, lines.join('\n'));
  }

  get faults(): readonly ConfigFault[] {
    return this.fault.faults;
  }
}

/** `file:line:column: path: value: rule`, without what there is none of. */
export function formatFault(fileName: string, { line, column, path, value, rule }: ConfigFault): string {
  const parts = [path, value ?? '', rule].filter((part) => part !== '');
  return `${fileName}:${line}:${column}: ${parts.join(': ')}`;
}

/** A path as people write it: `vips[0].port`, `serverIds["10.1"]`. */
export function formatPath(path: ConfigPath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    if (!/^[A-Za-z_][\w-]*$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

const MAX_VALUE_CHARACTERS = 60;

/** A value for a message: one line, shortened. */
export function formatValue(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const text = typeof value === 'string' && /^[\w.:/[\]-]+$/.test(value) ? value : jsonOf(value);
  return text.length > MAX_VALUE_CHARACTERS ? `${text.slice(0, MAX_VALUE_CHARACTERS - 1)}…` : text;
}

/** YAML has numbers and dates that JSON has not. */
function jsonOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  return JSON.stringify(value) ?? String(value);
}
