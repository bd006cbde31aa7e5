import { type CallOptions, credentials, type requestCallback, type ServiceError } from '@grpc/grpc-js';
import { afterEach, beforeEach } from 'vitest';
import type { ControlPlane } from '../../control-plane/control.js';
import { decodeStatus, STATUS_DETAILS_KEY } from '../../control-plane/grpc/details.js';
import type { Backend__Output } from '../../control-plane/grpc/generated/waggle/v1/Backend.js';
import type { BpfServiceClient } from '../../control-plane/grpc/generated/waggle/v1/BpfService.js';
import type { Node__Output } from '../../control-plane/grpc/generated/waggle/v1/Node.js';
import type { NodeServiceClient } from '../../control-plane/grpc/generated/waggle/v1/NodeService.js';
import type { Pool__Output } from '../../control-plane/grpc/generated/waggle/v1/Pool.js';
import type { PoolServiceClient } from '../../control-plane/grpc/generated/waggle/v1/PoolService.js';
import type { StatsServiceClient } from '../../control-plane/grpc/generated/waggle/v1/StatsService.js';
import type { Vip__Output } from '../../control-plane/grpc/generated/waggle/v1/Vip.js';
import type { VipServiceClient } from '../../control-plane/grpc/generated/waggle/v1/VipService.js';
import { formatListen } from '../../control-plane/grpc/listen.js';
import { loadApi } from '../../control-plane/grpc/proto.js';
import { startControl } from './memory-control.js';
import { MemoryDatapath } from './memory-datapath.js';

const api = loadApi();

/** A call; what it answers, or the ServiceError that it fails with. */
export function ask<T>(
  start: (options: CallOptions, done: requestCallback<T>) => unknown,
  deadlineMs = 5000,
): Promise<T> {
  return new Promise((resolve, reject) => {
    start({ deadline: Date.now() + deadlineMs }, (error, value) =>
      error ? reject(error) : resolve(value as T),
    );
  });
}
/** The error that a call is refused with; fails when it is not. */
export async function refusal(call: Promise<unknown>): Promise<ServiceError> {
  return call.then(
    () => {
      throw new Error('the call was not refused');
    },
    (error: ServiceError) => error,
  );
}
/** The google.rpc.Status of a refusal. */
export const detailsOf = ({ metadata }: ServiceError) => {
  const bytes = metadata.get(STATUS_DETAILS_KEY)[0];
  if (!(bytes instanceof Uint8Array)) throw new Error('no google.rpc.Status');
  return decodeStatus(bytes);
};

/** A control plane over a datapath in memory, and clients of its API over loopback. */
export class ApiBed {
  private constructor(
    readonly datapath: MemoryDatapath,
    readonly control: ControlPlane,
    readonly vips: VipServiceClient,
    readonly pools: PoolServiceClient,
    readonly stats: StatsServiceClient,
    readonly nodes: NodeServiceClient,
    readonly bpf: BpfServiceClient,
  ) {}

  static async start(): Promise<ApiBed> {
    const datapath = new MemoryDatapath();
    const control = await startControl(datapath);
    const address = formatListen(control.address);
    const plaintext = credentials.createInsecure();
    return new ApiBed(
      datapath,
      control,
      new api.v1.VipService(address, plaintext),
      new api.v1.PoolService(address, plaintext),
      new api.v1.StatsService(address, plaintext),
      new api.v1.NodeService(address, plaintext),
      new api.v1.BpfService(address, plaintext),
    );
  }

  createPool(poolId: string): Promise<Pool__Output> {
    return ask((o, done) => this.pools.CreatePool({ pool: {}, poolId }, o, done));
  }

  createBackend(
    poolId: string,
    backendId: string,
    address: string,
    weight?: number,
  ): Promise<Backend__Output> {
    const backend = { address, ...(weight !== undefined && { weight }) };
    return ask((o, done) =>
      this.pools.CreateBackend({ parent: `pools/${poolId}`, backendId, backend }, o, done),
    );
  }

  createVip(
    vipId: string,
    address: string,
    {
      port = 80,
      pool = 'pools/web',
      validateOnly = false,
    }: { port?: number; pool?: string; validateOnly?: boolean } = {},
  ): Promise<Vip__Output> {
    const vip = { address, port, protocol: 'PROTOCOL_TCP', pool } as const;
    return ask((o, done) => this.vips.CreateVip({ vipId, vip, validateOnly }, o, done));
  }

  getVip(name: string): Promise<Vip__Output> {
    return ask((o, done) => this.vips.GetVip({ name }, o, done));
  }

  getBackend(name: string): Promise<Backend__Output> {
    return ask((o, done) => this.pools.GetBackend({ name }, o, done));
  }

  node(): Promise<Node__Output> {
    return ask((o, done) => this.nodes.GetNode({ name: 'nodes/self' }, o, done));
  }

  async stop(): Promise<void> {
    for (const client of [this.vips, this.pools, this.stats, this.nodes, this.bpf]) client.close();
    await this.control.stop();
  }
}

/** A fresh bed for each test of the file that calls this. */
export function eachWithApi(assign: (bed: ApiBed) => void): void {
  let bed: ApiBed | undefined;
  beforeEach(async () => {
    bed = await ApiBed.start();
    assign(bed);
  });
  afterEach(() => bed?.stop());
}
