import type { Arena } from '../bpf/memory/arena.js';
import { CodedError } from '../errors.js';
import { findLink, type LinkInfo } from '../sys/socket.js';
import type { WorkerProgram } from '../worker/messages.js';
import type { PoolLog, WorkerStatus } from '../worker/pool.js';
import type { GuardedVip } from './host-stack.js';

/** Engines whose program runs in worker threads, by how these get their frames. */
export const WORKER_ENGINES = ['af_packet', 'af_xdp'] as const;
export type WorkerEngineName = (typeof WORKER_ENGINES)[number];

/** How frames come and go: by a tap, or by sockets behind an XDP program, with or without a copy in the kernel. */
export type EngineMode = 'af_packet' | 'af_xdp_copy' | 'af_xdp_zerocopy';

export type EngineFault =
  | { readonly code: 'ENGINE_NO_INTERFACE'; readonly interface: string }
  | { readonly code: 'ENGINE_NOT_ETHERNET'; readonly interface: string }
  | { readonly code: 'ENGINE_INTERFACE_DOWN'; readonly interface: string }
  | { readonly code: 'ENGINE_CAPABILITY'; readonly capability: string }
  | { readonly code: 'ENGINE_SOCKET'; readonly interface: string }
  | { readonly code: 'ENGINE_UNSUPPORTED'; readonly what: string }
  | { readonly code: 'ENGINE_QUEUE_TAKEN'; readonly interface: string; readonly queue: number }
  | { readonly code: 'ENGINE_MTU'; readonly interface: string; readonly mtu: number; readonly maxMtu: number }
  | { readonly code: 'ENGINE_MEMLOCK'; readonly interface: string };

/** The engine cannot run on that interface, or not with these rights. */
export class EngineError extends CodedError<EngineFault> {}

/** What an engine takes of the machine, known before it starts. */
export interface EnginePlan {
  /** Worker threads: those that were asked for, or fewer where more would have nothing to do. */
  readonly workers: number;
  /** Bytes of arena that rings and frames take. */
  readonly ringsBytes: number;
}

/** What every engine with worker threads is started with. */
export interface WorkerEngineOptions {
  readonly arena: Arena;
  readonly link: LinkInfo;
  readonly program: WorkerProgram;
  /** Frees what the maps hold in the name of a CPU whose thread died. */
  readonly recover: (cpu: number) => void;
  readonly log: PoolLog;
}

/** Worker threads that run a program on the frames of an interface, wherever these come from. */
export interface WorkerEngine {
  readonly link: LinkInfo;
  readonly mode: EngineMode;
  /**
   * Keep the host's stack from the traffic of VIPs, before the tables have them: of all or of none.
   * @throws HostStackError
   */
  protect(vips: readonly GuardedVip[]): Promise<void>;
  /** Let the host's stack see the traffic of former VIPs. */
  unprotect(vips: readonly GuardedVip[]): Promise<void>;
  workers(): WorkerStatus[];
  /** Kill a worker's thread; it is replaced. */
  kill(worker: number): Promise<void>;
  /** @returns once no worker runs the program before */
  swapProgram(program: WorkerProgram): Promise<void>;
  /** Idempotent. */
  stop(): Promise<void>;
}

/** @throws EngineError ENGINE_NO_INTERFACE, ENGINE_NOT_ETHERNET, ENGINE_INTERFACE_DOWN */
export function findEngineLink(name: string): LinkInfo {
  const link = findLink(name);
  if (!link) {
    throw new EngineError(
      { code: 'ENGINE_NO_INTERFACE', interface: name },
      `there is no interface ${name}: see ip link`,
    );
  }
  if (!link.isEthernet) {
    throw new EngineError(
      { code: 'ENGINE_NOT_ETHERNET', interface: name },
      `interface ${name} carries no Ethernet frames to other hosts: choose the one that leads to clients and backends`,
    );
  }
  if (!link.isUp) {
    throw new EngineError(
      { code: 'ENGINE_INTERFACE_DOWN', interface: name },
      `interface ${name} is down: ip link set ${name} up`,
    );
  }
  return link;
}
