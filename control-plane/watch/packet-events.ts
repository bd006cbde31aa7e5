import {
  type BalancerTables,
  type EventSource,
  type FrameFlow,
  formatIp,
  frameFlow,
  type IpAddress,
  type PacketEvent,
  REASONS,
} from '../../lb/index.js';
import type { Log, Reconciler } from '../reconcile/reconciler.js';
import type { DesiredState } from '../state/model.js';
import type { EventLog, NewEvent } from './event-log.js';
import type { EventType } from './event-types.js';

/** Packets that are noted in a second; in a flood they would wash all else out of the log. */
const MAX_PER_SECOND = 100;
const SECOND_MS = 1_000;
/** How long one wait for packets lasts. */
const WAIT_MS = 500;
/** Packets that are read at once. */
const BATCH = 256;

export interface PacketEventsOptions {
  readonly source: EventSource;
  /** Turned on while somebody reads: nobody else empties the ring. */
  readonly tables: Pick<BalancerTables, 'setEvents'>;
  /** Knows the VIPs by their numbers. */
  readonly reconciler: Pick<Reconciler, 'store' | 'vipNumber'>;
  readonly events: EventLog;
  readonly log: Log;
  /** A monotonic clock, ms. */
  readonly nowMs?: () => number;
}

/** Type of the event of each kind of packet, and what happens to the packet. */
const KINDS: Readonly<
  Record<PacketEvent['kind'], { readonly type: EventType; readonly says: (event: PacketEvent) => string }>
> = {
  drop: { type: 'packet.dropped', says: ({ reason }) => `was dropped: it ${REASONS[reason].says}` },
  tcp_nonsyn_lru_miss: {
    type: 'packet.tcp_miss',
    says: () => 'is of a connection that no table knows: the ring chose its backend',
  },
  packet_too_big: { type: 'packet.too_big', says: () => 'does not fit the path with its outer header' },
  quic_unknown_server: {
    type: 'packet.unknown_server',
    says: () => 'has a server id that is mapped to no backend',
  },
};

const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6' };

const endText = (address: IpAddress, port: number | undefined): string => {
  const text = formatIp(address);
  if (port === undefined) return text;
  return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
};

function flowText({ source, destination, protocol, ports }: FrameFlow): string {
  const name = PROTOCOL_NAMES[protocol] ?? `protocol ${protocol}`;
  return `${name} ${endText(source, ports?.source)} -> ${endText(destination, ports?.destination)}`;
}

/** The event of a packet. @param vip name of its VIP; '' for none */
export function packetEvent(event: PacketEvent, vip: string): NewEvent {
  const { type, says } = KINDS[event.kind];
  const flow = frameFlow(event.data);
  return {
    type,
    resource: vip,
    message: `${flow ? flowText(flow) : 'a packet'}, ${event.packetBytes} bytes, ${says(event)}`,
    attributes: {
      reason: event.reason,
      bytes: String(event.packetBytes),
      ...(flow && {
        protocol: PROTOCOL_NAMES[flow.protocol] ?? String(flow.protocol),
        source_address: formatIp(flow.source),
        destination_address: formatIp(flow.destination),
        ...(flow.ports && {
          source_port: String(flow.ports.source),
          destination_port: String(flow.ports.destination),
        }),
      }),
    },
  };
}

/** Notes the packets that the balancer's program reports: some of them where there are many, and how many it left out. */
export class PacketEvents {
  readonly #options: PacketEventsOptions;
  #running: Promise<void> | undefined;
  readonly #stopped = new AbortController();
  #second = 0;
  #noted = 0;
  #leftOut = 0;
  /** Names of VIPs by number, as of a state. */
  #names: { readonly state: DesiredState; readonly byNumber: ReadonlyMap<number, string> } | undefined;

  constructor(options: PacketEventsOptions) {
    this.#options = options;
  }

  /** Have packets reported, and read until `stop`. */
  start(): void {
    if (this.#running !== undefined) return;
    this.#options.tables.setEvents(true);
    this.#running = this.#run().catch((error: unknown) =>
      this.#options.log('error', 'packets that the program reports are not read any more', { error }),
    );
  }

  /** Resolves when nothing is read any more: the source may be closed then. Idempotent. */
  async stop(): Promise<void> {
    if (this.#running === undefined || this.#stopped.signal.aborted) return this.#running;
    this.#stopped.abort();
    this.#options.tables.setEvents(false);
    await this.#running;
  }

  /** Note what has come. */
  read(): void {
    for (const event of this.#options.source.read(BATCH)) {
      if (!this.#mayNote()) continue;
      const { attributes, ...noted } = packetEvent(event, this.#vipName(event.vipNumber));
      const leftOut = this.#leftOut > 0 && { left_out: String(this.#leftOut) };
      this.#leftOut = 0;
      this.#options.events.emit({ ...noted, attributes: { ...attributes, ...leftOut } });
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) if (await this.#options.source.wait(WAIT_MS, signal)) this.read();
  }

  #vipName(number: number | undefined): string {
    if (number === undefined) return '';
    const { reconciler } = this.#options;
    const { state } = reconciler.store;
    if (this.#names?.state !== state) {
      const names = [...state.vips.keys()];
      const byNumber = new Map(names.map((name) => [reconciler.vipNumber(name) ?? -1, name] as const));
      this.#names = { state, byNumber };
    }
    return this.#names.byNumber.get(number) ?? '';
  }

  #mayNote(): boolean {
    const { nowMs = () => performance.now() } = this.#options;
    const second = Math.floor(nowMs() / SECOND_MS);
    if (second !== this.#second) {
      this.#second = second;
      this.#noted = 0;
    }
    if (++this.#noted <= MAX_PER_SECOND) return true;
    this.#leftOut++;
    return false;
  }
}
