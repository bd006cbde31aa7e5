/** Names that a word can be one of, which only a server, a file or the system knows. */
export const NAME_SOURCES = [
  'vip',
  'pool',
  'backend',
  'health-check',
  'server-id',
  'source-route',
  'revision',
  'worker',
  'host',
  'context',
  'interface',
  'map',
  'code',
  'option',
] as const;
export type NameSource = (typeof NAME_SOURCES)[number];
export type Source = NameSource | 'files' | 'directories';

/** What a placeholder of help stands for. */
const PLACEHOLDERS: Readonly<Record<string, Source>> = {
  vip: 'vip',
  pool: 'pool',
  'pool/backend': 'backend',
  check: 'health-check',
  'check-list': 'health-check',
  revision: 'revision',
  worker: 'worker',
  context: 'context',
  interface: 'interface',
  map: 'map',
  'code-or-message': 'code',
  'name=value': 'option',
  file: 'files',
  directory: 'directories',
};

/**
 * What a placeholder stands for.
 * @param option name of the option that it belongs to; undefined for an argument
 * @param positional words before it: a <name> is one of the kind that was given
 */
export function sourceOf(
  placeholder: string,
  option: string | undefined,
  positional: readonly string[],
): Source | undefined {
  if (option === 'interface') return 'interface';
  if (placeholder !== 'name') return PLACEHOLDERS[placeholder];
  const kind = positional[0]?.toLowerCase().replace(/s$/, '');
  if (kind === undefined) return undefined;
  return NAME_SOURCES.find((source) => source === (kind === 'hc' ? 'health-check' : kind));
}
