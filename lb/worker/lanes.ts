import type { AfPacketSockets } from '../io/af-packet.js';
import { type AfXdpSockets, queueBytes } from '../io/af-xdp.js';
import { abandonClaims } from './inbox.js';
import {
  PUMP_BASE,
  PUMP_FRAME_BYTES,
  PUMP_FRAMES,
  PUMP_INBOXES,
  PUMP_RING,
  PUMP_WORKERS,
  XSK_COUNT,
  XSK_FIRST,
  XSK_STRIDE,
} from './layout.js';
import type { Lane } from './messages.js';
import { pumpWasm } from './pump-wasm.gen.js';
import { xskPumpWasm } from './xsk-pump-wasm.gen.js';

/** What the workers of a pool get their frames from, of whatever kind their sockets are. */
export interface Lanes {
  readonly workers: number;
  /** Address of arena offset 0. */
  readonly base: bigint;
  /** The pump for this kind. */
  readonly pump: Uint8Array<ArrayBuffer>;
  /** What a worker's thread is told. */
  lane(worker: number): Lane;
  /** Tell a worker's pump where its frames are: the words at CPU_PUMP that are of this kind. */
  prepare(worker: number, words: DataView): void;
  /** A worker's thread has ended and is not replaced yet: give up what it claimed of others. */
  abandon(worker: number, arena: Int32Array): void;
}

/** @param inboxes arena offset of the workers' inboxes, `inboxBytes` each; zero before the start */
export function packetLanes(
  sockets: Pick<AfPacketSockets, 'shape' | 'base' | 'workers'>,
  inboxes: number,
): Lanes {
  const { shape, base } = sockets;
  const workers = sockets.workers.length;
  const doorbells = sockets.workers.map(({ doorbell }) => doorbell);
  return {
    workers,
    base,
    pump: pumpWasm,
    lane: (worker) => {
      const { receiver, sender, doorbell } = sockets.workers[worker]!;
      return { kind: 'packet', receiver, sender, doorbell, doorbells };
    },
    prepare: (worker, words) => {
      words.setUint32(PUMP_RING, sockets.workers[worker]!.ring, true);
      words.setUint32(PUMP_FRAMES, shape.frames, true);
      words.setUint32(PUMP_FRAME_BYTES, shape.frameBytes, true);
      words.setUint32(PUMP_WORKERS, workers, true);
      words.setUint32(PUMP_INBOXES, inboxes, true);
      words.setBigUint64(PUMP_BASE, base, true);
    },
    abandon: (worker, arena) =>
      abandonClaims(arena, { offset: inboxes, workers, frameBytes: shape.frameBytes }, worker),
  };
}

/** Queue q is worker q modulo `workers`' own; there are no fewer queues than workers. */
export function xskLanes(sockets: Pick<AfXdpSockets, 'shape' | 'base' | 'queues'>, workers: number): Lanes {
  const { shape, base, queues } = sockets;
  const own = (worker: number) => queues.filter(({ queue }) => queue % workers === worker);
  return {
    workers,
    base,
    pump: xskPumpWasm,
    lane: (worker) => ({ kind: 'xsk', fds: own(worker).map(({ fd }) => fd) }),
    prepare: (worker, words) => {
      words.setUint32(XSK_FIRST, queues[worker]!.state, true);
      words.setUint32(XSK_COUNT, own(worker).length, true);
      words.setUint32(XSK_STRIDE, workers * queueBytes(shape), true);
    },
    abandon: () => {},
  };
}
