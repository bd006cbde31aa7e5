import type { Log } from '../reconcile/reconciler.js';
import { type AccessRules, DEFAULT_ACCESS, parseAccess } from './access.js';
import { readSecurityFile, readTls, type TlsFiles, type TlsMaterial } from './certificates.js';
import { FileWatch } from './watch-files.js';

export interface SecurityFilesOptions {
  /** undefined: clear text. */
  readonly tls?: TlsFiles | undefined;
  /** Who may do what; undefined: `DEFAULT_ACCESS`. */
  readonly accessFile?: string | undefined;
  readonly log: Log;
}

interface Content {
  readonly tls: TlsMaterial | undefined;
  readonly rules: AccessRules;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** A certificate that ends so soon is said to. */
const SOON_DAYS = 14;

/**
 * Certificates and access rules as their files have them now: read again when the files change. Files that cannot be
 * used are said to be so, and what was read before goes on being used, all of it.
 */
export class SecurityFiles {
  readonly #options: SecurityFilesOptions;
  readonly #onChange = new Set<() => void>();
  readonly #watch: FileWatch;
  #content: Content;
  #reading: Promise<unknown> = Promise.resolve();

  private constructor(options: SecurityFilesOptions, content: Content) {
    this.#options = options;
    this.#content = content;
    const { tls, accessFile, log } = options;
    const files = [tls?.certFile, tls?.keyFile, tls?.clientCaFile, accessFile];
    this.#watch = new FileWatch(
      files.filter((file) => file !== undefined),
      () => void this.reload(),
      (directory, error) =>
        log('warn', 'a directory cannot be watched: its files are read again only on SIGHUP', {
          directory,
          error,
        }),
    );
  }

  /** @throws SecurityError, ConfigError */
  static async open(options: SecurityFilesOptions): Promise<SecurityFiles> {
    const content = await read(options);
    sayIfExpiring(options.log, content.tls);
    return new SecurityFiles(options, content);
  }

  get rules(): AccessRules {
    return this.#content.rules;
  }

  get tls(): TlsMaterial | undefined {
    return this.#content.tls;
  }

  /** Told after each change of what the files hold. */
  onChange(listener: () => void): void {
    this.#onChange.add(listener);
  }

  /** Read the files again, as on SIGHUP. Never throws: faults are logged. Resolves to whether the files could be used. */
  reload(): Promise<boolean> {
    const turn = this.#reading.then(() => this.#reload());
    this.#reading = turn;
    return turn;
  }

  async #reload(): Promise<boolean> {
    const { log } = this.#options;
    let content: Content;
    try {
      content = await read(this.#options);
    } catch (error) {
      log('error', 'certificates or access rules cannot be used: those of before stay', { error });
      return false;
    }
    if (isSame(content, this.#content)) return true;
    this.#content = content;
    log('info', 'certificates and access rules are read again', {
      ...(content.tls && {
        certificate: content.tls.fingerprint,
        expires: new Date(content.tls.expiresMs).toISOString(),
      }),
      certificateRules: content.rules.certificates.length,
      accessTokens: content.rules.tokens.length,
    });
    sayIfExpiring(log, content.tls);
    for (const listener of this.#onChange) listener();
    return true;
  }

  /** Idempotent. */
  close(): void {
    this.#watch.close();
    this.#onChange.clear();
  }
}

async function read({ tls, accessFile }: SecurityFilesOptions): Promise<Content> {
  return {
    tls: tls && (await readTls(tls)),
    rules:
      accessFile === undefined
        ? DEFAULT_ACCESS
        : parseAccess((await readSecurityFile(accessFile)).toString('utf8'), accessFile),
  };
}

function isSame(a: Content, b: Content): boolean {
  const bytes = (buffer: Buffer | undefined) => buffer?.toString('base64');
  const isSameTls = (['cert', 'key', 'clientCa'] as const).every(
    (part) => bytes(a.tls?.[part]) === bytes(b.tls?.[part]),
  );
  return isSameTls && JSON.stringify(a.rules) === JSON.stringify(b.rules);
}

function sayIfExpiring(log: Log, tls: TlsMaterial | undefined): void {
  if (tls === undefined) return;
  const leftMs = tls.expiresMs - Date.now();
  const expires = new Date(tls.expiresMs).toISOString();
  if (leftMs < 0) log('error', "the server's certificate has expired", { expires });
  else if (leftMs < SOON_DAYS * DAY_MS) log('warn', "the server's certificate expires soon", { expires });
}
