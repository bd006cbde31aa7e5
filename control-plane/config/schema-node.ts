import { z } from 'zod';
import { duration, flag, hostIp, mac, ringAlgorithm, vipId, whole, word } from './scalars.js';
import { ALGORITHM } from './schema-services.js';
import { listOf, object } from './shapes.js';

const MAX_U32 = 0xffffffff;
/** The most that a table of the kernel takes. */
const MAX_ENTRIES = 2 ** 31;
/** What the numbers in the program's tables can tell apart. */
const MAX_VIPS = 65_024;
const MAX_RINGS = 8192;
const MAX_ADDRESSES = 1_048_575;
/** An answer to an IPv6 frame that is too long quotes 262 bytes of it, and so has at least these. */
const MIN_FRAME_BYTES = 262;
const MAX_FRAME_BYTES = 65_535;

const encapsulation = word(['ipip', 'gue'], {
  encapsulation_ipip: 'ipip',
  encapsulation_gue: 'gue',
}).optional();

const RATES = {
  maxFrameBytes: whole(MIN_FRAME_BYTES, MAX_FRAME_BYTES)
    .optional()
    .describe(
      'Longest frame that is balanced, Ethernet header included and VLAN tags not. 1514 unless given.',
    ),
  newConnectionsPerSecond: whole(0, MAX_U32)
    .optional()
    .describe('New connections that a worker notes in its table in a second. 125000 unless given.'),
  udpTimeout: duration
    .optional()
    .describe('A UDP flow that was silent for longer is a new one. 30s unless given.'),
};

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

/** Options of the API that have their place elsewhere in a file. */
const OPTIONS_ELSEWHERE = [
  'encapsulation',
  'guePort',
  'ipipDecap',
  'gueDecap',
  'maxFrameBytes',
  'newConnectionsPerSecond',
  'udpTimeout',
] as const;

const options = object(
  'options',
  {
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
    encapsulation,
    guePort: whole(1, 65_535).optional(),
    ipipDecap: flag.optional(),
    gueDecap: flag.optional(),
    ...RATES,
  },
  { apiOnly: OPTIONS_ELSEWHERE },
);

const entries = (min: number, text: string, max = MAX_ENTRIES) => whole(min, max).optional().describe(text);

const limits = object('limits', {
  ...RATES,
  vips: entries(1, 'VIPs that there is room for. 512 unless given, or as many as there are.', MAX_VIPS),
  rings: entries(
    1,
    'Rings that there is room for: one for each pool that serves. 512 unless given, or as many as there are.',
    MAX_RINGS,
  ),
  backendAddresses: entries(
    1,
    'Addresses of backends that there is room for. 4095 unless given, or as many as there are.',
    MAX_ADDRESSES,
  ),
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

export const nodeSchema = object(
  'node',
  {
    interface: z
      .string({ error: () => 'is not the name of an interface' })
      .regex(/^[^\s/]{1,15}$/, {
        error: () => 'is not the name of an interface: 1 to 15 characters without spaces and "/"',
      })
      .optional()
      .describe('Interface that traffic comes in by. Not used by replay and simulate.'),
    routerMac: mac.optional().describe('Next hop of backends that have no mac of their own.'),
    encapsulation: encapsulation.describe('Outer header of packets to backends. ipip unless given.'),
    gue: gue.optional().describe('GUE, and the own addresses of this node.'),
    decapsulation: decapsulation.optional().describe('Tunnels that end on this node.'),
    options: options.optional().describe('Parts of the datapath to have, or not.'),
    limits: limits.optional().describe('Sizes and rates.'),
    ringAlgorithm: ringAlgorithm.optional().describe(`${ALGORITHM} maglev-v2 unless given.`),
    ownAddresses: listOf(hostIp).optional(),
    decapDestinations: listOf(destination).optional(),
    countedVip: vipId.optional(),
  },
  {
    renamed: { routerMacAddress: 'routerMac' },
    apiOnly: ['ownAddresses', 'decapDestinations', 'countedVip'],
    output: ['name', 'etag', 'revision'],
  },
);
