import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseDocument, stringify } from 'yaml';
import { z } from 'zod';
import { CliError, EXIT } from './faults.js';

/** A server that is known by name: where it is, and what to show it. */
export interface Context {
  /** HOST:PORT, [IPV6]:PORT or unix:PATH. */
  readonly server: string;
  /** Speak TLS; a file of certificates says so as well. */
  readonly tls?: boolean | undefined;
  /** PEM files; a path that is not absolute is read from the folder of the contexts' file. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** File of the bearer token. The token itself is never kept here. */
  readonly tokenFile?: string | undefined;
  /** Name that the server's certificate must have, where it is not that of its address. */
  readonly serverName?: string | undefined;
}

/** The file of contexts. */
export interface Contexts {
  /** Name of the one that is used unless another is asked for. */
  readonly current?: string | undefined;
  readonly contexts: Readonly<Record<string, Context>>;
}

/** What the name of a context may be. */
export const CONTEXT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
export const CONTEXT_NAME_RULE = '1 to 63 letters, digits, ".", "_" and "-", a letter or digit first';

const text = z.string().min(1);
const schema = z.strictObject({
  current: text.optional(),
  contexts: z
    .record(
      z.string().regex(CONTEXT_NAME, `is not ${CONTEXT_NAME_RULE}`),
      z.strictObject({
        server: text,
        tls: z.boolean().optional(),
        ca: text.optional(),
        cert: text.optional(),
        key: text.optional(),
        tokenFile: text.optional(),
        serverName: text.optional(),
      }),
    )
    .default({}),
});

type Environment = Readonly<Record<string, string | undefined>>;

/** Where contexts are kept: WAGGLE_CONFIG, or waggle/contexts.yaml in the user's folder of settings. */
export function contextsPath(env: Environment): string {
  if (env.WAGGLE_CONFIG) return env.WAGGLE_CONFIG;
  // A relative XDG_CONFIG_HOME is to be ignored (XDG Base Directory Specification).
  const base = env.XDG_CONFIG_HOME?.startsWith('/') ? env.XDG_CONFIG_HOME : join(homedir(), '.config');
  return join(base, 'waggle', 'contexts.yaml');
}

/**
 * Read the contexts; no file is no contexts.
 * @throws CliError naming the file, the key and the rule
 */
export function readContexts(path: string): Contexts {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (code === 'ENOENT') return { contexts: {} };
    throw new CliError(EXIT.usage, `${path}: cannot be read (${code})`);
  }
  const document = parseDocument(content);
  const syntax = document.errors[0];
  if (syntax) throw new CliError(EXIT.usage, `${path}: ${syntax.message.split('\n')[0]}`);
  const parsed = schema.safeParse(document.toJS() ?? {});
  if (!parsed.success) {
    const faults = parsed.error.issues.map(
      ({ path: key, message }) => `${key.join('.') || 'the file'}: ${message}`,
    );
    throw new CliError(EXIT.usage, `${path}: ${faults.join('; ')}`);
  }
  const { current, contexts } = parsed.data;
  if (current !== undefined && contexts[current] === undefined)
    throw new CliError(EXIT.usage, `${path}: current: there is no context "${current}"`);
  return parsed.data;
}

/** Write the contexts: whole, or as they were; for the user alone to read. */
export function writeContexts(path: string, contexts: Contexts): void {
  const folder = dirname(path);
  const draft = `${path}.${process.pid}.new`;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(draft, stringify(contexts), { mode: 0o600 });
    chmodSync(draft, 0o600);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CliError(EXIT.refused, `${path}: cannot be written (${code})`);
  }
}

/** A context of the file by name. @throws CliError */
export function contextOf(path: string, { contexts }: Contexts, name: string): Context {
  const context = contexts[name];
  if (context !== undefined) return context;
  const names = Object.keys(contexts);
  const known = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
  throw new CliError(EXIT.usage, `context: there is no "${name}" in ${path}; ${known}`);
}

/** A file that a context names, from the folder of the contexts' file on. */
export const fileOf = (contextsFile: string, path: string): string => resolve(dirname(contextsFile), path);
