import {
  type BalancerTables,
  CodedError,
  type Datapath,
  formatVip,
  type IpAddress,
  MAX_VIPS,
  type Mac,
  type VipKey,
} from '../../lb/index.js';
import { MAX_ADDRESS_COUNT } from '../state/backends.js';
import type { Change } from '../state/changes.js';
import { Numbers, RealIndices } from '../state/ids.js';
import {
  type Backend,
  backendAddresses,
  backendName,
  type DesiredState,
  ringsInUse,
} from '../state/model.js';
import type { Store } from '../state/store.js';
import { TableWriter } from './apply.js';
import { FlowCensus } from './census.js';
import { EMPTY_IMAGE, imageOf, type TableImage } from './image.js';
import { plan } from './plan.js';

export type ReconcileFault =
  | { readonly code: 'RECONCILE_VIP_REFUSED'; readonly vip: string }
  | { readonly code: 'RECONCILE_CANCELLED' }
  | { readonly code: 'RECONCILE_WRITE'; readonly revision: number };

/** A change that is sound but could not be made true. Nothing has changed. */
export class ReconcileError extends CodedError<ReconcileFault> {}

/** Ethernet addresses towards backends. */
export interface NextHops {
  /** Last known address; undefined where none ever was. */
  mac(key: string): Mac | undefined;
  /** Watch these and no others; those that are new are looked for, and waited for a moment. */
  watch(addresses: ReadonlyMap<string, IpAddress>): Promise<void>;
}

/** What a log is told. */
export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

export interface ReconcilerOptions {
  readonly store: Store;
  readonly datapath: Pick<Datapath, 'protectVip' | 'unprotectVip'> & { readonly tables: BalancerTables };
  readonly nextHops: NextHops;
  readonly log: Log;
  /** A monotonic clock, milliseconds. */
  readonly nowMs: () => number;
}

export interface ChangeOptions {
  /** Check, and change nothing. */
  readonly validateOnly?: boolean;
  /** Asked before the datapath is touched: true gives the change up. */
  readonly isCancelled?: () => boolean;
  /** Who asks for the change, for history. */
  readonly actor?: string;
}

/**
 * Makes the desired state true in the datapath: the only writer of the tables. Changes run one at a time, each
 * either whole or not at all; packets see its writes one by one, in the order of the plan.
 */
export class Reconciler {
  readonly store: Store;
  readonly flows: FlowCensus;
  readonly #datapath: ReconcilerOptions['datapath'];
  readonly #nextHops: NextHops;
  readonly #log: Log;
  readonly #writer: TableWriter;
  readonly #reals = new RealIndices(MAX_ADDRESS_COUNT);
  readonly #vips = new Numbers('VIPs', MAX_VIPS);
  readonly #rings = new Numbers('rings', MAX_VIPS);
  #written: TableImage = EMPTY_IMAGE;
  #activeRevision = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor({ store, datapath, nextHops, log, nowMs }: ReconcilerOptions) {
    this.store = store;
    this.#datapath = datapath;
    this.#nextHops = nextHops;
    this.#log = log;
    this.#writer = new TableWriter(datapath.tables);
    this.flows = new FlowCensus(() => datapath.tables.trackedFlows(), nowMs);
  }

  /** Revision of the desired state that the tables hold. */
  get activeRevision(): number {
    return this.#activeRevision;
  }

  /** Row of a backend in the tables; undefined where it has none. */
  realIndex(backend: Backend): number | undefined {
    return this.#reals.get(backend.addressKey);
  }

  /** Number of a VIP in the tables; undefined where it has none. */
  vipNumber(name: string): number | undefined {
    return this.#vips.get(name);
  }

  /** Share of its pool's ring that a backend has, 0..1; 0 while the pool serves no VIP. */
  tableShare(backend: Backend): number {
    const ring = this.#rings.get(backend.pool);
    const index = this.realIndex(backend);
    return ring === undefined || index === undefined ? 0 : this.#writer.share(ring, index);
  }

  /**
   * Make the state that the store was opened with true: for the start, when the tables are empty.
   * @throws IdsError, ReconcileError
   */
  restore(): Promise<void> {
    return this.#inTurn(async () => {
      const { state } = this.store;
      await this.#nextHops.watch(backendAddresses(state));
      for (const { key } of state.vips.values()) await this.#protect(key);
      this.#write(state);
      this.#activeRevision = state.revision;
    });
  }

  /**
   * Make a change: check it, protect new VIPs from the host, put it on the disk, write the tables, commit.
   * @returns the state after it; with `validateOnly` the state that would be
   * @throws StateError, IdsError, ReconcileError, JournalError; nothing has changed then
   */
  change(change: Change, options: ChangeOptions = {}): Promise<DesiredState> {
    return this.#inTurn(() => this.#change(change, options));
  }

  /** Write what other next hops than before ask for. */
  refresh(): Promise<void> {
    return this.#inTurn(async () => this.#write(this.store.state));
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(run);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  async #change(change: Change, options: ChangeOptions): Promise<DesiredState> {
    const before = this.store.state;
    const draft = this.store.draft(change, options.actor);
    if (options.validateOnly || draft === before) return draft;
    await this.#nextHops.watch(backendAddresses(draft));
    const added = keysOnlyIn(draft, before);
    const shielded: VipKey[] = [];
    try {
      for (const key of added) {
        await this.#protect(key);
        shielded.push(key);
      }
      if (options.isCancelled?.()) {
        throw new ReconcileError(
          { code: 'RECONCILE_CANCELLED' },
          'the caller gave up before the change was made',
        );
      }
      // Before packets see it: what they have seen is never taken back by a crash.
      await this.store.record(draft);
      await this.#writeRecorded(draft);
    } catch (error) {
      await this.#unprotect(shielded);
      await this.#nextHops.watch(backendAddresses(before));
      throw error;
    }
    this.store.commit(draft);
    this.#activeRevision = draft.revision;
    this.#log('info', 'configuration changed', {
      revision: draft.revision,
      change: change.kind,
      name: nameOf(change),
    });
    await this.#unprotect(keysOnlyIn(before, draft));
    return draft;
  }

  async #writeRecorded(draft: DesiredState): Promise<void> {
    try {
      this.#write(draft);
    } catch (error) {
      try {
        await this.store.retract(draft);
      } catch (fault) {
        this.#log('error', 'a change that was refused is still in the journal', {
          revision: draft.revision,
          error: fault,
        });
      }
      throw error;
    }
  }

  async #protect(key: VipKey): Promise<void> {
    try {
      await this.#datapath.protectVip(key);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const vip = formatVip(key);
      throw new ReconcileError({ code: 'RECONCILE_VIP_REFUSED', vip }, `vip.address: ${vip}: ${reason}`, {
        cause,
      });
    }
  }

  async #unprotect(keys: readonly VipKey[]): Promise<void> {
    for (const key of keys) {
      try {
        await this.#datapath.unprotectVip(key);
      } catch (error) {
        // The VIP is out of the tables; what is left is a drop of packets that the host might have wanted.
        this.#log('error', 'the host is still kept from a VIP that is gone', { vip: formatVip(key), error });
      }
    }
  }

  /** Write the tables for a state; all or nothing. */
  #write(state: DesiredState): void {
    try {
      const wanted = this.#imageOf(state);
      this.#apply(wanted, state.revision);
      this.#written = wanted;
    } catch (error) {
      this.#retain(this.store.state);
      throw error;
    }
    this.#retain(state);
  }

  #apply(wanted: TableImage, revision: number): void {
    const writes = plan(this.#written, wanted);
    try {
      this.#writer.apply(writes);
    } catch (cause) {
      this.#rollBack(wanted, this.#written);
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ReconcileError(
        { code: 'RECONCILE_WRITE', revision },
        `the datapath refused the change: ${reason}`,
        { cause },
      );
    }
    this.#log('debug', 'tables written', { revision, writes: writes.length });
  }

  #imageOf(state: DesiredState): TableImage {
    return imageOf(state, {
      real: (key) => this.#reals.acquire(key, () => this.flows.fresh()),
      ring: (key) => this.#rings.acquire(key),
      vip: (name) => this.#vips.acquire(name),
      mac: (key) => this.#nextHops.mac(key),
    });
  }

  /** Undo a plan that stopped half-way: its inverse as a whole, since writes may be run twice. */
  #rollBack(wanted: TableImage, written: TableImage): void {
    try {
      this.#writer.apply(plan(wanted, written));
    } catch (error) {
      this.#log('error', 'the tables could not be led back to the last revision', { error });
    }
  }

  /** Give back what a state does not use. */
  #retain(state: DesiredState): void {
    this.#reals.retain(new Set(backendAddresses(state).keys()));
    this.#rings.retain(new Set(ringsInUse(state).keys()));
    this.#vips.retain(new Set(state.vips.keys()));
  }
}

/** What a change is about, for the log. */
function nameOf(change: Change): string {
  if ('name' in change) return change.name;
  return change.kind === 'create-backend' ? backendName(change.pool, change.id) : change.id;
}

function keysOnlyIn(state: DesiredState, other: DesiredState): VipKey[] {
  return [...state.vips.values()].filter(({ name }) => !other.vips.has(name)).map(({ key }) => key);
}
