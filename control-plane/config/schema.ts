import { z } from 'zod';
import { companionSections } from '../../lb/index.js';
import { MAX_WEIGHT } from '../state/validate.js';
import { FLAG_NAMES, nearestFlag, readFlag } from './flags.js';
import {
  backendId,
  clock,
  duration,
  endpoint,
  flag,
  hostIp,
  mac,
  poolId,
  prefix,
  protocol,
  ringAlgorithm,
  vipAddress,
  vipId,
  whole,
  word,
} from './scalars.js';
import { nearest } from './suggest.js';

/** CPUs that the datapath can have. */
const MAX_WORKERS = 128;
const MAX_U32 = 0xffffffff;
/** The most that a table of the kernel takes. */
const MAX_ENTRIES = 2 ** 31;
/** An answer to an IPv6 frame that is too long quotes 262 bytes of it, and so has at least these. */
const MIN_FRAME_BYTES = 262;
const MAX_FRAME_BYTES = 65_535;

/** A map of known keys; what other keys are is one line of the message each. */
function object<S extends z.core.$ZodLooseShape>(what: string, shape: S) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return `is not a map of keys: ${what} has ${known.join(', ')}`;
      return (issue.keys as readonly string[])
        .map((key) => {
          const near = nearest(key, known);
          const hint = near === undefined ? `the keys are ${known.join(', ')}` : `did you mean ${near}?`;
          return `is not a key of ${what}: ${hint}`;
        })
        .join('\n');
    },
  });
}

const listOf = <T extends z.ZodType>(item: T) => z.array(item, { error: () => 'is not a list' });

const PORT = whole(0, 65_535);

const gue = object('gue', {
  port: whole(1, 65_535)
    .optional()
    .describe(
      'UDP port of GUE: destination of what is sent, and where it is taken apart. 6080 unless given.',
    ),
  source4: hostIp
    .optional()
    .describe("This node's IPv4 address: source of GUE packets, and where tunnels for this node end."),
  source6: hostIp.optional().describe("This node's IPv6 address, for the same."),
});

const destination = object('a decapsulation destination', {
  address: hostIp.describe('Tunnel packets for this address are taken apart.'),
  egress: flag
    .optional()
    .describe('Send what comes out (of GUE) back where it came from; false: balance it. False unless given.'),
});

const decapsulation = object('decapsulation', {
  ipip: flag
    .optional()
    .describe('Take IP in IP apart. True unless given where there are destinations, false otherwise.'),
  gue: flag
    .optional()
    .describe('Take GUE apart. True unless given where there are destinations, false otherwise.'),
  destinations: listOf(z.union([hostIp, destination]))
    .optional()
    .describe(
      'Addresses whose tunnel packets are taken apart; those for gue.source4 and source6 are as well.',
    ),
});

const options = object('options', {
  sendTooBig: flag
    .optional()
    .describe(
      'Answer too long frames with ICMP "fragmentation needed" or "packet too big". True unless given.',
    ),
  vlanTags: flag.optional().describe('Balance frames with VLAN tags, two at most. True unless given.'),
  quicRouting: flag
    .optional()
    .describe('Server ids in QUIC connection ids. On unless given where a VIP has QUIC_VIP.'),
  tcpServerIds: flag
    .optional()
    .describe(
      'Server ids in a TCP option, for all TCP VIPs. On unless given where there are serverIds and no VIP has QUIC_VIP or UDP_STABLE_ROUTING.',
    ),
  udpStableRouting: flag
    .optional()
    .describe('Server ids in a UDP header. On unless given where a VIP has UDP_STABLE_ROUTING.'),
  udpFlowMigration: flag
    .optional()
    .describe('Down backends. On unless given where a VIP has UDP_FLOW_MIGRATION.'),
  sourceRouting: flag
    .optional()
    .describe('Source routes. On unless given where there are sourceRoutes or a VIP has SRC_ROUTING.'),
  prefixVips: flag.optional().describe('VIPs that are IPv6 prefixes. On unless given where there is one.'),
  globalLru: flag
    .optional()
    .describe('Flows from outside. On unless given where there are globalFlows or a VIP has GLOBAL_LRU.'),
  localDelivery: flag
    .optional()
    .describe('Backends that are this host. On unless given where a VIP has LOCAL_VIP.'),
  events: flag
    .optional()
    .describe('Report packets as events. On unless given where dropSampleRate is not 0.'),
  dropSampleRate: whole(0, MAX_U32)
    .optional()
    .describe('Report one drop in so many as an event; 0: none. 0 unless given.'),
});

const entries = (min: number, text: string) => whole(min, MAX_ENTRIES).optional().describe(text);
const limits = object('limits', {
  maxFrameBytes: whole(MIN_FRAME_BYTES, MAX_FRAME_BYTES)
    .optional()
    .describe(
      'Longest frame that is balanced, Ethernet header included and VLAN tags not. 1514 unless given.',
    ),
  newConnectionsPerSecond: whole(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('New connections that a worker notes in its table in a second. 125000 unless given.'),
  udpTimeout: duration
    .optional()
    .describe('A UDP flow that was silent for longer is a new one. 30s unless given.'),
  connections: entries(1, "Entries of each worker's connection table. 65536 unless given."),
  fallbackConnections: entries(
    1,
    'Entries of the connection table of CPUs that have none of their own. 1000 unless given.',
  ),
  globalFlows: entries(1, "Entries of each worker's table of flows from outside. 65536 unless given."),
  serverIds: entries(1, 'Server ids that there is room for. 65536 unless given, or as many as there are.'),
  sourceRoutes: entries(
    1,
    'Source routes of each family that there is room for. 65536 unless given, or as many as there are.',
  ),
  prefixVips: entries(1, 'VIPs that are prefixes that there is room for. 512 unless given.'),
  decapsulationDestinations: entries(
    1,
    'Destinations that there is room for. 512 unless given, or as many as there are.',
  ),
});

const ALGORITHM = 'How weights are spread over the ring; maglev-v1 for fleets that run it.';

export const nodeSchema = object('node', {
  interface: z
    .string({ error: () => 'is not the name of an interface' })
    .regex(/^[^\s/]{1,15}$/, {
      error: () => 'is not the name of an interface: 1 to 15 characters without spaces and "/"',
    })
    .optional()
    .describe('Interface that traffic comes in by. Not used by replay and simulate.'),
  routerMac: mac.optional().describe('Next hop of backends that have no mac of their own.'),
  encapsulation: word(['ipip', 'gue'])
    .optional()
    .describe('Outer header of packets to backends. ipip unless given.'),
  gue: gue.optional().describe('GUE, and the own addresses of this node.'),
  decapsulation: decapsulation.optional().describe('Tunnels that end on this node.'),
  options: options.optional().describe('Parts of the datapath to have, or not.'),
  limits: limits.optional().describe('Sizes and rates.'),
  ringAlgorithm: ringAlgorithm.optional().describe(`${ALGORITHM} maglev-v2 unless given.`),
});

const backend = object('a backend', {
  name: backendId.optional().describe('Name within the pool; made of the address unless given.'),
  address: hostIp.describe('Where packets for it are sent.'),
  weight: whole(0, MAX_WEIGHT).optional().describe('Share of new flows; 0: none. 1 unless given.'),
  mac: mac.optional().describe('MAC address of its next hop; node.routerMac unless given.'),
  local: flag
    .optional()
    .describe('It is this host: VIPs with LOCAL_VIP leave its packets to the host. False unless given.'),
  state: word(['up', 'draining', 'down'])
    .optional()
    .describe(
      'draining: no new flows. down: none, and UDP flows of VIPs with UDP_FLOW_MIGRATION leave it. up unless given.',
    ),
});
export type BackendEntry = z.output<typeof backend>;
const backends = listOf(z.union([hostIp, backend]));

const FLAG_RULE = `is not a flag: the flags are ${FLAG_NAMES.join(', ')}`;
const vipFlag = z
  .string({ error: () => FLAG_RULE })
  .meta({ examples: FLAG_NAMES })
  .transform((text, context) => {
    const name = readFlag(text);
    if (name !== undefined) return name;
    const near = nearestFlag(text);
    context.addIssue({
      code: 'custom',
      message: near === undefined ? FLAG_RULE : `is not a flag: did you mean ${near}?`,
    });
    return z.NEVER;
  });

export const vipSchema = object('a VIP', {
  name: vipId.optional().describe('Name of the VIP; vip-1, vip-2 … by its place in the list unless given.'),
  address: vipAddress.describe('IPv4 or IPv6 address, or an IPv6 prefix.'),
  port: PORT.optional().describe('0: every port. 0 unless given.'),
  protocol: protocol.describe('tcp or udp.'),
  pool: poolId.optional().describe('Name of the pool that serves it; or else backends.'),
  backends: backends.optional().describe('Backends of its own, in the place of a pool; [] for none.'),
  flags: z
    .union([vipFlag, listOf(vipFlag)])
    .optional()
    .describe(`One flag or a list: ${FLAG_NAMES.join(', ')}.`),
  ringAlgorithm: ringAlgorithm.optional().describe(`${ALGORITHM} That of its pool unless given.`),
  downBackends: listOf(hostIp)
    .optional()
    .describe('Backends that UDP flows leave, with the flag UDP_FLOW_MIGRATION. The ring stays as it is.'),
  watchMisses: flag
    .optional()
    .describe('Count its new connections by backend; one VIP at most. False unless given.'),
});

export const poolSchema = object('a pool', {
  name: poolId.describe('Name of the pool.'),
  backends: backends
    .optional()
    .describe('Addresses, or backends with more to say of them. None unless given.'),
  ringAlgorithm: ringAlgorithm.optional().describe(`${ALGORITHM} That of the node unless given.`),
});

export const serverIdSchema = object('a server id', {
  id: whole(1, MAX_U32).describe('As packets carry it.'),
  backend: hostIp.describe('Address of the backend that packets with this id go to.'),
});

export const sourceRouteSchema = object('a source route', {
  prefix: prefix.describe('Clients.'),
  backend: hostIp.describe('Address of the backend that their new flows go to, under VIPs with SRC_ROUTING.'),
});

export const globalFlowSchema = object('a global flow', {
  protocol: protocol.describe('tcp or udp.'),
  source: endpoint.describe('The client, address and port.'),
  destination: endpoint.describe('The VIP, address and port.'),
  backend: hostIp.describe('Address of the backend that has the flow.'),
});

export const healthcheckSchema = companionSections.healthcheck.unwrap();
export const decapSchema = companionSections.decap.unwrap();
export const clockSchema = clock;
export const workersSchema = whole(1, MAX_WORKERS);

/** The whole file, as an editor checks it. */
export const fileSchema = object('the file', {
  node: nodeSchema.optional().describe('This node.'),
  vips: listOf(vipSchema).optional().describe('Virtual services.'),
  pools: listOf(poolSchema).optional().describe('Backends that serve them.'),
  serverIds: z
    .union([listOf(serverIdSchema), z.record(z.string(), hostIp)])
    .optional()
    .describe('Backends by the server id that packets carry: a list, or a map of id and address.'),
  sourceRoutes: z
    .union([listOf(sourceRouteSchema), z.record(z.string(), hostIp)])
    .optional()
    .describe('Backends by the prefix of the client: a list, or a map of prefix and address.'),
  globalFlows: listOf(globalFlowSchema).optional().describe('Entries of the global connection table.'),
  healthcheck: healthcheckSchema
    .optional()
    .describe('For replay of healthcheck.bpf.o: health checks that are put into tunnels.'),
  decap: decapSchema.optional().describe('For replay of decap.bpf.o: the tunnels that end on a backend.'),
  clock: clock
    .optional()
    .describe(
      'For replay: "capture" (the clock is the time of each packet), or a time that the first packet has. capture unless given.',
    ),
  workers: workersSchema
    .optional()
    .describe('For replay: workers that flows are spread over. 1 unless given.'),
});
export const FILE_KEYS = Object.keys(fileSchema.shape);
