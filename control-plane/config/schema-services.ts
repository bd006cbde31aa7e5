import { z } from 'zod';
import { MAX_WEIGHT } from '../state/validate.js';
import { FLAG_NAMES, nearestFlag, readFlag } from './flags.js';
import {
  backendId,
  backendPath,
  checkId,
  displayName,
  endpoint,
  flag,
  hostIp,
  mac,
  milliseconds,
  moment,
  poolId,
  prefix,
  protocol,
  ringAlgorithm,
  vipAddress,
  vipId,
  whole,
  word,
} from './scalars.js';
import { listOf, object, RESOURCE_OUTPUT } from './shapes.js';

const MAX_U32 = 0xffffffff;
const PORT = whole(0, 65_535);

/** Of keys that say how weights are spread. */
export const ALGORITHM = 'How weights are spread over the ring; maglev-v1 for fleets that run it.';

const display = displayName.optional().describe('Text for people, 255 characters at most.');

const drain = object('drain', {
  start: moment
    .optional()
    .describe('When it began. Unless given: when the node first sees the backend drain.'),
  timeout: milliseconds
    .optional()
    .describe('The backend is down so long after the start. drainTimeout of its pool unless given.'),
  deadline: moment.optional().describe('The same as a moment, in the place of timeout.'),
  remove: flag.optional().describe('Remove the backend when its drain ends. False unless given.'),
});

const backendShape = {
  address: hostIp.describe('Where packets for it are sent.'),
  weight: whole(0, MAX_WEIGHT).optional().describe('Share of new flows; 0: none. 1 unless given.'),
  mac: mac.optional().describe('MAC address of its next hop; node.routerMac unless given.'),
  local: flag
    .optional()
    .describe('It is this host: VIPs with LOCAL_VIP leave its packets to the host. False unless given.'),
  state: word(['up', 'draining', 'down'], {
    enabled: 'up',
    disabled: 'down',
    admin_state_enabled: 'up',
    admin_state_draining: 'draining',
    admin_state_disabled: 'down',
  })
    .optional()
    .describe('draining: no new flows, those that it has go on. down: none at all. up unless given.'),
  drain: drain.optional().describe('Of a backend that is draining: since when, and how long.'),
};
const BACKEND_API = {
  renamed: { macAddress: 'mac', adminState: 'state' },
  output: RESOURCE_OUTPUT,
} as const;

export const backendSchema = object(
  'a backend',
  {
    name: backendId.optional().describe('Name within the pool; made of the address unless given.'),
    ...backendShape,
  },
  BACKEND_API,
);
/** A backend beside its pool, as the API has it. */
export const pooledBackendSchema = object(
  'a backend',
  { name: backendPath.describe('pools/{pool}/backends/{backend}.'), ...backendShape },
  BACKEND_API,
);
const backends = listOf(z.union([hostIp, backendSchema]));

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

export const vipSchema = object(
  'a VIP',
  {
    name: vipId.optional().describe('Name of the VIP; vip-1, vip-2 … by its place in the list unless given.'),
    displayName: display,
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
  },
  { output: RESOURCE_OUTPUT },
);

const slowStart = object(
  'slowStart',
  {
    window: milliseconds.describe('From the recovery to the whole weight, 1 s to 1 h.'),
    minPercent: whole(1, 100)
      .optional()
      .describe('Percent of the weight at the first step. 10 unless given.'),
    steps: whole(1, 100).optional().describe('Times that the ring is built anew. 10 unless given.'),
  },
  { renamed: { minWeightPercent: 'minPercent' } },
);

export const poolSchema = object(
  'a pool',
  {
    name: poolId.describe('Name of the pool.'),
    displayName: display,
    backends: backends
      .optional()
      .describe('Addresses, or backends with more to say of them. None unless given.'),
    healthChecks: listOf(checkId)
      .optional()
      .describe('Health checks that a backend must pass, all of them. None unless given: all are healthy.'),
    drainTimeout: milliseconds
      .optional()
      .describe('How long a drain lasts that says nothing itself. Unless given: until it is ended by hand.'),
    slowStart: slowStart
      .optional()
      .describe('How the weight of a backend that recovers grows. Unless given it is whole at once.'),
    panicThreshold: whole(0, 100)
      .optional()
      .describe('Below this share of healthy backends, percent, the health is not believed. 0 unless given.'),
    panicPolicy: word(['last-resort', 'drop'], {
      panic_policy_last_resort: 'last-resort',
      panic_policy_drop: 'drop',
    })
      .optional()
      .describe('Then use the unhealthy ones as well (last-resort), or none. last-resort unless given.'),
    ringAlgorithm: ringAlgorithm.optional().describe(`${ALGORITHM} That of the node unless given.`),
  },
  { renamed: { panicThresholdPercent: 'panicThreshold' }, output: RESOURCE_OUTPUT },
);

export const serverIdSchema = object(
  'a server id',
  {
    id: whole(1, MAX_U32).describe('As packets carry it.'),
    backend: hostIp.describe('Address of the backend that packets with this id go to.'),
  },
  { renamed: { backendAddress: 'backend' } },
);

export const sourceRouteSchema = object(
  'a source route',
  {
    prefix: prefix.describe('Clients.'),
    backend: hostIp.describe(
      'Address of the backend that their new flows go to, under VIPs with SRC_ROUTING.',
    ),
  },
  { renamed: { backendAddress: 'backend' } },
);

const flow = object('flow', {
  sourceAddress: hostIp,
  sourcePort: PORT.optional(),
  destinationAddress: hostIp,
  destinationPort: PORT.optional(),
  protocol,
});

export const globalFlowSchema = object(
  'a global flow',
  {
    protocol: protocol.optional().describe('tcp or udp.'),
    source: endpoint.optional().describe('The client, address and port.'),
    destination: endpoint.optional().describe('The VIP, address and port.'),
    flow: flow.optional(),
    backend: hostIp.describe('Address of the backend that has the flow.'),
  },
  {
    renamed: { backendAddress: 'backend' },
    apiOnly: ['flow'],
    required: ['protocol', 'source', 'destination', 'backend'],
  },
);
