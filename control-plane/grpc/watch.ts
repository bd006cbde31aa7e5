import { fieldError } from '../state/faults.js';
import { type Backend, type DesiredState, NAME_FORMS, type Vip } from '../state/model.js';
import { find } from '../state/validate.js';
import { ResourceWatch, type Watchable, type WatchItem } from '../watch/resource-watch.js';
import { StatusFeed } from '../watch/status-feed.js';
import { Wake } from '../watch/wake.js';
import type { Surroundings } from './conduct.js';
import type { ApiContext } from './context.js';
import { backendToProto } from './convert-backend.js';
import { poolCounts } from './convert-pool.js';
import { vipToProto } from './convert-vip.js';
import { filterOf, type MessagePredicate } from './filter.js';
import type { Duration__Output } from './generated/google/protobuf/Duration.js';
import type { EventType } from './generated/waggle/v1/EventType.js';
import type { PoolServiceHandlers } from './generated/waggle/v1/PoolService.js';
import type { VipServiceHandlers } from './generated/waggle/v1/VipService.js';
import { serverStream } from './stream.js';
import { heartbeatMs } from './watch-request.js';

/** Statuses are told this often at most, ms. */
const STATUS_MS = 1_000;

const TYPES: Readonly<Record<WatchItem<unknown>['type'], EventType>> = {
  added: 'EVENT_TYPE_ADDED',
  modified: 'EVENT_TYPE_MODIFIED',
  deleted: 'EVENT_TYPE_DELETED',
};

/** What the requests of all watches of resources have. */
interface WatchRequest {
  readonly resumeRevision: string;
  readonly heartbeatInterval: Duration__Output | null;
  readonly includeStatus: boolean;
}

/** A kind of resource: where it is in a state, and what the API shows of it. */
interface Kind<T extends Watchable, Proto> {
  readonly resourcesOf: (state: DesiredState) => ReadonlyMap<string, T>;
  readonly toProto: (resource: T, state: DesiredState) => Proto;
  readonly statuses: StatusFeed;
}

/** What one watch asks for. */
interface Wanted<T> {
  readonly resource: (resource: T) => boolean;
  readonly message: MessagePredicate;
}

/** An event as the streams of all kinds have it. */
interface ResourceEvent<Proto> {
  readonly type: EventType;
  readonly view?: Proto;
  readonly revision: string;
}

/**
 * Tell a client what is there and what becomes of it, until it goes. What is told next is decided when the client can take it: one
 * that reads slowly gets the newest of each resource, and nothing piles up.
 */
async function watchResources<T extends Watchable, Proto extends object>(
  { reconciler: { store } }: ApiContext,
  kind: Kind<T, Proto>,
  wanted: Wanted<T>,
  request: WatchRequest,
  signal: AbortSignal,
  write: (event: ResourceEvent<Proto>) => Promise<void>,
): Promise<void> {
  const everyMs = heartbeatMs(request.heartbeatInterval);
  const watch = new ResourceWatch<T, Proto>({
    resourcesOf: kind.resourcesOf,
    viewOf: kind.toProto,
    isWanted: (resource, view) => wanted.resource(resource) && wanted.message(view()),
  });
  const wake = new Wake();
  const ends = [
    store.onCommit((commit) => {
      watch.note(commit);
      wake.wake();
    }),
  ];
  try {
    if (request.includeStatus) {
      const listen = (names: readonly string[]) => {
        const resources = kind.resourcesOf(store.state);
        const known = names.filter((name) => {
          const resource = resources.get(name);
          return resource !== undefined && wanted.resource(resource);
        });
        watch.noteStatus(known, store.state);
        wake.wake();
      };
      ends.push(kind.statuses.subscribe(listen));
    }
    if (request.resumeRevision === '0') watch.begin(store.state);
    else watch.resume(store, Number(request.resumeRevision));
    await tell(watch, wake, { store, everyMs, signal, write });
  } finally {
    for (const end of ends) end();
  }
}

async function tell<T extends Watchable, Proto>(
  watch: ResourceWatch<T, Proto>,
  wake: Wake,
  {
    store,
    everyMs,
    signal,
    write,
  }: {
    readonly store: ApiContext['reconciler']['store'];
    readonly everyMs: number;
    readonly signal: AbortSignal;
    readonly write: (event: ResourceEvent<Proto>) => Promise<void>;
  },
): Promise<void> {
  /** Revision up to which the client was told that it knows everything; before the first time even of nothing. */
  let synced = -1;
  let due = 0;
  let quietSince = performance.now();
  const send = async (event: ResourceEvent<Proto>) => {
    await write(event);
    quietSince = performance.now();
  };
  while (!signal.aborted) {
    for (let item = watch.take(store.state); item !== undefined; item = watch.take(store.state)) {
      due = Math.max(due, item.revision);
      await send({ type: TYPES[item.type], view: item.view, revision: String(item.revision) });
    }
    const { revision } = store.state;
    // Not after what was only observed: the revision is the one that the client has been told of.
    if (due > synced) {
      synced = Math.max(due, revision);
      await send({ type: 'EVENT_TYPE_SYNCED', revision: String(revision) });
      continue;
    }
    if (await wake.wait(quietSince + everyMs - performance.now(), signal)) continue;
    if (!signal.aborted) await send({ type: 'EVENT_TYPE_HEARTBEAT', revision: String(store.state.revision) });
  }
}

/** Looks at statuses once a second while somebody watches them. */
function statusFeed(
  { log }: ApiContext,
  read: () => Iterable<readonly [name: string, text: string]>,
): StatusFeed {
  return new StatusFeed({
    everyMs: STATUS_MS,
    read,
    onError: (error) => log('error', 'statuses could not be read', { error }),
  });
}

/** The status of a VIP is that of its pool's backends. */
function* vipStatuses(context: ApiContext): Iterable<readonly [string, string]> {
  const { state } = context.reconciler.store;
  const countsOf = poolCounts(state, context);
  for (const { name, pool } of state.vips.values()) yield [name, JSON.stringify(countsOf(pool))];
}

function* backendStatuses(context: ApiContext): Iterable<readonly [string, string]> {
  for (const [name, backend] of context.reconciler.store.state.backends)
    yield [name, JSON.stringify(backendToProto(backend, context).status)];
}

/** WatchVips of waggle.v1.VipService. */
export function watchVipHandlers(
  context: ApiContext,
  around: Surroundings,
): Pick<VipServiceHandlers, 'WatchVips'> {
  const resourcesOf = ({ vips }: DesiredState) => vips;
  const toProto = (vip: Vip, state: DesiredState) => vipToProto(vip, state, context);
  const kind = { resourcesOf, toProto, statuses: statusFeed(context, () => vipStatuses(context)) };
  return {
    WatchVips: serverStream(around, 'WatchVips', (request, stream) => {
      const wanted = { resource: () => true, message: filterOf('Vip', request.filter) };
      return watchResources(context, kind, wanted, request, stream.signal, ({ view, ...event }) =>
        stream.write({ ...event, vip: view ?? null }),
      );
    }),
  };
}

/** WatchBackends of waggle.v1.PoolService. */
export function watchBackendHandlers(
  context: ApiContext,
  around: Surroundings,
): Pick<PoolServiceHandlers, 'WatchBackends'> {
  const { store } = context.reconciler;
  const resourcesOf = ({ backends }: DesiredState) => backends;
  const toProto = (backend: Backend) => backendToProto(backend, context);
  const kind = { resourcesOf, toProto, statuses: statusFeed(context, () => backendStatuses(context)) };
  return {
    WatchBackends: serverStream(around, 'WatchBackends', (request, stream) => {
      const { parent } = request;
      if (parent !== ALL_POOLS) {
        if (!NAME_FORMS.pool.pattern.test(parent))
          throw fieldError(
            'parent',
            `"${parent}" is neither of the form ${NAME_FORMS.pool.form} nor ${ALL_POOLS}`,
          );
        find(store.state.pools, 'pool', parent);
      }
      const wanted = {
        resource: ({ pool }: Backend) => parent === ALL_POOLS || pool === parent,
        message: filterOf('Backend', request.filter),
      };
      return watchResources(context, kind, wanted, request, stream.signal, ({ view, ...event }) =>
        stream.write({ ...event, backend: view ?? null }),
      );
    }),
  };
}

/** Parent of the backends of all pools. */
const ALL_POOLS = 'pools/-';
