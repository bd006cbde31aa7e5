import { describe, expect, it } from 'vitest';
import { FLOW_KEY, REAL_POS_LRU, TABLES, U32 } from '../../lb/balancer/schema.js';
import { encode } from '../../lb/balancer/structs.js';
import { parseIp } from '../../lb/net/address.js';
import { BALANCER_ENGINES, CONNECTION_TABLE } from '../support/balancer.js';
import {
  countsMoved,
  mapOf,
  markDecisions,
  readCounts,
  readMarkedDecision,
  tableEntries,
} from '../support/balancer-state.js';
import { tcpFrame, udpFrame } from '../support/packets.js';
import { flowTo, vipRow } from './cases/family.js';
import { numberVips, REALS, Scene } from './cases/setup.js';
import { SIMULATION_SUITES } from './cases/simulation.js';
import { testSuites } from './suite.js';

// What the verifier and the JIT make of the option, they make of it everywhere: the kernel has a part.
testSuites(
  SIMULATION_SUITES,
  BALANCER_ENGINES.filter(({ name }) => name === 'jit'),
);
testSuites(
  SIMULATION_SUITES.filter(({ title }) => /flags|odd packets|server ids of QUIC|global/.test(title)),
  BALANCER_ENGINES.filter(({ name }) => name === 'kernel'),
);

const VIPS = numberVips({ web: vipRow(4, 'tcp', 80), dns: vipRow(4, 'udp', 53) });

describe.each(BALANCER_ENGINES)('simulation and connection tables: $name', ({ missing, make }) => {
  const title = missing === undefined ? '' : ` (skipped: ${missing})`;
  it.skipIf(missing !== undefined)(
    `the table of the CPU that is named is asked, and stays as it is${title}`,
    () => {
      const bed = make({ explain: true, simulate: true });
      const scene = new Scene(bed);
      scene.reset();
      scene.vips(VIPS);
      const [web, dns] = [flowTo(4, VIPS.web), flowTo(4, VIPS.dns)];
      const keyOf = (protocol: number, { src, dst, sport, dport }: typeof web): Uint8Array =>
        encode(FLOW_KEY, { src: parseIp(src).bytes, dst: parseIp(dst).bytes, sport, dport, protocol });
      const other = bed.host.createMap(CONNECTION_TABLE);
      const atime = bed.now() - 1_000_000_000n;
      const note = (table: typeof other, protocol: number, flow: typeof web, pos: number): void => {
        table.update(keyOf(protocol, flow), encode(REAL_POS_LRU, { pos, atime }));
      };
      mapOf(bed.maps, 'lru_mapping').updateInner(encode(U32, { value: 1 }), other);
      note(bed.connections, 6, web, REALS.four.index);
      note(other, 6, web, REALS.otherFour.index);
      note(other, 17, dns, REALS.otherFour.index);
      const before = readCounts(bed.maps);
      const decide = (frame: Uint8Array, cpu: number) => {
        markDecisions(bed.maps, cpu);
        bed.run(frame);
        const decision = readMarkedDecision(bed.maps);
        return { table: TABLES[decision!.table], real: decision!.real };
      };
      expect(decide(tcpFrame(web), 0)).toEqual({ table: 'lru', real: REALS.four.index });
      expect(decide(tcpFrame(web), 1)).toEqual({ table: 'lru', real: REALS.otherFour.index });
      // A CPU without a table: the shared one has nothing of it.
      expect(decide(tcpFrame(web), 100)).toEqual({ table: 'ring', real: REALS.four.index });
      expect(decide(udpFrame(dns), 0)).toEqual({ table: 'ring', real: REALS.four.index });
      expect(decide(udpFrame(dns), 1)).toEqual({ table: 'lru', real: REALS.otherFour.index });
      expect(countsMoved(before, readCounts(bed.maps))).toEqual({});
      expect(tableEntries(bed.connections)).toHaveLength(1);
      expect(tableEntries(other).map((entry) => entry.atime)).toEqual([atime, atime]);
      bed.close();
      other.close();
    },
  );
});
