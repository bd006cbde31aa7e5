import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  FLOWS_START,
  type FlowPlace,
  formatIp,
  type Prefix,
  ringSlotOf,
  type TrackedFlow,
} from '../../lb/index.js';
import { fieldError } from '../state/faults.js';
import type { DesiredState, Vip } from '../state/model.js';
import { Checks, find } from '../state/validate.js';
import type { Surroundings } from './conduct.js';
import type { ApiContext } from './context.js';
import { PROTOCOLS, timestampOf } from './convert-values.js';
import type { ListFlowsRequest__Output } from './generated/waggle/v1/ListFlowsRequest.js';
import type { StatsServiceHandlers } from './generated/waggle/v1/StatsService.js';
import type { TrackedFlow as ProtoFlow } from './generated/waggle/v1/TrackedFlow.js';
import { decodeToken, encodeToken, pageSize } from './page.js';
import { unary } from './unary.js';
import { addressOf, VipIndex } from './vip-index.js';

/** Entries that are read before others get their turn. */
const BATCH = 512;
/** Entries that are read for one page: of a filter that hardly anything matches, a page may be short or empty. */
const MAX_READ = 262_144;

/** Where a page begins: a place in the tables, and how many entries of what is read there are on pages before. */
interface PageStart {
  readonly place: FlowPlace;
  readonly skip: number;
}

function encodePlace({ place: { table, from }, skip }: PageStart): string {
  return [table, from === undefined ? '' : Buffer.from(from).toString('hex'), skip].join(':');
}

const PLACE = /^(\d{1,5}):((?:[0-9a-f]{8})?):(\d{1,6})$/;

/** @throws StateError STATE_FIELDS for what no page ended with */
function decodePlace(text: string): PageStart {
  const [, table, from, skip] = PLACE.exec(text) ?? [];
  if (table === undefined || from === undefined)
    throw fieldError('page_token', 'was not given by this list: begin without one');
  const bytes = from === '' ? undefined : Uint8Array.from(Buffer.from(from, 'hex'));
  return { place: { table: Number(table), from: bytes }, skip: Number(skip) };
}

/** What is asked for. */
interface Wanted {
  readonly vip: string;
  readonly backend: string;
  readonly client: Prefix | undefined;
}

/** @throws StateError STATE_FIELDS, STATE_NOT_FOUND */
function wantedOf({ vip, backend, client }: ListFlowsRequest__Output, state: DesiredState): Wanted {
  const checks = new Checks();
  if (vip !== '') checks.name('vip', 'vip', vip);
  if (backend !== '') checks.name('backend', 'backend', backend);
  const prefix = client === '' ? undefined : checks.prefix('client', client);
  checks.done();
  if (vip !== '') find(state.vips, 'vip', vip);
  if (backend !== '') find(state.backends, 'backend', backend);
  return { vip, backend, client: prefix };
}

/** True for an address, as the tables hold it, that begins as a prefix does. */
function isWithin(bytes: Uint8Array, { address, bits }: Prefix): boolean {
  return address.bytes.every((byte, i) => {
    const mask = ~(0xff >> Math.min(Math.max(bits - 8 * i, 0), 8)) & 0xff;
    return (bytes[i]! & mask) === byte;
  });
}

/** What of the configuration entries are named by. */
class FlowNames {
  readonly #context: ApiContext;
  readonly #vips: VipIndex;
  /** By pool and row. */
  readonly #backends = new Map<string, string>();

  constructor(context: ApiContext) {
    const { reconciler } = context;
    const { state } = reconciler.store;
    this.#context = context;
    this.#vips = new VipIndex(state.vips.values());
    for (const backend of state.backends.values()) {
      const real = reconciler.realIndex(backend);
      if (real !== undefined) this.#backends.set(`${backend.pool} ${real}`, backend.name);
    }
  }

  vip({ dst, dport, protocol }: TrackedFlow): Vip | undefined {
    return this.#vips.find(dst, dport, protocol);
  }

  backend({ real }: TrackedFlow, vip: Vip | undefined): string {
    return this.#backends.get(`${vip?.pool} ${real}`) ?? '';
  }

  /** @param nowNs monotonic, of the time `nowMs` since 1970 */
  toProto(flow: TrackedFlow, nowNs: bigint, nowMs: number): ProtoFlow {
    const { src, dst, sport, dport, protocol, real, lastPacketNs, cpu } = flow;
    const vip = this.vip(flow);
    const destination = addressOf(dst, vip?.key.address.family);
    const source = addressOf(src, destination.family);
    return {
      tuple: {
        sourceAddress: formatIp(source),
        sourcePort: sport,
        destinationAddress: formatIp(destination),
        destinationPort: dport,
        protocol: PROTOCOLS[protocol],
      },
      vip: vip?.name ?? '',
      backendAddress: this.#address(real),
      backend: this.backend(flow, vip),
      ringBackendAddress: vip === undefined ? '' : this.#ringAddress(vip, { src: source, sport, dport }),
      ...(lastPacketNs !== undefined && {
        lastPacketTime: timestampOf(nowMs - Number(nowNs - lastPacketNs) / 1e6),
      }),
      worker: cpu ?? 0,
    };
  }

  #ringAddress(vip: Vip, flow: Parameters<typeof ringSlotOf>[0]): string {
    const { reconciler, datapath } = this.#context;
    const number = reconciler.vipNumber(vip.name);
    if (number === undefined) return '';
    return this.#address(datapath.tables.ringRealAt(number, ringSlotOf(flow, vip.flags)));
  }

  #address(real: number): string {
    const address = this.#context.reconciler.addressOf(real);
    return address === undefined ? '' : formatIp(address);
  }
}

/** ListFlows of waggle.v1.StatsService: the tables are read piece by piece, and others have their turn in between. */
export function flowHandlers(
  context: ApiContext,
  around: Surroundings,
): Pick<StatsServiceHandlers, 'ListFlows'> {
  const { tables } = context.datapath;
  const { store } = context.reconciler;
  // Page after page asks for them.
  let known: { readonly state: DesiredState; readonly names: FlowNames } | undefined;
  const namesOf = (state: DesiredState): FlowNames => {
    if (known?.state !== state) known = { state, names: new FlowNames(context) };
    return known.names;
  };
  return {
    ListFlows: unary(around, 'ListFlows', async (request) => {
      const wanted = wantedOf(request, store.state);
      const size = pageSize(request.pageSize);
      const scope = ['flows', wanted.vip, wanted.backend, request.client].join(' ');
      let start: PageStart | undefined =
        request.pageToken === ''
          ? { place: FLOWS_START, skip: 0 }
          : decodePlace(decodeToken(scope, request.pageToken));
      const names = namesOf(store.state);
      const isWanted = (flow: TrackedFlow): boolean => {
        if (wanted.client !== undefined && !isWithin(flow.src, wanted.client)) return false;
        if (wanted.vip === '' && wanted.backend === '') return true;
        const vip = names.vip(flow);
        if (wanted.vip !== '' && vip?.name !== wanted.vip) return false;
        return wanted.backend === '' || names.backend(flow, vip) === wanted.backend;
      };
      const found: TrackedFlow[] = [];
      for (let read = 0; start !== undefined && found.length < size && read < MAX_READ; ) {
        const { place, skip }: PageStart = start;
        const batch = tables.flowsFrom(place, BATCH);
        start = batch.next && { place: batch.next, skip: 0 };
        for (const [i, flow] of batch.flows.entries()) {
          if (i < skip || !isWanted(flow)) continue;
          found.push(flow);
          if (found.length < size) continue;
          if (i + 1 < batch.flows.length) start = { place, skip: i + 1 };
          break;
        }
        read += BATCH;
        await nextTurn();
      }
      const [nowNs, nowMs] = [process.hrtime.bigint(), Date.now()];
      return {
        flows: found.map((flow) => names.toProto(flow, nowNs, nowMs)),
        nextPageToken: start === undefined ? '' : encodeToken(scope, encodePlace(start)),
      };
    }),
  };
}
