/** Backends that are this host. */
import { VIP_FLAGS } from '../../../lb/balancer/schema.js';
import { tcpFrame, udpFrame } from '../../support/packets.js';
import { balanced, type Row, row, rowOf, type Suite, step } from '../suite.js';
import { sent } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo, vipRow } from './family.js';
import { numberVips } from './setup.js';

const { LOCAL_VIP } = VIP_FLAGS;

const localVips = (family: Family) =>
  numberVips({
    web: vipRow(family, 'tcp', 80, { flags: LOCAL_VIP, ring: FAMILY[family].local }),
    dns: vipRow(family, 'udp', 53, { flags: LOCAL_VIP, ring: FAMILY[family].local }),
    remote: vipRow(family, 'tcp', 81, { flags: LOCAL_VIP }),
    plain: vipRow(family, 'tcp', 82, { ring: FAMILY[family].local }),
  });

/** A backend that is this host. */
function local(family: Family, isOn: boolean): Row[] {
  const { local: here, real } = FAMILY[family];
  const { web, dns, remote, plain } = localVips(family);
  const rows: Row[] = [];
  for (const vip of [web, dns]) {
    const flow = flowTo(family, vip);
    const frame = vip.protocol === 'tcp' ? tcpFrame(flow) : udpFrame(flow);
    const given = { vip, real: here, table: 'ring' } as const;
    const stays = { ...given, after: frame, reason: 'local' } as const;
    rows.push(
      isOn
        ? rowOf(
            `${vip.protocol}: passes as it is, and counts`,
            step(frame, balanced(frame, stays)),
            step(frame, balanced(frame, { ...stays, table: 'lru' })),
          )
        : row(`${vip.protocol}: the flags mean nothing`, frame, sent(frame, flow, given)),
    );
  }
  const far = flowTo(family, remote);
  const simple = flowTo(family, plain);
  rows.push(
    row(
      'another backend of the VIP',
      tcpFrame(far),
      sent(tcpFrame(far), far, { vip: remote, real, table: 'ring' }),
    ),
    row(
      'a VIP without the flag',
      tcpFrame(simple),
      sent(tcpFrame(simple), simple, { vip: plain, real: here, table: 'ring' }),
    ),
  );
  return rows;
}

function suite(title: string, family: Family, rows: readonly Row[], options: Suite['options'] = {}): Suite {
  return {
    title: `${title}, IPv${family}`,
    options,
    arrange: (scene) => scene.vips(localVips(family)),
    rows,
  };
}

export const LOCAL_SUITES: readonly Suite[] = FAMILIES.flatMap((family) => [
  suite('backends that are this host', family, local(family, true), { localDelivery: true }),
  suite('backends that are this host, off', family, local(family, false)),
]);
