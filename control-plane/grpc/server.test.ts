import { statSync } from 'node:fs';
import { credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiBed, ask, eachWithApi } from '../../test/support/api-bed.js';
import { startControl } from '../../test/support/memory-control.js';
import { MemoryDatapath } from '../../test/support/memory-datapath.js';
import { reflect } from '../../test/support/reflected-api.js';
import type { ControlPlane } from '../control.js';
import type { Node__Output } from './generated/waggle/v1/Node.js';
import { formatListen } from './listen.js';
import { loadApi } from './proto.js';

describe('reflection', () => {
  let bed: ApiBed;
  eachWithApi((started) => {
    bed = started;
  });
  const reflected = (request: Record<string, string>) => reflect(formatListen(bed.control.address), request);

  it('lists the services', async () => {
    const { listServicesResponse } = await reflected({ listServices: '*' });
    expect(listServicesResponse?.service.map(({ name }) => name).sort()).toEqual([
      'grpc.health.v1.Health',
      'waggle.v1.BpfService',
      'waggle.v1.ConfigService',
      'waggle.v1.DiagnosticsService',
      'waggle.v1.HealthCheckService',
      'waggle.v1.NodeService',
      'waggle.v1.PoolService',
      'waggle.v1.RoutingService',
      'waggle.v1.StatsService',
      'waggle.v1.VipService',
    ]);
  });

  it('describes a service, and all that it needs', async () => {
    const { fileDescriptorResponse } = await reflected({ fileContainingSymbol: 'waggle.v1.VipService' });
    const text = (fileDescriptorResponse?.fileDescriptorProto ?? [])
      .map((bytes) => bytes.toString('latin1'))
      .join('\n');
    for (const symbol of ['CreateVip', 'UpdateVipRequest', 'display_name', 'FieldMask', 'PROTOCOL_UDP']) {
      expect(text).toContain(symbol);
    }
  });

  it('says that it does not know a symbol', async () => {
    expect(await reflected({ fileContainingSymbol: 'waggle.v1.Nope' })).toMatchObject({
      errorResponse: { errorCode: status.NOT_FOUND },
    });
  });
});

describe('a server on a Unix socket', () => {
  let plane: ControlPlane | undefined;
  const path = `/tmp/waggle-api-${process.pid}.sock`;
  beforeAll(async () => {
    plane = await startControl(new MemoryDatapath(), { kind: 'unix', path });
  });
  afterAll(() => plane?.stop());

  it('answers, and is open to its own user alone', async () => {
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const client = new (loadApi().v1.NodeService)(`unix:${path}`, credentials.createInsecure());
    expect(
      await ask<Node__Output>((o, done) => client.GetNode({ name: 'nodes/self' }, o, done)),
    ).toMatchObject({ version: '1.2.3' });
    client.close();
  });

  it('refuses to share its socket', async () => {
    await expect(startControl(new MemoryDatapath(), { kind: 'unix', path })).rejects.toMatchObject({
      code: 'LISTEN_IN_USE',
    });
  });
});
