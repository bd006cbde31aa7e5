import { readFileSync } from 'node:fs';
import { type Context, contextOf, contextsPath, fileOf, readContexts } from './contexts.js';
import { CliError, EXIT, usageError } from './faults.js';

/** Where a server listens that says nothing else. */
export const DEFAULT_SERVER = '127.0.0.1:9443';

/** Flags that say which server, and who asks; undefined where a flag was not given. */
export interface ConnectionFlags extends Omit<Context, 'server'> {
  readonly server?: string | undefined;
  readonly context?: string | undefined;
}

/** PEM files of TLS, read. */
export interface ClientTls {
  /** Authorities that the server's certificate is checked by; undefined: those of the system. */
  readonly ca: Buffer | undefined;
  /** The client's own, for servers that ask. */
  readonly identity: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  readonly serverName: string | undefined;
}

/** A server, and what it is shown. */
export interface Connection {
  readonly server: string;
  readonly tls: ClientTls | undefined;
  /** Bearer token. */
  readonly token: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Settings before files are read: where each comes from is behind them. */
interface Settings extends Omit<Context, 'server'> {
  readonly server: string;
  readonly token?: string | undefined;
}

/** The context to use; undefined for none. A server that is named leaves the current one out: its credentials are for another. */
function contextInUse(flags: ConnectionFlags, env: Environment): Context | undefined {
  const named = flags.context ?? (flags.server === undefined ? env.WAGGLE_CONTEXT || undefined : undefined);
  const isServerNamed = flags.server !== undefined || Boolean(env.WAGGLE_SERVER);
  if (named === undefined && isServerNamed) return undefined;
  const path = contextsPath(env);
  const contexts = readContexts(path);
  const name = named ?? contexts.current;
  if (name === undefined) return undefined;
  const { ca, cert, key, tokenFile, ...rest } = contextOf(path, contexts, name);
  const file = (value: string | undefined) => (value === undefined ? undefined : fileOf(path, value));
  return { ...rest, ca: file(ca), cert: file(cert), key: file(key), tokenFile: file(tokenFile) };
}

/** First of flags, environment, context and default, setting by setting. */
function settingsOf(flags: ConnectionFlags, env: Environment): Settings {
  const context = contextInUse(flags, env);
  const from = (flag: string | undefined, variable: string, kept: string | undefined) =>
    flag ?? (env[variable] || undefined) ?? kept;
  // A context that a flag names says where its server is, whatever the environment holds.
  const serverOfEnv = flags.context === undefined ? env.WAGGLE_SERVER || undefined : undefined;
  const tokenFile = flags.tokenFile ?? (env.WAGGLE_TOKEN ? undefined : env.WAGGLE_TOKEN_FILE || undefined);
  return {
    server: flags.server ?? serverOfEnv ?? context?.server ?? DEFAULT_SERVER,
    tls: flags.tls ?? context?.tls,
    ca: from(flags.ca, 'WAGGLE_CA', context?.ca),
    cert: from(flags.cert, 'WAGGLE_CERT', context?.cert),
    key: from(flags.key, 'WAGGLE_KEY', context?.key),
    serverName: flags.serverName ?? context?.serverName,
    token: flags.tokenFile === undefined ? env.WAGGLE_TOKEN || undefined : undefined,
    tokenFile: tokenFile ?? (env.WAGGLE_TOKEN ? undefined : context?.tokenFile),
  };
}

function read(what: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CliError(EXIT.usage, `${what}: ${path}: cannot be read (${code})`);
  }
}

function pem(what: string, path: string): Buffer {
  const content = read(what, path);
  if (!content.includes('-----BEGIN ')) throw usageError(`${what}: ${path}: is not a PEM file`);
  return content;
}

function tlsOf({ tls, ca, cert, key, serverName }: Settings): ClientTls | undefined {
  if ((cert === undefined) !== (key === undefined))
    throw usageError(
      `${cert === undefined ? 'cert' : 'key'}: is missing: a certificate and its key go together`,
    );
  if (tls === false || !(tls || ca || cert)) {
    if (serverName !== undefined) throw usageError('server name: goes with TLS: give --tls or --ca');
    return undefined;
  }
  return {
    ca: ca === undefined ? undefined : pem('ca', ca),
    identity:
      cert === undefined || key === undefined ? undefined : { cert: pem('cert', cert), key: pem('key', key) },
    serverName,
  };
}

/** True for an address whose traffic no other host sees. */
const isLocal = (server: string) => /^(unix:|localhost:|127\.\d+\.\d+\.\d+:|\[::1\]:)/.test(server);

function tokenOf({ token, tokenFile, server }: Settings, tls: ClientTls | undefined): string | undefined {
  const found =
    token ?? (tokenFile === undefined ? undefined : read('token file', tokenFile).toString('utf8'));
  if (found === undefined) return undefined;
  const trimmed = found.trim();
  if (!/^[\x21-\x7e]+$/.test(trimmed))
    throw usageError(`token${tokenFile ? ` file: ${tokenFile}` : ''}: is not one word of ASCII characters`);
  if (tls === undefined && !isLocal(server))
    throw usageError(`token: is not sent in clear text to ${server}: give --tls or --ca`);
  return trimmed;
}

/**
 * The server that is asked and what it is shown: flags come before WAGGLE_SERVER, WAGGLE_CONTEXT, WAGGLE_CA, WAGGLE_CERT,
 * WAGGLE_KEY, WAGGLE_TOKEN and WAGGLE_TOKEN_FILE, these before the context, and that before the default.
 * @throws CliError of wrong usage
 */
export function resolveConnection(flags: ConnectionFlags, env: Environment): Connection {
  const settings = settingsOf(flags, env);
  const tls = tlsOf(settings);
  return { server: settings.server, tls, token: tokenOf(settings, tls) };
}
