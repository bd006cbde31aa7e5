import {
  type AskedFlow,
  CodedError,
  flowFrame,
  formatIp,
  formatVip,
  parseIp,
  type Simulation,
} from '../../lb/index.js';
import { fieldError } from '../state/faults.js';
import type { ApiContext } from './context.js';
import { protocolOf } from './convert-values.js';
import { ApiError } from './errors.js';
import type { DiagnosticsServiceHandlers } from './generated/waggle/v1/DiagnosticsService.js';
import type { FiveTuple__Output } from './generated/waggle/v1/FiveTuple.js';
import type { SimulateFlowRequest__Output } from './generated/waggle/v1/SimulateFlowRequest.js';
import type { SimulateFlowResponse } from './generated/waggle/v1/SimulateFlowResponse.js';
import type { HandlersWithout } from './handlers.js';
import { type Surroundings, unary } from './unary.js';

/** Frames that can be asked about, bytes. */
const MIN_FRAME_BYTES = 14;
const MAX_FRAME_BYTES = 15 * 1024;

function addressOf(field: string, text: string) {
  try {
    return parseIp(text);
  } catch {
    throw fieldError(`tuple.${field}`, `"${text}" is not an IPv4 or IPv6 address`);
  }
}

function portOf(field: string, port: number): number {
  if (port <= 65535) return port;
  throw fieldError(`tuple.${field}`, `${port} is not in 0..65535`);
}

/** @throws StateError STATE_FIELDS */
function flowOf(tuple: FiveTuple__Output): AskedFlow {
  const protocol = protocolOf(tuple.protocol);
  if (protocol === undefined) throw fieldError('tuple.protocol', 'is required');
  const source = addressOf('source_address', tuple.sourceAddress);
  const destination = addressOf('destination_address', tuple.destinationAddress);
  if (source.family !== destination.family)
    throw fieldError('tuple.destination_address', 'is of another family than the source address');
  return {
    protocol,
    source,
    destination,
    sourcePort: portOf('source_port', tuple.sourcePort),
    destinationPort: portOf('destination_port', tuple.destinationPort),
  };
}

/** The frame that is asked about. @throws StateError STATE_FIELDS */
function frameOf({ input, tuple, packet, tcpSyn }: SimulateFlowRequest__Output): Uint8Array {
  if (input === 'tuple' && tuple) return flowFrame(flowOf(tuple), tcpSyn);
  if (input !== 'packet' || !packet) throw fieldError('input', 'one of tuple and packet is required');
  if (packet.length >= MIN_FRAME_BYTES && packet.length <= MAX_FRAME_BYTES) return Uint8Array.from(packet);
  throw fieldError('packet', `${packet.length} bytes are not in ${MIN_FRAME_BYTES}..${MAX_FRAME_BYTES}`);
}

function verdictOf({ verdict, reason }: Simulation): NonNullable<SimulateFlowResponse['verdict']> {
  if (verdict === 'XDP_PASS') return 'VERDICT_PASS';
  if (verdict !== 'XDP_TX') return 'VERDICT_DROP';
  return reason === 'forwarded' ? 'VERDICT_FORWARD' : 'VERDICT_REPLY';
}

/** waggle.v1.DiagnosticsService. */
export function diagnosticsHandlers(
  { datapath, reconciler }: ApiContext,
  around: Surroundings,
): HandlersWithout<DiagnosticsServiceHandlers, 'GetTable'> {
  const simulate = (frame: Uint8Array): Simulation => {
    try {
      return datapath.simulate(frame);
    } catch (error) {
      // An object that was swapped in need not have what a simulation needs.
      if (!(error instanceof CodedError)) throw error;
      throw new ApiError({ code: 'API_PROGRAM', reason: error.code, log: '' }, error.message, {
        cause: error,
      });
    }
  };

  return {
    SimulateFlow: unary(around, 'SimulateFlow', (request) => {
      const answer = simulate(frameOf(request));
      const { state } = reconciler.store;
      const vip = [...state.vips.values()].find(({ key }) => formatVip(key) === answer.vip);
      const backend = [...state.backends.values()].find(
        ({ address, pool }) => pool === vip?.pool && formatIp(address) === answer.backend,
      );
      return {
        verdict: verdictOf(answer),
        reason: answer.reason,
        vip: vip?.name ?? '',
        backendAddress: answer.backend ?? '',
        backend: backend?.name ?? '',
        table: answer.table,
        ...(answer.hash === undefined ? {} : { flowHash: answer.hash }),
        ...(answer.slot === undefined ? {} : { ringSlot: answer.slot }),
        ...(answer.worker === undefined ? {} : { worker: answer.worker }),
        nextHopMac: answer.nextHop ?? '',
        outerHeader: answer.outer ?? '',
        outputFrame: Buffer.from(answer.frame),
        steps: [...answer.steps],
      };
    }),
  };
}
