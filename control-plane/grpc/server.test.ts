import { statSync } from 'node:fs';
import { credentials, Metadata, makeGenericClientConstructor, status } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiBed, ask, eachWithApi } from '../../test/support/api-bed.js';
import { MemoryDatapath } from '../../test/support/memory-datapath.js';
import { ControlPlane } from '../control.js';
import type { Node__Output } from './generated/waggle/v1/Node.js';
import { formatListen } from './listen.js';
import { loadApi } from './proto.js';

describe('reflection', () => {
  let bed: ApiBed;
  eachWithApi((started) => {
    bed = started;
  });
  interface Reply {
    readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
    readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
    readonly errorResponse?: { readonly errorCode: number };
  }
  /** The protocol as a client that knows nothing of this API speaks it (grpc/reflection/v1/reflection.proto). */
  const definition = fromJSON(
    protobuf
      .parse(`syntax = "proto3";
      package grpc.reflection.v1;
      message ServerReflectionRequest { string host = 1; oneof message_request {
        string file_by_filename = 3; string file_containing_symbol = 4; string list_services = 7; } }
      message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
      message ServiceResponse { string name = 1; }
      message ListServiceResponse { repeated ServiceResponse service = 1; }
      message ErrorResponse { int32 error_code = 1; string error_message = 2; }
      message ServerReflectionResponse { oneof message_response {
        FileDescriptorResponse file_descriptor_response = 4; ListServiceResponse list_services_response = 6;
        ErrorResponse error_response = 7; } }
      service ServerReflection {
        rpc ServerReflectionInfo(stream ServerReflectionRequest) returns (stream ServerReflectionResponse); }`)
      .root.toJSON(),
    {},
  );
  const service = definition['grpc.reflection.v1.ServerReflection'];
  const reflect = async (request: Record<string, string>): Promise<Reply> => {
    if (!service || 'format' in service) throw new Error('no service');
    const Client = makeGenericClientConstructor(service, 'ServerReflection');
    const client = new Client(formatListen(bed.control.address), credentials.createInsecure());
    try {
      return await new Promise<Reply>((resolve, reject) => {
        const method = service.ServerReflectionInfo;
        if (!method) throw new Error('no method');
        const stream = client.makeBidiStreamRequest<object, Reply>(
          method.path,
          method.requestSerialize,
          (bytes) => method.responseDeserialize(bytes) as Reply,
          new Metadata(),
        );
        stream.on('data', resolve).on('error', reject);
        stream.write(request);
        stream.end();
      });
    } finally {
      client.close();
    }
  };

  it('lists the services', async () => {
    const { listServicesResponse } = await reflect({ listServices: '*' });
    expect(listServicesResponse?.service.map(({ name }) => name).sort()).toEqual([
      'waggle.v1.BpfService',
      'waggle.v1.DiagnosticsService',
      'waggle.v1.NodeService',
      'waggle.v1.PoolService',
      'waggle.v1.StatsService',
      'waggle.v1.VipService',
    ]);
  });

  it('describes a service, and all that it needs', async () => {
    const { fileDescriptorResponse } = await reflect({ fileContainingSymbol: 'waggle.v1.VipService' });
    const text = (fileDescriptorResponse?.fileDescriptorProto ?? [])
      .map((bytes) => bytes.toString('latin1'))
      .join('\n');
    for (const symbol of ['CreateVip', 'UpdateVipRequest', 'display_name', 'FieldMask', 'PROTOCOL_UDP']) {
      expect(text).toContain(symbol);
    }
  });

  it('says that it does not know a symbol', async () => {
    expect(await reflect({ fileContainingSymbol: 'waggle.v1.Nope' })).toMatchObject({
      errorResponse: { errorCode: status.NOT_FOUND },
    });
  });
});

describe('a server on a Unix socket', () => {
  let plane: ControlPlane | undefined;
  const path = `/tmp/waggle-api-${process.pid}.sock`;
  beforeAll(async () => {
    plane = await ControlPlane.start({
      datapath: new MemoryDatapath(),
      listen: { kind: 'unix', path },
      version: '1',
      log: () => undefined,
    });
  });
  afterAll(() => plane?.stop());

  it('answers, and is open to its own user alone', async () => {
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const client = new (loadApi().v1.NodeService)(`unix:${path}`, credentials.createInsecure());
    expect(
      await ask<Node__Output>((o, done) => client.GetNode({ name: 'nodes/self' }, o, done)),
    ).toMatchObject({ version: '1' });
    client.close();
  });

  it('refuses to share its socket', async () => {
    await expect(
      ControlPlane.start({
        datapath: new MemoryDatapath(),
        listen: { kind: 'unix', path },
        version: '1',
        log: () => undefined,
      }),
    ).rejects.toMatchObject({ code: 'LISTEN_IN_USE' });
  });
});
