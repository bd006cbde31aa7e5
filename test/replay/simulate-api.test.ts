import { credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DiagnosticsServiceClient } from '../../control-plane/grpc/generated/waggle/v1/DiagnosticsService.js';
import type { SimulateFlowRequest } from '../../control-plane/grpc/generated/waggle/v1/SimulateFlowRequest.js';
import type { SimulateFlowResponse__Output } from '../../control-plane/grpc/generated/waggle/v1/SimulateFlowResponse.js';
import { formatListen } from '../../control-plane/grpc/listen.js';
import { loadApi } from '../../control-plane/grpc/proto.js';
import { flowFrame, parseFlow } from '../../lb/simulate-flow.js';
import { ApiBed, ask } from '../support/api-bed.js';
import { hex } from '../support/packets.js';

const TUPLE = {
  sourceAddress: '203.0.113.77',
  sourcePort: 4000,
  destinationAddress: '198.51.100.10',
  destinationPort: 80,
  protocol: 'PROTOCOL_TCP',
} as const;
const FLOW = 'tcp 203.0.113.77:4000 -> 198.51.100.10:80';

describe('SimulateFlow', () => {
  let bed: ApiBed;
  let client: DiagnosticsServiceClient;
  beforeAll(async () => {
    bed = await ApiBed.start();
    const address = formatListen(bed.control.address);
    client = new (loadApi().v1.DiagnosticsService)(address, credentials.createInsecure());
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1');
    await bed.createVip('shop', '198.51.100.10');
  });
  afterAll(async () => {
    client.close();
    await bed.stop();
  });
  const simulate = (request: SimulateFlowRequest) =>
    ask<SimulateFlowResponse__Output>((options, done) => client.SimulateFlow(request, options, done));

  it('a flow goes to a backend of the VIP, by name', async () => {
    const answer = await simulate({ tuple: TUPLE, tcpSyn: true });
    expect(answer).toMatchObject({
      verdict: 'VERDICT_FORWARD',
      reason: 'forwarded',
      vip: 'vips/shop',
      backend: 'pools/web/backends/a',
      backendAddress: '10.0.0.1',
      table: 'ring',
    });
    expect(answer.ringSlot).toBe((answer.flowHash ?? 0) % 65537);
    expect(answer._worker).toBeUndefined();
    expect(answer.outerHeader).toMatch(/→ 10\.0\.0\.1, IP in IP/);
    expect(answer.steps.length).toBeGreaterThan(2);
  });

  it('a frame is the same question, and its answer the bytes that leave', async () => {
    const packet = flowFrame(parseFlow(FLOW));
    const answer = await simulate({ packet: Buffer.from(packet) });
    const sent = bed.datapath.run(packet);
    expect(hex(answer.outputFrame)).toBe(hex(sent.frame));
    const known = await simulate({ tuple: TUPLE });
    expect(known).toMatchObject({ table: 'lru', worker: bed.datapath.replay.cpu });
  });

  it('says where a packet does not go', async () => {
    const answer = await simulate({ tuple: { ...TUPLE, destinationPort: 81 } });
    expect(answer).toMatchObject({
      verdict: 'VERDICT_PASS',
      reason: 'no_vip',
      vip: '',
      backend: '',
      table: 'none',
    });
    expect([answer._flowHash, answer._ringSlot]).toEqual([undefined, undefined]);
  });

  const refusals: readonly { rule: string; request: SimulateFlowRequest; says: RegExp }[] = [
    { rule: 'nothing is asked', request: {}, says: /input: one of tuple and packet/ },
    {
      rule: 'no protocol',
      request: { tuple: { ...TUPLE, protocol: 'PROTOCOL_UNSPECIFIED' } },
      says: /tuple\.protocol/,
    },
    {
      rule: 'no address',
      request: { tuple: { ...TUPLE, sourceAddress: 'x' } },
      says: /tuple\.source_address: "x"/,
    },
    { rule: 'two families', request: { tuple: { ...TUPLE, sourceAddress: '::1' } }, says: /another family/ },
    {
      rule: 'a port',
      request: { tuple: { ...TUPLE, sourcePort: 70000 } },
      says: /tuple\.source_port: 70000/,
    },
    { rule: 'a short frame', request: { packet: Buffer.alloc(13) }, says: /packet: 13 bytes/ },
    { rule: 'a long frame', request: { packet: Buffer.alloc(16384) }, says: /packet: 16384 bytes/ },
  ];
  it.each(refusals)('refuses: $rule', async ({ request, says }) => {
    await expect(simulate(request)).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(says),
    });
  });
});
