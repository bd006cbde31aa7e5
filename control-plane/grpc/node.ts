import type { DatapathMode, WorkerStatus } from '../../lb/index.js';
import { fieldError } from '../state/faults.js';
import { NODE_NAME } from '../state/model.js';
import type { Store } from '../state/store.js';
import type { ApiContext } from './context.js';
import { nodeConfigToProto, nodeUpdate } from './convert-node.js';
import { timestampOf } from './convert-values.js';
import { ApiError } from './errors.js';
import type { Node } from './generated/waggle/v1/Node.js';
import type { NodeServiceHandlers } from './generated/waggle/v1/NodeService.js';
import type { Worker } from './generated/waggle/v1/Worker.js';
import type { HandlersWithout } from './handlers.js';
import { type Surroundings, unary } from './unary.js';

/** @throws ApiError API_NODE for another node than this */
export function checkNode(name: string): void {
  if (name === NODE_NAME) return;
  throw new ApiError({ code: 'API_NODE', name }, `"${name}" does not exist: the only node is ${NODE_NAME}`);
}

const MODES: Readonly<Record<DatapathMode, NonNullable<Node['dataplaneMode']>>> = {
  af_packet: 'DATAPLANE_MODE_AF_PACKET',
  af_xdp_copy: 'DATAPLANE_MODE_AF_XDP_COPY',
  af_xdp_zerocopy: 'DATAPLANE_MODE_AF_XDP_ZEROCOPY',
  xdp_native: 'DATAPLANE_MODE_XDP_NATIVE',
  xdp_generic: 'DATAPLANE_MODE_XDP_GENERIC',
};

const WORKER_STATES: Readonly<Record<WorkerStatus['state'], NonNullable<Worker['state']>>> = {
  starting: 'STATE_STARTING',
  running: 'STATE_RUNNING',
  restarting: 'STATE_RESTARTING',
  stopped: 'STATE_STOPPED',
};

/** A worker as the API shows it. */
export function workerToProto({ index, state, restarts, lastFault, counters }: WorkerStatus): Worker {
  return {
    worker: index,
    state: WORKER_STATES[state],
    restarts: String(restarts),
    lastFault: lastFault ?? '',
    counters: Object.fromEntries(Object.entries(counters).map(([name, value]) => [name, String(value)])),
  };
}

/** waggle.v1.NodeService. */
export function nodeHandlers(
  context: ApiContext,
  around: Surroundings,
): HandlersWithout<NodeServiceHandlers, 'GetLogLevel' | 'SetLogLevel'> {
  const { datapath, reconciler } = context;
  return {
    GetNode: unary(around, 'GetNode', ({ name }) => {
      checkNode(name);
      const workers = datapath.workers();
      return {
        name: NODE_NAME,
        version: context.version,
        dataplaneMode: MODES[datapath.mode],
        activeRevision: String(reconciler.activeRevision),
        state: workers.every(({ state }) => state === 'running') ? 'STATE_READY' : 'STATE_NOT_READY',
        interface: datapath.link.name,
        mtu: datapath.link.mtu,
        workers: workers.map(workerToProto),
        startTime: timestampOf(context.startTimeMs),
      };
    }),

    RestartWorker: unary(around, 'RestartWorker', async ({ name, worker }) => {
      checkNode(name);
      const { mode } = datapath;
      if (mode === 'xdp_native' || mode === 'xdp_generic') {
        const message = 'the kernel runs the program: there is no worker to restart';
        throw new ApiError({ code: 'API_MODE', mode }, message);
      }
      const find = () => datapath.workers().find(({ index }) => index === worker);
      if (!find()) {
        const count = datapath.workers().length;
        throw new ApiError(
          { code: 'API_WORKER', worker },
          `worker ${worker} does not exist: there ${count === 1 ? 'is only worker 0' : `are workers 0 to ${count - 1}`}`,
        );
      }
      context.log('warn', 'a worker is killed, as was asked', { worker });
      await datapath.restartWorker(worker);
      const after = find();
      return after ? workerToProto(after) : {};
    }),

    GetNodeConfig: unary(around, 'GetNodeConfig', ({ name }) => {
      checkNode(name);
      return nodeConfigToProto(reconciler.store.state.node);
    }),

    UpdateNodeConfig: unary(
      around,
      'UpdateNodeConfig',
      async ({ config, updateMask, validateOnly }, _, caller) => {
        if (!config) throw fieldError('config', 'is required');
        if (config.name !== '') checkNode(config.name);
        const { etag } = config;
        // Options are merged into those of the state that it changes.
        const draft = (store: Store) => {
          const fields = nodeUpdate(config, updateMask, store.state.node);
          return store.draft({ kind: 'update-node', etag, fields }, caller.name);
        };
        const state = await reconciler.change(draft, caller.changing(validateOnly));
        return nodeConfigToProto(state.node);
      },
    ),
  };
}
