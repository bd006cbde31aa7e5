import {
  type Adopted,
  type BalancerTables,
  CodedError,
  type Datapath,
  formatIp,
  formatVip,
  type IpAddress,
  type Mac,
  type VipKey,
} from '../../lb/index.js';
import type { Change } from '../state/changes.js';
import {
  type Backend,
  type BackendRow,
  backendRows,
  type DesiredState,
  EMPTY_STATE,
} from '../state/model.js';
import type { Store } from '../state/store.js';
import { adopt } from './adopt.js';
import { TableWriter } from './apply.js';
import { FlowCensus } from './census.js';
import { effectiveWeight, FULL_SHARE, newImage, type RingImage, type TableImage } from './image.js';
import { type TableImpact, tableImpacts } from './impact.js';
import { Placements } from './placements.js';
import { plan } from './plan.js';
import { ProgramSettings } from './program-settings.js';
import { StateIndex } from './state-index.js';
import { type Difference, differenceOf, type Step, stepOf, takeStep } from './step.js';

export type ReconcileFault =
  | { readonly code: 'RECONCILE_VIP_REFUSED'; readonly vip: string }
  | { readonly code: 'RECONCILE_CANCELLED' }
  | { readonly code: 'RECONCILE_OPTIONS'; readonly revision: number }
  | { readonly code: 'RECONCILE_WRITE'; readonly revision: number };

/** A change that is sound but could not be made true. Nothing has changed. */
export class ReconcileError extends CodedError<ReconcileFault> {}

/** Ethernet addresses towards backends. */
export interface NextHops {
  /** Last known address; undefined where none ever was. */
  mac(key: string): Mac | undefined;
  /** Watch these too; those that are new are looked for, and waited for a moment. */
  watch(addresses: ReadonlyMap<string, IpAddress>): Promise<void>;
  /** Watch these no longer. */
  forget(keys: Iterable<string>): void;
}

/** What a log is told. */
export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

/** What of a change takes time: all of it, writing it to the disk, writing the tables. */
export type ReconcilePhase = 'change' | 'journal' | 'tables';

export interface ReconcilerOptions {
  readonly store: Store;
  readonly datapath: Pick<Datapath, 'protectVips' | 'unprotectVips' | 'setOptions'> & {
    readonly tables: BalancerTables;
  };
  readonly nextHops: NextHops;
  readonly log: Log;
  /** A monotonic clock, milliseconds. */
  readonly nowMs: () => number;
  /** Told how long each phase took, and whether it went well. */
  readonly observe?: (phase: ReconcilePhase, seconds: number, isDone: boolean) => void;
}

export interface ChangeOptions {
  /** Check, and change nothing. */
  readonly validateOnly?: boolean;
  /** Asked before the datapath is touched: true gives the change up. */
  readonly isCancelled?: () => boolean;
  /** Who asks for the change, for history. */
  readonly actor?: string;
  /** Why, for history. */
  readonly comment?: string;
  /** Told once the change is made, with the states around it. */
  readonly committed?: (before: DesiredState, after: DesiredState) => void;
}

/**
 * What is asked for: a change, several as one revision, or whatever else drafts a state of the store, with its author, when the
 * turn has come: what depends on the state that is changed is made there.
 */
export type ChangeRequest = Change | readonly Change[] | ((store: Store) => DesiredState);

/** Backends whose share is not all of their weight: percent, by resource name. */
export type Shares = ReadonlyMap<string, number>;

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
  readonly #nowMs: () => number;
  readonly #observe: ReconcilerOptions['observe'];
  readonly #places: Placements;
  readonly #program: ProgramSettings;
  readonly #writer: TableWriter;
  #shares: Shares = new Map();
  /** What the tables hold, and the state that it was made of. */
  readonly #image = newImage();
  /** Of the state that the tables hold; ahead of it while a change is made. */
  readonly #index = new StateIndex();
  #written: DesiredState = EMPTY_STATE;
  #tail: Promise<unknown> = Promise.resolve();

  constructor({ store, datapath, nextHops, log, nowMs, observe }: ReconcilerOptions) {
    this.#nowMs = nowMs;
    this.#observe = observe;
    this.store = store;
    this.#datapath = datapath;
    this.#nextHops = nextHops;
    this.#log = log;
    this.#program = new ProgramSettings((options) => datapath.setOptions(options));
    this.#writer = new TableWriter(datapath.tables);
    this.flows = new FlowCensus(() => datapath.tables.trackedFlows(), nowMs);
    this.#places = new Placements(datapath.tables.limits, {
      mac: (key) => nextHops.mac(key),
      share: (backend) => this.share(backend),
      flows: () => this.flows.fresh(),
    });
  }

  /** Revision of the desired state that the tables hold. */
  get activeRevision(): number {
    return this.#written.revision;
  }

  /** Row of a backend in the tables; undefined where it has none. */
  realIndex(backend: Backend): number | undefined {
    return this.#places.reals.get(backend.addressKey);
  }

  /** Number of a VIP in the tables; undefined where it has none. */
  vipNumber(name: string): number | undefined {
    return this.#places.vips.get(name);
  }

  /** Share of its pool's ring that a backend has, 0..1; 0 while the pool serves no VIP. */
  tableShare(backend: Backend): number {
    const ring = this.#places.rings.get(backend.pool);
    const index = this.realIndex(backend);
    return ring === undefined || index === undefined ? 0 : this.#writer.share(ring, index);
  }

  /** What the ring of a VIP was made of, by the VIP's name; undefined where the tables do not have it. */
  ringOf(vip: string): RingImage | undefined {
    const { vips, rings } = this.#image;
    const written = vips.get(vip);
    return written && rings.get(written.ring);
  }

  /** Address in a row of backends; undefined where it is empty. */
  addressOf(realIndex: number): IpAddress | undefined {
    return this.#image.reals.get(realIndex)?.address;
  }

  /** Percent of its weight that a backend gets, by resource name: see setShares. */
  share(backend: string): number {
    return this.#shares.get(backend) ?? FULL_SHARE;
  }

  /** The weight that a backend has now, its next hop and its share considered. */
  effectiveWeight(backend: Backend): number {
    const mac = this.#nextHops.mac(backend.addressKey) ?? this.#written.node.routerMac;
    return effectiveWeight(backend, mac, this.share(backend.name));
  }

  /** What it would do to traffic to go from one state to another, by what is known now. */
  impact(before: DesiredState, after: DesiredState): TableImpact[] {
    const flows = this.flows.recent();
    return tableImpacts(before, after, {
      mac: (key) => this.#nextHops.mac(key),
      share: (backend) => this.share(backend),
      flows: (key) => flows.get(this.#places.reals.get(key) ?? 0) ?? 0,
    });
  }

  /**
   * Make the state that the store was opened with true: for the start.
   * @param adopted what the tables hold already; unless given they are empty
   * @throws IdsError, ReconcileError
   */
  restore({ adopted }: { readonly adopted?: Adopted | undefined } = {}): Promise<void> {
    return this.#inTurn(async () => {
      const { state } = this.store;
      await this.#nextHops.watch(addressesOnlyIn(backendRows(state), new Map()));
      await this.#protect([...state.vips.values()].map(({ key }) => key));
      await this.#program.settle(state);
      if (adopted === undefined) {
        await this.#write(differenceOf(this.#index, state));
        return;
      }
      const { image, unused } = adopt(adopted, state, this.#places);
      const step = stepOf(this.#image, differenceOf(this.#index, state), this.#places);
      await this.#take({ from: image, to: step.to, unused }, state);
    });
  }

  /**
   * Make a change: check it, protect new VIPs from the host, put it on the disk, write the tables, commit.
   * @returns the state after it; with `validateOnly` the state that would be
   * @throws StateError, IdsError, ReconcileError, JournalError; nothing has changed then
   */
  change(request: ChangeRequest, options: ChangeOptions = {}): Promise<DesiredState> {
    return this.#inTurn(() => this.#change(this.#draft(request, options), options));
  }

  /**
   * Give backends a part of their weight: 0 takes an unhealthy one out of its ring, 1 to 99 lets one that came back start
   * slowly (under v1, whose slots depend on the weights themselves, that is all of it). Shares are no part of the desired
   * state: there is no revision, and nothing is on the disk. Only rings of pools where a share changes are written.
   * @param shares of all backends that do not have all of their weight; they take the place of those before
   * @throws RangeError for what is no percentage, ReconcileError RECONCILE_WRITE; the shares are as before then
   */
  setShares(shares: Shares): Promise<void> {
    return this.#inTurn(async () => {
      for (const [backend, share] of shares) checkShare(backend, share);
      const before = this.#shares;
      const names = new Set([...before.keys(), ...shares.keys()]);
      const backends = [...names].filter((name) => before.get(name) !== shares.get(name));
      if (backends.length === 0) return;
      this.#shares = new Map(shares);
      try {
        await this.#write(differenceOf(this.#index, this.store.state, { backends }));
      } catch (error) {
        this.#shares = before;
        throw error;
      }
    });
  }

  /**
   * Write what other next hops than before ask for.
   * @param addresses whose next hop changed, as text; all of them unless given
   */
  refresh(addresses?: Iterable<string>): Promise<void> {
    return this.#inTurn(async () => {
      const { state } = this.store;
      await this.#write(
        differenceOf(this.#index, state, { addresses: addresses ?? backendRows(state).keys() }),
      );
    });
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(run);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  #draft(request: ChangeRequest, { actor, comment }: ChangeOptions): DesiredState {
    if (typeof request === 'function') return request(this.store);
    const changes = 'kind' in request ? [request] : request;
    return this.store.draftAll(changes, actor, comment);
  }

  async #change(draft: DesiredState, options: ChangeOptions): Promise<DesiredState> {
    const before = this.store.state;
    if (options.validateOnly || draft === before) return draft;
    const told = this.#clock('change');
    try {
      await this.#make(before, draft, options);
      told(true);
      return draft;
    } catch (error) {
      told(false);
      throw error;
    }
  }

  /** Take the time of a phase from now on; call what it gives at the end. */
  #clock(phase: ReconcilePhase): (isDone: boolean) => void {
    const start = this.#nowMs();
    return (isDone) => this.#observe?.(phase, (this.#nowMs() - start) / 1000, isDone);
  }

  async #make(before: DesiredState, draft: DesiredState, options: ChangeOptions): Promise<void> {
    const difference = differenceOf(this.#index, draft);
    const added = addressesOnlyIn(difference.rowsAfter, difference.rowsBefore);
    let shielded: readonly VipKey[] = [];
    try {
      if (added.size > 0) await this.#nextHops.watch(added);
      const keys = keysOnlyIn(draft, before, difference.vips);
      await this.#protect(keys);
      shielded = keys;
      if (options.isCancelled?.()) {
        throw new ReconcileError(
          { code: 'RECONCILE_CANCELLED' },
          'the caller gave up before the change was made',
        );
      }
      await this.#widen(draft);
      // Before packets see it: what they have seen is never taken back by a crash.
      await this.#record(draft);
      await this.#writeRecorded(difference);
    } catch (error) {
      this.#index.moveTo(before);
      await this.#settle(before);
      await this.#unprotect(shielded);
      this.#nextHops.forget(added.keys());
      throw error;
    }
    this.store.commit(draft);
    options.committed?.(before, draft);
    this.#tell();
    await this.#settle(draft);
    this.#nextHops.forget(addressesOnlyIn(difference.rowsBefore, difference.rowsAfter).keys());
    await this.#unprotect(keysOnlyIn(before, draft, difference.vips));
  }

  /** The program is to have what the tables of a state need. */
  async #widen(state: DesiredState): Promise<void> {
    try {
      await this.#program.widen(state);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ReconcileError(
        { code: 'RECONCILE_OPTIONS', revision: state.revision },
        `the datapath does not run with the options that this needs: ${reason}`,
        { cause },
      );
    }
  }

  /** The tables are those of a state: nothing else is needed of the program. */
  async #settle(state: DesiredState): Promise<void> {
    try {
      await this.#program.settle(state);
    } catch (error) {
      // It has all that it needs, and more: packets go on as they should.
      this.#log('error', 'parts of the program that nothing needs any more are still on', { error });
    }
  }

  async #record(draft: DesiredState): Promise<void> {
    const told = this.#clock('journal');
    try {
      await this.store.record(draft);
      told(true);
    } catch (error) {
      told(false);
      throw error;
    }
  }

  /** Say what the last commit changed. */
  #tell(): void {
    const entry = this.store.history.at(-1);
    if (entry === undefined) return;
    const { revision, action, changed } = entry;
    const name = changed.length === 1 ? changed[0]?.name : undefined;
    const what = name === undefined ? { resources: changed.length } : { name };
    this.#log('info', 'configuration changed', { revision, change: action, ...what });
  }

  async #writeRecorded(difference: Difference): Promise<void> {
    try {
      await this.#write(difference);
    } catch (error) {
      try {
        await this.store.retract(difference.after);
      } catch (fault) {
        this.#log('error', 'a change that was refused is still in the journal', {
          revision: difference.after.revision,
          error: fault,
        });
      }
      throw error;
    }
  }

  /** Keep the host from VIPs: from all of them or from none. */
  async #protect(keys: readonly VipKey[]): Promise<void> {
    if (keys.length === 0) return;
    try {
      await this.#datapath.protectVips(keys);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const vip = formatVip(refusedOf(keys, cause));
      throw new ReconcileError({ code: 'RECONCILE_VIP_REFUSED', vip }, `vip.address: ${vip}: ${reason}`, {
        cause,
      });
    }
  }

  async #unprotect(keys: readonly VipKey[]): Promise<void> {
    if (keys.length === 0) return;
    try {
      await this.#datapath.unprotectVips(keys);
    } catch (error) {
      // The VIPs are out of the tables; what is left is a drop of packets that the host might have wanted.
      const vips = keys.map(formatVip);
      this.#log('error', 'the host is still kept from VIPs that are gone', { vips, error });
    }
  }

  /** Write the tables for the state after a difference; all or nothing. */
  async #write(difference: Difference): Promise<void> {
    try {
      await this.#take(stepOf(this.#image, difference, this.#places), difference.after);
    } catch (error) {
      this.#places.undo();
      throw error;
    }
  }

  async #take(step: Step, state: DesiredState): Promise<void> {
    await this.#apply(step.from, step.to, state.revision);
    takeStep(this.#image, step);
    this.#places.keep(step.unused);
    this.#written = state;
  }

  async #apply(written: TableImage, wanted: TableImage, revision: number): Promise<void> {
    const told = this.#clock('tables');
    const writes = plan(written, wanted);
    try {
      await this.#writer.applyInSlices(writes);
    } catch (cause) {
      told(false);
      this.#rollBack(wanted, written);
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ReconcileError(
        { code: 'RECONCILE_WRITE', revision },
        `the datapath refused the change: ${reason}`,
        { cause },
      );
    }
    told(true);
    this.#log('debug', 'tables written', { revision, writes: writes.length });
  }

  /** Undo a plan that stopped half-way: its inverse as a whole, since writes may be run twice. */
  #rollBack(wanted: TableImage, written: TableImage): void {
    try {
      this.#writer.apply(plan(wanted, written));
    } catch (error) {
      this.#log('error', 'the tables could not be led back to the last revision', { error });
    }
  }
}

function checkShare(backend: string, share: number): void {
  if (Number.isInteger(share) && share >= 0 && share <= FULL_SHARE) return;
  throw new RangeError(`share of ${backend}: ${share} is not a whole number from 0 to ${FULL_SHARE}`);
}

/** Whether packets to an address wait for a next hop: it is another host, without an Ethernet address that was given. */
const needsNextHop = (row: BackendRow | undefined): boolean =>
  row !== undefined && row.mac === undefined && !row.isLocal;

/** Addresses that need a next hop by some rows and not by others. */
function addressesOnlyIn(
  rows: Difference['rowsAfter'],
  others: Difference['rowsAfter'],
): Map<string, IpAddress> {
  const addresses = new Map<string, IpAddress>();
  for (const [key, row] of rows)
    if (needsNextHop(row) && !needsNextHop(others.get(key))) addresses.set(key, row.address);
  return addresses;
}

/** The VIP that a refusal is about: the one whose address it names, else the first. */
function refusedOf(keys: readonly VipKey[], cause: unknown): VipKey {
  const fault: unknown = cause instanceof CodedError ? cause.fault : undefined;
  const address =
    typeof fault === 'object' && fault !== null && 'address' in fault ? fault.address : undefined;
  return keys.find((key) => formatIp(key.address) === address) ?? keys[0]!;
}

/** Keys of VIPs that are in one state and not in the other, whatever the VIPs are called. @param names of all VIPs that differ */
function keysOnlyIn(state: DesiredState, other: DesiredState, names: ReadonlySet<string>): VipKey[] {
  const keysOf = ({ vips }: DesiredState) => [...names].flatMap((name) => vips.get(name)?.key ?? []);
  const others = new Set(keysOf(other).map(formatVip));
  return keysOf(state).filter((key) => !others.has(formatVip(key)));
}
