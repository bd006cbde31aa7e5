import { readdirSync } from 'node:fs';
import type { ListBpfMapsResponse__Output } from '../../grpc/generated/waggle/v1/ListBpfMapsResponse.js';
import { shortName } from '../arguments.js';
import { endpoint } from '../columns.js';
import type { ConnectionFlags } from '../connection.js';
import { resolveConnection } from '../connection.js';
import { contextsPath, readContexts } from '../contexts.js';
import { getNode, listRevisions, listServerIds, listSourceRoutes } from '../lists.js';
import { OPTION_NAMES } from '../node-options.js';
import { Session } from '../session.js';
import type { AskNames, Candidate } from './complete.js';
import type { NameSource } from './sources.js';

/** Nobody waits longer for a list behind a key. */
const DEADLINE_MS = 1000;
/** More revisions than anybody picks from. */
const MAX_REVISIONS = 50;

type FromServer = (session: Session) => Promise<readonly Candidate[]>;

const unique = (candidates: readonly Candidate[]): Candidate[] => [
  ...new Map(candidates.map((one) => [one.value, one])).values(),
];

const FROM_SERVER: Readonly<
  Record<Exclude<NameSource, 'context' | 'interface' | 'code' | 'option'>, FromServer>
> = {
  vip: async (session) =>
    (await session.listVips()).map((vip) => ({ value: shortName(vip.name), says: endpoint(vip) })),
  pool: async (session) =>
    (await session.listPools()).map(({ name, displayName }) => ({
      value: shortName(name),
      says: displayName,
    })),
  backend: async (session) =>
    (await session.listBackends()).map(({ name, address }) => ({ value: shortName(name), says: address })),
  host: async (session) =>
    unique(
      (await session.listBackends()).map(({ name, address }) => ({ value: address, says: shortName(name) })),
    ),
  'health-check': async (session) =>
    (await session.listChecks()).map(({ name, displayName }) => ({
      value: shortName(name),
      says: displayName,
    })),
  'server-id': async (session) =>
    (await listServerIds(session)).map(({ id, backendAddress }) => ({
      value: String(id),
      says: backendAddress,
    })),
  'source-route': async (session) =>
    (await listSourceRoutes(session)).map(({ prefix, backendAddress }) => ({
      value: prefix,
      says: backendAddress,
    })),
  revision: async (session) =>
    (await listRevisions(session, MAX_REVISIONS)).map(({ revision, action, comment }) => ({
      value: revision,
      says: comment || action,
    })),
  worker: async (session) =>
    (await getNode(session)).workers.map(({ worker, state }) => ({ value: String(worker), says: state })),
  map: async ({ client }) => {
    const { maps } = await client.ask<ListBpfMapsResponse__Output>((call, done) =>
      client.bpf.ListBpfMaps({}, call, done),
    );
    return maps.map(({ name }) => ({ value: name.replace('maps/', ''), says: '' }));
  },
};

async function fromServer(list: FromServer, flags: ConnectionFlags): Promise<readonly Candidate[]> {
  const { Client } = await import('../client.js');
  const client = new Client(resolveConnection(flags, process.env));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly Candidate[]>((resolve) => {
    timer = setTimeout(() => resolve([]), DEADLINE_MS);
  });
  try {
    return await Promise.race([list(new Session(client, 'table')), late]);
  } finally {
    clearTimeout(timer);
    client.close();
  }
}

const text = (value: string | boolean | undefined) => (typeof value === 'string' ? value : undefined);

/** Names as the server, the contexts' file or the system has them; none where it cannot be asked. */
export const askNames: AskNames = async (source, given) => {
  try {
    if (source === 'interface') return readdirSync('/sys/class/net').map((value) => ({ value, says: '' }));
    if (source === 'option') return OPTION_NAMES.map((name) => ({ value: `${name}=`, says: '' }));
    if (source === 'code') {
      const { CODES } = await import('../explain/codes.js');
      return [...CODES].map(([value, [first]]) => ({ value, says: first?.means ?? '' }));
    }
    if (source === 'context') {
      const { contexts } = readContexts(contextsPath(process.env));
      return Object.entries(contexts).map(([value, { server }]) => ({ value, says: server }));
    }
    const flags: ConnectionFlags = {
      server: text(given.server),
      context: text(given.context),
      tls: given.tls === true ? true : undefined,
      ca: text(given.ca),
      cert: text(given.cert),
      key: text(given.key),
      tokenFile: text(given.tokenFile),
      serverName: text(given.serverName),
    };
    return await fromServer(FROM_SERVER[source], flags);
  } catch {
    // A key that completes nothing says enough; a message would stand in the middle of the line.
    return [];
  }
};
