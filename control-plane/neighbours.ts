import { type Datapath, formatIp, formatMac, type IpAddress, type Mac } from '../lb/index.js';
import type { Log, NextHops } from './reconcile/reconciler.js';

/** What is known of the next hop towards an address. `mac` is the last one known. */
export interface NextHopStatus {
  readonly state: 'resolved' | 'pending' | 'unreachable';
  readonly mac: Mac | undefined;
  /** Why it is unreachable. */
  readonly reason: string;
}

/** What becomes of a next hop besides that it is found, as it should be. */
export type NextHopTurn = 'lost' | 'found-again' | 'moved';

export interface NeighboursOptions {
  readonly resolve: Datapath['resolveNextHop'];
  /** Called with the backends' addresses, as text, towards which packets are to use another address than before. */
  readonly onChange: (keys: readonly string[]) => void;
  /** Told of what backends' addresses, as text, have to do without, and of the end of it. */
  readonly onTurn?: (key: string, turn: NextHopTurn, status: NextHopStatus) => void;
  readonly log: Log;
  /** A monotonic clock, milliseconds. */
  readonly nowMs: () => number;
  /** What another process used, by address: good until there is another answer. */
  readonly remembered?: ReadonlyMap<string, Mac>;
}

interface Watched {
  readonly key: string;
  readonly address: IpAddress;
  status: NextHopStatus;
  /** It was told that it is lost. */
  isLost: boolean;
  dueMs: number;
  /** Wait before the next attempt while there is no answer. */
  backoffMs: number;
}

/** How long a change waits for next hops: an answer on a link takes far less, and silence must not hold it up. */
const SETTLE_MS = 300;
const FIRST_RETRY_MS = 5;
const MAX_RETRY_MS = 2_000;
/** While the kernel asks: its question goes out once a second, and the answer is to be seen soon. */
const MAX_PENDING_RETRY_MS = 200;
/** How often a next hop that is known is looked at again. */
const REFRESH_MS = 5_000;
const TICK_MS = 100;
/**
 * Look-ups in one tick of next hops that are known, and of others: a hundred a second of each, so that thousands of backends
 * cost no more than hundreds. Past 500 backends each waits for its turn.
 */
const TICK_LOOKUPS = 10;

const PENDING: NextHopStatus = { state: 'pending', mac: undefined, reason: '' };

/**
 * Keeps the Ethernet address towards each backend: from the host's routing and neighbour tables, again every
 * few seconds, and in short steps while there is none. Tells once of each change.
 */
export class Neighbours implements NextHops {
  readonly #options: NeighboursOptions;
  readonly #watched = new Map<string, Watched>();
  /** Those that are known, longest ago looked at first (a Map keeps the order of insertion); and the others. */
  readonly #known = new Map<string, Watched>();
  readonly #open = new Map<string, Watched>();
  #timer: NodeJS.Timeout | undefined;
  #isTicking = false;

  constructor(options: NeighboursOptions) {
    this.#options = options;
  }

  /** Look at next hops until `stop`. */
  start(): void {
    this.#timer ??= setInterval(() => void this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  status(key: string): NextHopStatus {
    return this.#watched.get(key)?.status ?? PENDING;
  }

  mac(key: string): Mac | undefined {
    return this.#watched.get(key)?.status.mac;
  }

  async watch(addresses: ReadonlyMap<string, IpAddress>): Promise<void> {
    const added: Watched[] = [];
    for (const [key, address] of addresses) {
      if (this.#watched.has(key)) continue;
      const mac = this.#options.remembered?.get(key);
      const status: NextHopStatus = { ...PENDING, mac };
      const watched: Watched = {
        key,
        address,
        status,
        isLost: false,
        dueMs: 0,
        backoffMs: FIRST_RETRY_MS,
      };
      this.#watched.set(key, watched);
      this.#open.set(key, watched);
      added.push(watched);
    }
    const deadline = this.#options.nowMs() + SETTLE_MS;
    for (let open = added; open.length > 0; open = open.filter(({ status }) => status.state === 'pending')) {
      for (const watched of open) await this.#look(watched);
      const pending = open.filter(({ status }) => status.state === 'pending');
      const leftMs = deadline - this.#options.nowMs();
      if (pending.length === 0 || leftMs <= 0) {
        for (const { address, status } of pending) {
          if (status.mac !== undefined) continue;
          const fields = { backend: formatIp(address) };
          this.#options.log(
            'warn',
            'next hop not found yet: the backend takes no connections until then',
            fields,
          );
        }
        return;
      }
      await new Promise((resolve) =>
        setTimeout(resolve, Math.min(leftMs, ...pending.map(({ backoffMs }) => backoffMs))),
      );
    }
  }

  forget(keys: Iterable<string>): void {
    for (const key of keys) for (const map of [this.#watched, this.#known, this.#open]) map.delete(key);
  }

  async #tick(): Promise<void> {
    if (this.#isTicking) return;
    this.#isTicking = true;
    try {
      const now = this.#options.nowMs();
      const changed: string[] = [];
      for (const watched of this.#due(now)) {
        const before = watched.status;
        if (await this.#look(watched)) changed.push(watched.key);
        this.#turn(watched, before);
      }
      if (changed.length > 0) this.#options.onChange(changed);
    } finally {
      this.#isTicking = false;
    }
  }

  /** Those that are to be looked at, for this tick. */
  #due(nowMs: number): Watched[] {
    const due: Watched[] = [];
    for (const watched of this.#open.values()) {
      if (due.length === TICK_LOOKUPS) break;
      if (watched.dueMs <= nowMs) due.push(watched);
    }
    const end = due.length + TICK_LOOKUPS;
    for (const watched of this.#known.values()) {
      if (due.length === end || watched.dueMs > nowMs) break;
      due.push(watched);
    }
    return due;
  }

  /** Put one at the end of those that it belongs to; one that was forgotten meanwhile stays forgotten. */
  #file(watched: Watched): void {
    this.#known.delete(watched.key);
    this.#open.delete(watched.key);
    if (this.#watched.get(watched.key) !== watched) return;
    (watched.status.state === 'resolved' ? this.#known : this.#open).set(watched.key, watched);
  }

  /** @returns true when the address that packets are to use has changed */
  async #look(watched: Watched): Promise<boolean> {
    const before = watched.status;
    const found = await this.#resolve(watched.address);
    const after: NextHopStatus =
      'mac' in found
        ? { state: 'resolved', mac: found.mac, reason: '' }
        : 'unreachable' in found
          ? { state: 'unreachable', mac: before.mac, reason: found.reason }
          : { state: 'pending', mac: before.mac, reason: '' };
    watched.status = after;
    if (after.state === 'resolved') watched.backoffMs = FIRST_RETRY_MS;
    else {
      const longest = after.state === 'pending' ? MAX_PENDING_RETRY_MS : MAX_RETRY_MS;
      watched.backoffMs = Math.min(watched.backoffMs * 2, longest);
    }
    watched.dueMs = this.#options.nowMs() + (after.state === 'resolved' ? REFRESH_MS : watched.backoffMs);
    this.#file(watched);
    this.#tell(watched, before);
    return before.mac?.join() !== after.mac?.join();
  }

  async #resolve(address: IpAddress): Promise<ReturnType<NeighboursOptions['resolve']>> {
    try {
      return await this.#options.resolve(address);
    } catch (error) {
      return { unreachable: true, reason: error instanceof Error ? error.message : String(error) };
    }
  }

  #tell({ address, status: after }: Watched, before: NextHopStatus): void {
    const isMoved = before.mac?.join() !== after.mac?.join();
    if (before.state === after.state && before.reason === after.reason && !isMoved) return;
    const fields = { backend: formatIp(address), ...(after.mac && { mac: formatMac(after.mac) }) };
    if (after.state === 'resolved') this.#options.log('info', 'next hop found', fields);
    else if (after.state === 'unreachable') {
      this.#options.log('warn', 'next hop unreachable', { ...fields, reason: after.reason });
    } else if (before.state === 'resolved') this.#options.log('warn', 'next hop no longer answers', fields);
  }

  /** Tell what became of one since the look before: of those of a change under way nobody knows yet. */
  #turn(watched: Watched, before: NextHopStatus): void {
    const { key, status, isLost } = watched;
    if (this.#watched.get(key) !== watched) return;
    const { state, mac } = status;
    // While it is asked for it is what it was, unless it was there.
    watched.isLost =
      state === 'unreachable' || (state === 'pending' && (isLost || before.state === 'resolved'));
    if (watched.isLost !== isLost) this.#options.onTurn?.(key, isLost ? 'found-again' : 'lost', status);
    else if (state === before.state && mac?.join() !== before.mac?.join())
      this.#options.onTurn?.(key, 'moved', status);
  }
}
