import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingRoot, noting } from '../support/capabilities.js';
import { type Asked, Bed, type Datagrams, PORT, type Transferred, VIP4, VIP6 } from './bed.js';

const TEN_MEGABYTES = 10 * 1024 * 1024;
/** Enough new connections that a backend left out would be noticed: (2/3)^60 < 1e-10. */
const CONNECTIONS = 60;

const CASES = [
  { name: '4in4', vip: VIP4, family: 4 },
  { name: '6in6', vip: VIP6, family: 6 },
] as const;

describe.skipIf(missingRoot)(`traffic through the appliance${noting(missingRoot)}`, () => {
  for (const { name, vip, family } of CASES) {
    describe(name, () => {
      let bed: Bed;
      beforeAll(async () => {
        bed = await Bed.start({ backends: 3, workers: 2 });
        await bed.serve({ id: 'web', vip, protocol: 'tcp', backends: bed.backends, family });
        await bed.serve({ id: 'echo', vip, protocol: 'udp', backends: bed.backends, family });
      });
      afterAll(() => bed?.stop());

      it('TCP: every backend serves, no connection fails', () => {
        const asked = bed.client<Asked>('ask', vip, String(PORT), String(CONNECTIONS));
        expect(asked.errors).toEqual([]);
        expect(Object.keys(asked.names).sort()).toEqual(bed.backends);
      });

      it('UDP: every backend serves, a flow stays where it is', () => {
        const asked = bed.client<Datagrams>('datagrams', vip, String(PORT), String(CONNECTIONS), '5');
        expect(asked.errors).toEqual([]);
        expect(asked.moved).toBe(0);
        expect(Object.keys(asked.names).sort()).toEqual(bed.backends);
      });

      it('10 MB up arrive whole', () => {
        const sent = bed.client<Transferred>('upload', vip, String(PORT), String(TEN_MEGABYTES));
        expect(sent).toMatchObject({ bytes: TEN_MEGABYTES, sha256: sent.expected });
      });

      it('10 MB down arrive whole', () => {
        const received = bed.client<Transferred>('download', vip, String(PORT), String(TEN_MEGABYTES));
        expect(received).toMatchObject({ bytes: TEN_MEGABYTES, sha256: received.expected });
      });

      it('counts packets for the VIP and its backends', async () => {
        const vips = JSON.parse(await bed.lb.must('get', 'vips', '-o', 'json')) as unknown;
        expect(JSON.stringify(vips)).toContain(vip);
        const status = await bed.lb.must('status');
        expect(status).toMatch(/web/);
      });
    });
  }

  it('4in6: an IPv4 VIP with IPv6 backends', async () => {
    const bed = await Bed.start({ backends: 2, workers: 1 });
    try {
      await bed.serve({ id: 'web', vip: VIP4, protocol: 'tcp', backends: bed.backends, family: 6 });
      const asked = bed.client<Asked>('ask', VIP4, String(PORT), '30');
      expect(asked.errors).toEqual([]);
      expect(Object.keys(asked.names).sort()).toEqual(bed.backends);
      const sent = bed.client<Transferred>('upload', VIP4, String(PORT), String(TEN_MEGABYTES));
      expect(sent).toMatchObject({ bytes: TEN_MEGABYTES, sha256: sent.expected });
    } finally {
      await bed.stop();
    }
  });

  it('links without room for the outer header: the client is told to send less, and everything arrives whole', async () => {
    const bed = await Bed.start({ backends: 1, workers: 1, fabricMtu: 1500 });
    try {
      for (const [vip, family] of [
        [VIP4, 4],
        [VIP6, 6],
      ] as const) {
        await bed.serve({ id: `web${family}`, vip, protocol: 'tcp', backends: bed.backends, family });
        const sent = bed.client<Transferred>('upload', vip, String(PORT), String(TEN_MEGABYTES));
        expect(sent).toMatchObject({ bytes: TEN_MEGABYTES, sha256: sent.expected });
      }
    } finally {
      await bed.stop();
    }
  });

  it('a sender that leaves checksums to its NIC: they are filled in, and everything arrives whole', async () => {
    const bed = await Bed.start({ backends: 1, workers: 1, clientLeavesChecksums: true });
    try {
      for (const [vip, family] of [
        [VIP4, 4],
        [VIP6, 6],
      ] as const) {
        for (const protocol of ['tcp', 'udp'] as const) {
          await bed.serve({ id: `${protocol}${family}`, vip, protocol, backends: bed.backends, family });
        }
        const sent = bed.client<Transferred>('upload', vip, String(PORT), String(TEN_MEGABYTES));
        expect(sent).toMatchObject({ bytes: TEN_MEGABYTES, sha256: sent.expected });
        const asked = bed.client<Datagrams>('datagrams', vip, String(PORT), '10', '5');
        expect(asked.errors).toEqual([]);
      }
      const status = await bed.lb.must('status', '-o', 'json');
      const filled = Number(/"checksum_filled": "(\d+)"/.exec(status)?.[1]);
      // Both uploads' full segments at the least; a sender that filled them in itself would leave this at 0.
      expect(filled).toBeGreaterThan((2 * TEN_MEGABYTES) / 1500);
    } finally {
      await bed.stop();
    }
  });
});
