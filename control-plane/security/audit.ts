import type { Log } from '../reconcile/reconciler.js';
import { AuditFile, type AuditFileOptions } from './audit-file.js';
import type { Caller, ResourceChange } from './caller.js';
import { TokenBucket } from './rate-limit.js';
import { redact } from './redact.js';

/** One call that changed something, or that was refused. */
export interface AuditEntry {
  readonly requestId: string;
  /** undefined: it did not say who it is. */
  readonly caller: Caller | undefined;
  /** ADDRESS:PORT of the caller's end. */
  readonly address: string;
  /** As `waggle.v1.VipService/CreateVip`. */
  readonly method: string;
  /** Name of the resource that was asked for; '' where the request names none. */
  readonly resource: string;
  /** Fields of the request's `update_mask`. */
  readonly fields: readonly string[];
  /** Name of the gRPC status. */
  readonly result: string;
  /** Why it was refused or failed. */
  readonly reason?: string | undefined;
  /** Revision of the configuration that the call made. */
  readonly revision?: number | undefined;
  readonly changes: readonly ResourceChange[];
}

export interface AuditOptions extends AuditFileOptions {
  /**
   * What to do while the file cannot be written. `refuse`: no change is made. `continue`: changes are made, and their
   * entries stand whole in the log, as errors: a full disk must not keep an operator from draining a host.
   */
  readonly onFault?: 'refuse' | 'continue' | undefined;
}

/** Refused calls that are recorded, in the long run and at once: a stranger must not flush the entries of others out. */
const REFUSALS = { perSecond: 5, burst: 100 };

/**
 * Who changed what: a line of JSON for each call that changes something and for each that was refused, in a file of its
 * own where there is one, and in short in the log.
 */
export class AuditLog {
  readonly #file: AuditFile | undefined;
  readonly #onFault: 'refuse' | 'continue';
  readonly #log: Log;
  readonly #refusals: TokenBucket;
  readonly #nowMs: () => number;
  #suppressed = 0;

  private constructor(
    file: AuditFile | undefined,
    onFault: 'refuse' | 'continue',
    log: Log,
    nowMs: () => number,
  ) {
    this.#file = file;
    this.#onFault = onFault;
    this.#log = log;
    this.#nowMs = nowMs;
    this.#refusals = new TokenBucket(REFUSALS, nowMs());
  }

  /**
   * @param options undefined: the log alone
   * @param nowMs milliseconds since 1970
   * @throws AuditError where the file cannot be written
   */
  static async open(
    options: AuditOptions | undefined,
    log: Log,
    nowMs: () => number = Date.now,
  ): Promise<AuditLog> {
    const file = options && (await AuditFile.open(options));
    return new AuditLog(file, options?.onFault ?? 'continue', log, nowMs);
  }

  /**
   * Before a change is made: where entries must not be lost, it is tried first whether they can be written.
   * @throws AuditError AUDIT_WRITE
   */
  async ready(): Promise<void> {
    if (this.#onFault === 'refuse') await this.#file?.probe();
  }

  /** Record a call. Never throws: the change is made, and what cannot be written to the file is in the log. */
  async record(entry: AuditEntry): Promise<void> {
    const line = this.#line(entry);
    this.#log(entry.result === 'OK' ? 'info' : 'warn', 'audit', {
      requestId: entry.requestId,
      caller: entry.caller?.name ?? '',
      role: entry.caller?.role ?? '',
      address: entry.address,
      method: entry.method,
      resource: entry.resource,
      result: entry.result,
      ...(entry.reason !== undefined && { reason: entry.reason }),
      ...(entry.revision !== undefined && { revision: entry.revision }),
    });
    try {
      await this.#file?.append(`${JSON.stringify(line)}\n`);
    } catch (error) {
      this.#log('error', 'the audit file cannot be written: the entry stands here alone', {
        error,
        entry: line,
      });
    }
  }

  /** Record a call that was refused for who made it; of too many at once, their number. */
  async recordRefusal(entry: AuditEntry): Promise<void> {
    if (this.#refusals.waitMs(this.#nowMs()) > 0) {
      this.#suppressed += 1;
      return;
    }
    this.#refusals.take();
    await this.record(entry);
  }

  #line({ caller, changes, ...entry }: AuditEntry): unknown {
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    return redact({
      time: new Date(this.#nowMs()).toISOString(),
      ...entry,
      caller: caller && { name: caller.name, role: caller.role ?? '', via: caller.via },
      changes,
      ...(suppressed > 0 && { refusalsNotRecorded: suppressed }),
    });
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await this.#file?.close();
  }
}
