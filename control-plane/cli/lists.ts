import type { GlobalFlow__Output } from '../grpc/generated/waggle/v1/GlobalFlow.js';
import type { ListFlowsRequest } from '../grpc/generated/waggle/v1/ListFlowsRequest.js';
import type { ListFlowsResponse__Output } from '../grpc/generated/waggle/v1/ListFlowsResponse.js';
import type { ListGlobalFlowsResponse__Output } from '../grpc/generated/waggle/v1/ListGlobalFlowsResponse.js';
import type { ListRevisionsResponse__Output } from '../grpc/generated/waggle/v1/ListRevisionsResponse.js';
import type { ListServerIdsResponse__Output } from '../grpc/generated/waggle/v1/ListServerIdsResponse.js';
import type { ListSourceRoutesResponse__Output } from '../grpc/generated/waggle/v1/ListSourceRoutesResponse.js';
import type { Node__Output } from '../grpc/generated/waggle/v1/Node.js';
import type { NodeConfig__Output } from '../grpc/generated/waggle/v1/NodeConfig.js';
import type { Revision__Output } from '../grpc/generated/waggle/v1/Revision.js';
import type { ServerId__Output } from '../grpc/generated/waggle/v1/ServerId.js';
import type { SourceRoute__Output } from '../grpc/generated/waggle/v1/SourceRoute.js';
import type { TrackedFlow__Output } from '../grpc/generated/waggle/v1/TrackedFlow.js';
import { shortName } from './arguments.js';
import { flowText } from './flow-text.js';
import { type Column, enumText, timeText } from './format.js';
import type { Session } from './session.js';

const PAGE_SIZE = 1000;

/** A list without a filter of the API: pages until there are as many as are wanted. */
async function pages<Response extends { readonly nextPageToken: string }, Item>(
  page: (request: { pageSize: number; pageToken: string }) => Promise<Response>,
  itemsOf: (response: Response) => readonly Item[],
  limit = Number.POSITIVE_INFINITY,
): Promise<Item[]> {
  const items: Item[] = [];
  let pageToken = '';
  do {
    const response = await page({ pageSize: Math.min(PAGE_SIZE, limit - items.length), pageToken });
    items.push(...itemsOf(response));
    pageToken = response.nextPageToken;
  } while (pageToken !== '' && items.length < limit);
  return items;
}

export const listServerIds = ({ client }: Session, limit?: number): Promise<ServerId__Output[]> =>
  pages(
    (request) =>
      client.ask<ListServerIdsResponse__Output>((options, done) =>
        client.routing.ListServerIds(request, options, done),
      ),
    ({ serverIds }) => serverIds,
    limit,
  );

export const listSourceRoutes = ({ client }: Session, limit?: number): Promise<SourceRoute__Output[]> =>
  pages(
    (request) =>
      client.ask<ListSourceRoutesResponse__Output>((options, done) =>
        client.routing.ListSourceRoutes(request, options, done),
      ),
    ({ sourceRoutes }) => sourceRoutes,
    limit,
  );

export const listGlobalFlows = ({ client }: Session, limit?: number): Promise<GlobalFlow__Output[]> =>
  pages(
    (request) =>
      client.ask<ListGlobalFlowsResponse__Output>((options, done) =>
        client.routing.ListGlobalFlows(request, options, done),
      ),
    ({ globalFlows }) => globalFlows,
    limit,
  );

export const listRevisions = ({ client }: Session, limit?: number): Promise<Revision__Output[]> =>
  pages(
    (request) =>
      client.ask<ListRevisionsResponse__Output>((options, done) =>
        client.config.ListRevisions(request, options, done),
      ),
    ({ revisions }) => revisions,
    limit,
  );

/** Entries of the connection tables: of a VIP, a backend, a client; all that are not asked for by. */
export const listFlows = (
  { client }: Session,
  of: Pick<ListFlowsRequest, 'vip' | 'backend' | 'client'>,
  limit?: number,
): Promise<TrackedFlow__Output[]> =>
  pages(
    (request) =>
      client.ask<ListFlowsResponse__Output>((options, done) =>
        client.stats.ListFlows({ ...of, ...request }, options, done),
      ),
    ({ flows }) => flows,
    limit,
  );

const SELF = { name: 'nodes/self' } as const;

export const getNode = ({ client }: Session): Promise<Node__Output> =>
  client.ask<Node__Output>((options, done) => client.nodes.GetNode(SELF, options, done));

export const getNodeConfig = ({ client }: Session): Promise<NodeConfig__Output> =>
  client.ask<NodeConfig__Output>((options, done) => client.nodes.GetNodeConfig(SELF, options, done));

export const SERVER_ID_COLUMNS: readonly Column<ServerId__Output>[] = [
  { title: 'SERVER ID', value: ({ id }) => String(id), align: 'right' },
  { title: 'BACKEND', value: ({ backendAddress }) => backendAddress },
];

export const SOURCE_ROUTE_COLUMNS: readonly Column<SourceRoute__Output>[] = [
  { title: 'PREFIX', value: ({ prefix }) => prefix },
  { title: 'BACKEND', value: ({ backendAddress }) => backendAddress },
];

export const GLOBAL_FLOW_COLUMNS: readonly Column<GlobalFlow__Output>[] = [
  { title: 'FLOW', value: ({ flow }) => flowText(flow) },
  { title: 'BACKEND', value: ({ backendAddress }) => backendAddress },
];

/** Whether a flow goes elsewhere than a new one would. */
const movedTo = ({ backendAddress, ringBackendAddress }: TrackedFlow__Output) =>
  ringBackendAddress === backendAddress ? '' : ringBackendAddress;

export const FLOW_COLUMNS: readonly Column<TrackedFlow__Output>[] = [
  { title: 'FLOW', value: ({ tuple }) => flowText(tuple) },
  { title: 'VIP', value: ({ vip }) => shortName(vip) },
  { title: 'BACKEND', value: ({ backend, backendAddress }) => shortName(backend) || backendAddress },
  { title: 'RING SAYS', value: movedTo, tone: (flow) => (movedTo(flow) === '' ? undefined : 'warn') },
  { title: 'BACKEND ADDRESS', value: ({ backendAddress }) => backendAddress, wide: true },
  { title: 'WORKER', value: ({ worker }) => String(worker), align: 'right', wide: true },
  { title: 'LAST PACKET', value: ({ lastPacketTime }) => timeText(lastPacketTime), wide: true },
];

const MAX_NAMED = 3;
/** The resources of a revision, the first few by name. */
function resourcesText({ changes }: Revision__Output): string {
  const named = changes
    .slice(0, MAX_NAMED)
    .map(({ action, resource }) => `${enumText(action, 'ACTION_')} ${shortName(resource)}`);
  const rest = changes.length - named.length;
  return [...named, ...(rest > 0 ? [`${rest} more`] : [])].join(', ');
}

export const REVISION_COLUMNS: readonly Column<Revision__Output>[] = [
  { title: 'REVISION', value: ({ revision }) => revision, align: 'right' },
  { title: 'TIME', value: ({ createTime }) => timeText(createTime) },
  { title: 'ACTOR', value: ({ actor }) => actor },
  { title: 'ACTION', value: ({ action }) => action },
  { title: 'COMMENT', value: ({ comment }) => comment },
  { title: 'CHANGES', value: resourcesText, wide: true },
];

/** How the datapath runs, as `--engine` names it. */
export const modeText = ({ dataplaneMode }: Node__Output): string =>
  dataplaneMode.replace('DATAPLANE_MODE_', '').toLowerCase();

const nodeState = ({ state }: Node__Output) => enumText(state, 'STATE_');

export const NODE_COLUMNS: readonly Column<Node__Output>[] = [
  { title: 'NODE', value: ({ name }) => name.replace('nodes/', '') },
  { title: 'STATE', value: nodeState, tone: ({ state }) => (state === 'STATE_READY' ? 'good' : 'bad') },
  { title: 'INTERFACE', value: ({ interface: name }) => name },
  { title: 'ENGINE', value: modeText },
  { title: 'WORKERS', value: ({ workers }) => String(workers.length), align: 'right' },
  { title: 'REVISION', value: ({ activeRevision }) => activeRevision, align: 'right' },
  { title: 'VERSION', value: ({ version }) => version },
  { title: 'MTU', value: ({ mtu }) => String(mtu), align: 'right', wide: true },
  { title: 'SINCE', value: ({ startTime }) => timeText(startTime), wide: true },
];
