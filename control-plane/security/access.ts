import { z } from 'zod';
import type { ConfigPath } from '../config/faults.js';
import { ConfigSource } from '../config/source.js';
import { ROLES, type Role } from './caller.js';
import type { SubjectNames } from './subject-names.js';
import type { TokenEntry } from './tokens.js';

/** The role of certificates with a name: exactly this one, or one that a pattern with `*` fits. */
export interface CertificateRule {
  readonly kind: 'uri' | 'dns' | 'cn';
  readonly pattern: string;
  readonly role: Role;
  /** The pattern, compiled. */
  readonly fits: RegExp;
}

/** Who may do what. */
export interface AccessRules {
  /** Role of callers that show nothing, on a Unix socket or on a loopback address without TLS; undefined: none. */
  readonly local: Role | undefined;
  /** The first rule that fits a certificate holds. */
  readonly certificates: readonly CertificateRule[];
  readonly tokens: readonly TokenEntry[];
}

/** Without an access file: whoever reaches the socket of this host runs the load balancer. */
export const DEFAULT_ACCESS: AccessRules = { local: 'admin', certificates: [], tokens: [] };

const role = z.enum(ROLES, { error: () => `is not one of ${ROLES.join(', ')}` });
const text = z.string({ error: () => 'is not a text' }).min(1, 'is empty');
const KINDS = ['uri', 'dns', 'cn'] as const;

const certificateSchema = z
  .strictObject({ uri: text.optional(), dns: text.optional(), cn: text.optional(), role })
  .refine((rule) => KINDS.filter((kind) => rule[kind] !== undefined).length === 1, {
    error: 'has to have one of uri, dns and cn',
  })
  .transform((rule): CertificateRule => {
    const kind = KINDS.find((each) => rule[each] !== undefined) ?? 'cn';
    return certificateRule(kind, rule[kind] ?? '', rule.role);
  });

const tokenSchema = z
  .strictObject({
    name: text.regex(/^[\w.@:/-]{1,128}$/, 'is not 1 to 128 of letters, digits and _ . @ : / -'),
    role,
    sha256: text.regex(/^[0-9a-f]{64}$/, 'is not 64 hexadecimal digits, as "waggle hash-token" prints them'),
    expires: z.iso
      .datetime({ offset: true, error: () => 'is not a time as 2030-01-31T00:00:00Z' })
      .transform((time) => Date.parse(time))
      .optional(),
  })
  .transform(({ expires, ...entry }): TokenEntry => ({ ...entry, expiresMs: expires }));

const accessSchema = z.strictObject({
  local: z
    .enum([...ROLES, 'none'], { error: () => `is not one of ${ROLES.join(', ')}, none` })
    .default('admin'),
  certificates: z.array(certificateSchema, { error: () => 'is not a list' }).default([]),
  tokens: z.array(tokenSchema, { error: () => 'is not a list' }).default([]),
});

/**
 * Read an access file. A value is never quoted in a fault: it may be a secret in the wrong place.
 * @throws ConfigError with all that is wrong, each with its line and column
 */
export function parseAccess(content: string, fileName: string): AccessRules {
  const source = new ConfigSource(content, fileName);
  const result = accessSchema.safeParse(source.data ?? {});
  if (result.success) {
    const { tokens } = result.data;
    reportRepeated(source, tokens, 'name');
    reportRepeated(source, tokens, 'sha256');
  } else {
    for (const issue of result.error.issues) {
      const path = issue.path.filter((part) => typeof part !== 'symbol');
      if (issue.code === 'unrecognized_keys') reportUnknown(source, path, issue.keys);
      else source.fail('CONFIG_VALUE', path, undefined, issue.message);
    }
  }
  source.done();
  if (!result.success) throw result.error;
  const { local, certificates, tokens } = result.data;
  return { local: local === 'none' ? undefined : local, certificates, tokens };
}

const KEYS: Readonly<Record<string, string>> = {
  '': 'local, certificates, tokens',
  certificates: 'uri, dns, cn, role',
  tokens: 'name, role, sha256, expires',
};

function reportUnknown(source: ConfigSource, path: ConfigPath, keys: readonly string[]): void {
  const known = KEYS[String(path[0] ?? '')] ?? '';
  for (const key of keys)
    source.fail('CONFIG_UNKNOWN_KEY', [...path, key], undefined, `is not a key here: the keys are ${known}`);
}

function reportRepeated(source: ConfigSource, tokens: readonly TokenEntry[], key: 'name' | 'sha256'): void {
  const first = new Map<string, number>();
  for (const [i, token] of tokens.entries()) {
    const before = first.get(token[key]);
    if (before === undefined) first.set(token[key], i);
    else {
      const rule = `is there already, on ${source.lineOf(['tokens', before, key])}`;
      source.fail('CONFIG_DUPLICATE', ['tokens', i, key], undefined, rule);
    }
  }
}

/** A rule. In its pattern `**` is any text, `*` any text without the separator of names of that kind. */
export function certificateRule(kind: CertificateRule['kind'], pattern: string, role: Role): CertificateRule {
  const within = kind === 'uri' ? '[^/]+' : '[^.]+';
  // Names of DNS are the same in capitals.
  const parts = (kind === 'dns' ? pattern.toLowerCase() : pattern).split(/(\*\*|\*)/).map((part) => {
    if (part === '**') return '.+';
    return part === '*' ? within : part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&');
  });
  return { kind, pattern, role, fits: new RegExp(`^${parts.join('')}$`, 's') };
}

/** The rule that holds for a certificate, and the name that it fits; undefined: none does. */
export function ruleFor(
  rules: readonly CertificateRule[],
  names: SubjectNames,
): { readonly name: string; readonly role: Role } | undefined {
  for (const rule of rules) {
    const held = { uri: names.uris, dns: names.dns, cn: names.cn === undefined ? [] : [names.cn] }[rule.kind];
    const name = held.find((each) => rule.fits.test(each));
    if (name !== undefined) return { name, role: rule.role };
  }
  return undefined;
}
