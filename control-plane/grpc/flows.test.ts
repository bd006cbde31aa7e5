import { createHash } from 'node:crypto';
import { credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiBed, ask, detailsOf, refusal } from '../../test/support/api-bed.js';
import { slotOf } from '../../test/support/flow-hash.js';
import { tcpFrame, udpFrame } from '../../test/support/packets.js';
import type { DiagnosticsServiceClient } from './generated/waggle/v1/DiagnosticsService.js';
import type { GetTableResponse__Output } from './generated/waggle/v1/GetTableResponse.js';
import type { ListFlowsRequest } from './generated/waggle/v1/ListFlowsRequest.js';
import type { ListFlowsResponse__Output } from './generated/waggle/v1/ListFlowsResponse.js';
import { formatListen } from './listen.js';
import { loadApi } from './proto.js';

let bed: ApiBed;
let diagnostics: DiagnosticsServiceClient;
const VIP6 = '2001:db8::1';

beforeAll(async () => {
  bed = await ApiBed.start();
  diagnostics = new (loadApi().v1.DiagnosticsService)(
    formatListen(bed.control.address),
    credentials.createInsecure(),
  );
  await bed.createPool('web');
  for (const id of ['a', 'b']) await bed.createBackend('web', id, id === 'a' ? '10.0.0.1' : '10.0.0.2');
  await bed.createVip('web', '192.0.2.1');
  await bed.createPool('six');
  await bed.createBackend('six', 'a', '2001:db8:1::1');
  const vip = { address: VIP6, port: 0, protocol: 'PROTOCOL_UDP', pool: 'pools/six' } as const;
  await ask((o, done) => bed.vips.CreateVip({ vipId: 'six', vip }, o, done));
  for (let i = 0; i < 30; i++)
    bed.datapath.run(tcpFrame({ src: `198.51.100.${i % 3}`, dst: '192.0.2.1', sport: 1000 + i, dport: 80 }));
  bed.datapath.run(udpFrame({ src: '2001:db8::7', dst: VIP6, sport: 4000, dport: 53 }));
});
afterAll(async () => {
  diagnostics.close();
  await bed.stop();
});

const list = (request: ListFlowsRequest): Promise<ListFlowsResponse__Output> =>
  ask((o, done) => bed.stats.ListFlows(request, o, done));
const table = (vip: string, includeSlots = false): Promise<GetTableResponse__Output> =>
  ask((o, done) => diagnostics.GetTable({ vip, includeSlots }, o, done));

describe('ListFlows', () => {
  it('names the ends, the VIP, and the backend that has it', async () => {
    const { flows } = await list({ vip: 'vips/web', pageSize: 1000 });
    expect(flows).toHaveLength(30);
    for (const { tuple, backend, backendAddress, ringBackendAddress, lastPacketTime } of flows) {
      expect(tuple).toMatchObject({
        destinationAddress: '192.0.2.1',
        destinationPort: 80,
        protocol: 'PROTOCOL_TCP',
      });
      expect(backend).toBe(backendAddress === '10.0.0.1' ? 'pools/web/backends/a' : 'pools/web/backends/b');
      // Nothing has moved since: who has a flow is who would get it.
      expect(ringBackendAddress).toBe(backendAddress);
      expect(lastPacketTime).toBeNull();
    }
    expect(new Set(flows.map(({ backend }) => backend)).size).toBe(2);
  });

  it('tells when the last packet of UDP came, and IPv6 from IPv4', async () => {
    const before = Date.now();
    const { flows } = await list({ vip: 'vips/six' });
    expect(flows).toMatchObject([
      {
        // The VIP has every port: it does not tell them apart.
        tuple: {
          sourceAddress: '2001:db8::7',
          sourcePort: 4000,
          destinationAddress: VIP6,
          destinationPort: 0,
        },
        vip: 'vips/six',
        backendAddress: '2001:db8:1::1',
        backend: 'pools/six/backends/a',
        ringBackendAddress: '2001:db8:1::1',
      },
    ]);
    expect(Number(flows[0]?.lastPacketTime?.seconds) * 1000).toBeLessThanOrEqual(before);
  });

  it.each([
    ['a client', { client: '198.51.100.1' }, 10],
    ['a prefix of clients', { client: '198.51.100.0/31' }, 20],
    ['an IPv6 client', { client: '2001:db8::/32' }, 1],
    ['a client and a VIP', { client: '198.51.100.1', vip: 'vips/six' }, 0],
    ['everything', {}, 31],
  ])('by %s', async (_, request, count) => {
    expect((await list({ ...request, pageSize: 1000 })).flows).toHaveLength(count);
  });

  it('by backend, which are all flows between them', async () => {
    const [a, b] = await Promise.all(
      ['a', 'b'].map((id) => list({ backend: `pools/web/backends/${id}`, pageSize: 1000 })),
    );
    expect((a?.flows.length ?? 0) + (b?.flows.length ?? 0)).toBe(30);
    expect(a?.flows.every(({ backendAddress }) => backendAddress === '10.0.0.1')).toBe(true);
  });

  it('page by page, each flow once', async () => {
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await list({ pageSize: 7, pageToken });
      seen.push(...page.flows.map(({ tuple }) => `${tuple?.sourceAddress} ${tuple?.sourcePort}`));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen).toHaveLength(31);
    expect(new Set(seen).size).toBe(31);
  });

  it('says where a flow would go now that its backend drains', async () => {
    const drained = 'pools/web/backends/a';
    await ask((o, done) => bed.pools.DrainBackend({ name: drained }, o, done));
    const { flows } = await list({ backend: drained, pageSize: 1000 });
    expect(flows.length).toBeGreaterThan(0);
    expect(new Set(flows.map(({ ringBackendAddress }) => ringBackendAddress))).toEqual(new Set(['10.0.0.2']));
    await ask((o, done) => bed.pools.UndrainBackend({ name: drained }, o, done));
  });

  it('by a VIP that is a prefix: flows belong to the narrowest VIP that has their address', async () => {
    const createUdp = (vipId: string, address: string) =>
      ask((o, done) => {
        const vip = { address, port: 0, protocol: 'PROTOCOL_UDP', pool: 'pools/six' } as const;
        return bed.vips.CreateVip({ vipId, vip }, o, done);
      });
    const remove = (name: string) => ask((o, done) => bed.vips.DeleteVip({ name }, o, done));
    const destinations = async (vip: string) => {
      const { flows } = await list({ vip, pageSize: 1000 });
      for (const flow of flows) expect(flow).toMatchObject({ vip, backend: 'pools/six/backends/a' });
      return flows.map(({ tuple }) => tuple?.destinationAddress).sort();
    };
    // The program here has no prefixes among its options: flows come by way of single addresses.
    const [inside, within, beside] = ['2001:db8:5:1::1', '2001:db8:5:2::1', '2001:db8:6::1'];
    for (const [i, address] of [inside, within, beside].entries()) {
      await createUdp(`one-${i}`, address);
      bed.datapath.run(udpFrame({ src: '2001:db9::7', dst: address, sport: 4001, dport: 53 }));
    }
    await createUdp('wide', '2001:db8:5::/48');
    await createUdp('narrow', '2001:db8:5:1::/64');
    expect(await Promise.all(['vips/wide', 'vips/narrow', 'vips/one-0'].map(destinations))).toEqual([
      [],
      [],
      [inside],
    ]);
    for (const i of [0, 1, 2]) await remove(`vips/one-${i}`);
    expect(await destinations('vips/narrow')).toEqual([inside]);
    expect(await destinations('vips/wide')).toEqual([within]);
    await remove('vips/narrow');
    expect(await destinations('vips/wide')).toEqual([inside, within]);
    await remove('vips/wide');
  });

  const token = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  it.each([
    ['a client that is no address', { client: 'web' }, 'client'],
    ['a prefix with bits behind it', { client: '198.51.100.7/24' }, 'client'],
    ['a VIP of another form', { vip: 'web' }, 'vip'],
    ['a token of another filter', { vip: 'vips/web', pageToken: token(['flows   ', '0::0']) }, 'page_token'],
    ['a token of no page', { pageToken: token(['flows   ', '0:zz:-1']) }, 'page_token'],
    ['a negative page', { pageSize: -1 }, 'page_size'],
  ])('refuses %s', async (_, request, field) => {
    const error = await refusal(list(request));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(detailsOf(error).details[0]).toMatchObject({ fieldViolations: [{ field }] });
  });
});

describe('GetTable', () => {
  it('shows who has how much of the ring, and slot by slot who a flow goes to', async () => {
    const { size, shares, slots, algorithm } = await table('vips/web', true);
    expect({ size, algorithm, count: slots.length }).toEqual({
      size: 65537,
      algorithm: 'RING_ALGORITHM_MAGLEV_V2',
      count: 65537,
    });
    expect(shares.reduce((sum, share) => sum + share.slots, 0)).toBe(size);
    expect(shares.map(({ backend }) => backend).sort()).toEqual([
      'pools/web/backends/a',
      'pools/web/backends/b',
    ]);
    for (const [place, share] of shares.entries())
      expect(slots.filter((slot) => slot === place)).toHaveLength(share.slots);
    const { flows } = await list({ vip: 'vips/web', pageSize: 1000 });
    for (const { tuple, backendAddress } of flows) {
      const slot = slotOf(tuple?.sourceAddress ?? '', tuple?.sourcePort ?? 0, 80);
      expect(shares[slots[slot] ?? -1]?.backendAddress).toBe(backendAddress);
    }
  });

  it('has a fingerprint over the addresses of the slots', async () => {
    const { fingerprint, shares, slots } = await table('vips/web', true);
    const bytes = slots.map((slot) => {
      const octets = shares[slot]?.backendAddress.split('.').map(Number) ?? [];
      return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...octets);
    });
    expect(fingerprint).toBe(createHash('sha256').update(Buffer.concat(bytes)).digest('hex'));
    expect((await table('vips/web')).slots).toEqual([]);
  });

  it('of a VIP without backends is empty', async () => {
    await bed.createPool('empty');
    await bed.createVip('empty', '192.0.2.9', { pool: 'pools/empty' });
    const { shares, slots } = await table('vips/empty', true);
    expect(shares).toEqual([]);
    expect(new Set(slots)).toEqual(new Set([0xffffffff]));
  });

  it('of no VIP there is none', async () => {
    expect((await refusal(table('vips/none'))).code).toBe(status.NOT_FOUND);
  });
});
