import { describe, expect, it } from 'vitest';
import { HealthcheckTables } from '../../lb/balancer/companions/healthcheck.js';
import {
  COMPANION_PROGRAMS,
  type HealthcheckOptions,
  healthcheckObject,
} from '../../lb/balancer/companions/object.js';
import { parseIp } from '../../lb/net/address.js';
import { concat, frameOf, fromHex, hex, ipv4, PROTOCOL, TCP_FLAGS, tcp } from '../support/packets.js';
import { type CompanionBed, ENGINES, expectCoverage, titleOf } from './bed.js';
import {
  dst4,
  ends4,
  MARK_4,
  MARK_6,
  MARK_UNKNOWN,
  NOTHING,
  REAL_4,
  REAL_6,
  REDIRECT,
  SHOT,
  UNSPEC,
  web4,
} from './healthcheck-scene.js';

/** struct bpf_tunnel_key (uapi/linux/bpf.h): id, remote, ToS, TTL, reserved, label, local. */
const tunnelKey = (remote: Uint8Array): string =>
  hex(
    concat(
      fromHex('00000000'),
      remote,
      new Uint8Array(16 - remote.length),
      fromHex('00400000'),
      new Uint8Array(20),
    ),
  );

describe.each(ENGINES)(
  'health checks through tunnel interfaces: $name',
  ({ name: engine, missing, make }) => {
    const withBed = (
      options: HealthcheckOptions,
      body: (bed: CompanionBed, tables: HealthcheckTables) => void,
    ): void => {
      const bed = make(healthcheckObject(options), COMPANION_PROGRAMS.healthcheckTunnel);
      try {
        const tables = new HealthcheckTables(bed.maps, 'tunnel');
        tables.putReal(MARK_4, parseIp(REAL_4));
        tables.putReal(MARK_6, parseIp(REAL_6));
        body(bed, tables);
      } finally {
        bed.close();
      }
    };
    const rule = (name: string, body: () => void): void =>
      it.skipIf(missing !== undefined)(titleOf(name, missing), body);

    rule('a mark names the tunnel: interface and remote address by the family of the backend', () => {
      withBed({}, (bed, tables) => {
        tables.setInterface(11, 'tunnel4');
        tables.setInterface(12, 'tunnel6');
        for (const [mark, ifindex, remote, flags] of [
          // An IPv4 address is a number of this (little-endian) machine.
          [MARK_4, 11, parseIp(REAL_4).bytes.toReversed(), 0],
          [MARK_6, 12, parseIp(REAL_6).bytes, 1],
        ] as const) {
          const result = bed.run(web4, mark);
          expect(result.verdict).toBe(REDIRECT);
          expect(hex(result.frame)).toBe(hex(web4));
          expect(result.mark).toBe(0);
          if (engine === 'kernel') continue;
          expect(result.ifindex).toBe(ifindex);
          expect(hex(result.tunnel?.key ?? new Uint8Array())).toBe(tunnelKey(remote));
          expect(result.tunnel?.flags).toBe(flags);
        }
        expect(tables.stats()).toEqual({ ...NOTHING, processed: 2n });
      });
    });

    rule('no mark and unknown marks go on, and so do ends: it knows marks alone', () => {
      withBed({ matchDestinations: true }, (bed, tables) => {
        tables.setInterface(11, 'tunnel4');
        tables.putMatch('destination', dst4, parseIp(REAL_4));
        for (const mark of [0, MARK_UNKNOWN]) expect(bed.run(web4, mark).verdict).toBe(UNSPEC);
        expect(tables.stats()).toEqual({ ...NOTHING, skipped: 2n });
      });
    });

    rule('no tunnel interface for the family', () => {
      withBed({}, (bed, tables) => {
        tables.setInterface(11, 'tunnel4');
        const { verdict, mark } = bed.run(web4, MARK_6);
        expect([verdict, mark]).toEqual([SHOT, MARK_6]);
        expect(tables.stats()).toEqual({ ...NOTHING, dropped: 1n });
      });
    });

    rule('1474 bytes are the most', () => {
      withBed({}, (bed, tables) => {
        tables.setInterface(11, 'tunnel4');
        const ofBytes = (bytes: number): Uint8Array =>
          frameOf(
            ipv4({ ...ends4, protocol: PROTOCOL.tcp }, tcp(ends4, TCP_FLAGS.ack, new Uint8Array(bytes - 54))),
          );
        expect(bed.run(ofBytes(1474), MARK_4).verdict).toBe(REDIRECT);
        expect(bed.run(ofBytes(1475), MARK_4).verdict).toBe(SHOT);
        expect(tables.stats()).toEqual({ ...NOTHING, processed: 1n, dropped: 1n, tooBig: 1n });
      });
    });
  },
);

expectCoverage(healthcheckObject(), COMPANION_PROGRAMS.healthcheckTunnel);
