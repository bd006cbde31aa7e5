/** Names that a certificate gives its holder. */
export interface SubjectNames {
  readonly uris: readonly string[];
  readonly dns: readonly string[];
  /** Common name; not given where it has several. */
  readonly cn: string | undefined;
}

/** The parts of Node's view of a certificate that names are read from. */
export interface PeerNames {
  readonly subjectaltname?: string | undefined;
  readonly subject?: { readonly CN?: unknown } | undefined;
}

/**
 * Names of a verified certificate. Node gives the alternative names as one text, `URI:a, DNS:b`, and writes a name that
 * holds a comma or a quote as a JSON string: a name is never more than one name.
 */
export function subjectNames({ subjectaltname = '', subject }: PeerNames): SubjectNames {
  const uris: string[] = [];
  const dns: string[] = [];
  for (const { kind, value } of alternativeNames(subjectaltname)) {
    if (kind === 'URI') uris.push(value);
    if (kind === 'DNS') dns.push(value.toLowerCase());
  }
  const cn = subject?.CN;
  return { uris, dns, cn: typeof cn === 'string' && cn !== '' ? cn : undefined };
}

const NAME = /([A-Za-z][A-Za-z0-9 ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/** Empty for a text that is not wholly of the form: half-understood names are none. */
function alternativeNames(text: string): { kind: string; value: string }[] {
  const names: { kind: string; value: string }[] = [];
  NAME.lastIndex = 0;
  while (NAME.lastIndex < text.length) {
    const match = NAME.exec(text);
    if (match === null) return [];
    const [, kind = '', raw = ''] = match;
    const value = raw.startsWith('"') ? jsonString(raw) : raw;
    if (value === undefined) return [];
    names.push({ kind, value });
  }
  return names;
}

function jsonString(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
