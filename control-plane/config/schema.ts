import { z } from 'zod';
import { companionSections } from '../../lb/index.js';
import { clock, hostIp, whole } from './scalars.js';
import { applianceSchema } from './schema-appliance.js';
import { checkSchema } from './schema-checks.js';
import { nodeSchema } from './schema-node.js';
import {
  globalFlowSchema,
  pooledBackendSchema,
  poolSchema,
  serverIdSchema,
  sourceRouteSchema,
  vipSchema,
} from './schema-services.js';
import { listOf, object } from './shapes.js';

/** Workers that a replay can have. */
const MAX_WORKERS = 128;

export const healthcheckSchema = companionSections.healthcheck.unwrap();
export const decapSchema = companionSections.decap.unwrap();
export const clockSchema = clock;
export const workersSchema = whole(1, MAX_WORKERS);

export {
  applianceSchema,
  checkSchema,
  globalFlowSchema,
  nodeSchema,
  pooledBackendSchema,
  poolSchema,
  serverIdSchema,
  sourceRouteSchema,
  vipSchema,
};

/** Keys of the API's whole configuration that a file may have to no effect. */
export const fileOutput: readonly string[] = ['etag', 'revision'];

/** The whole file, as an editor checks it. */
export const fileSchema = object(
  'the file',
  {
    node: nodeSchema.optional().describe('What packets meet on this node beside its VIPs.'),
    appliance: applianceSchema
      .optional()
      .describe('The process: how it runs, where it listens, who may do what.'),
    healthChecks: listOf(checkSchema).optional().describe('How backends are checked; pools name them.'),
    vips: listOf(vipSchema).optional().describe('Virtual services.'),
    pools: listOf(poolSchema).optional().describe('Backends that serve them.'),
    backends: listOf(pooledBackendSchema).optional(),
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
  },
  { apiOnly: ['backends'], output: fileOutput },
);
export const FILE_KEYS = Object.keys(fileSchema.shape).filter((key) => key !== 'backends');
