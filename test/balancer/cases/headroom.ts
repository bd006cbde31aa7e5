/** Frames that grow, and how much room in front of them that takes. */
import type { Reason } from '../../../lb/balancer/reasons.js';
import type { BedOptions } from '../../support/balancer.js';
import { tcpFrame, udpFrame } from '../../support/packets.js';
import { tagged } from '../../support/packets-tunnel.js';
import { FAMILIES, FAMILY, flowTo, vipRow } from './family.js';
import { numberVips, type Scene } from './setup.js';

export interface HeadroomCase {
  readonly name: string;
  readonly options?: BedOptions;
  readonly frame: Uint8Array;
  /** With a byte less it is dropped. */
  readonly needBytes: number;
  readonly reason: Reason;
  readonly shortReason: Reason;
  readonly vip: number;
  /** Counters of the drop beside those of every packet for a VIP. */
  readonly counts: Readonly<Record<string, bigint>>;
}

const VIPS = numberVips({
  web4: vipRow(4, 'tcp', 80),
  web6: vipRow(6, 'tcp', 80),
  crossed: vipRow(4, 'udp', 53, { ring: 'six' }),
});
export function arrangeHeadroom(scene: Scene): void {
  scene.vips(VIPS);
  scene.ownAddresses();
}

const FAIL = { 4: { 'encap_fail.v1': 1n }, 6: { 'encap_fail.v2': 1n } } as const;
const forwarded = { reason: 'forwarded', shortReason: 'no_headroom' } as const;
const answered = { reason: 'too_big_sent', shortReason: 'too_long', counts: {} } as const;
const tag = { control: 9 };
const crossed = udpFrame(flowTo(4, VIPS.crossed));

export const HEADROOM_CASES: readonly HeadroomCase[] = [
  ...FAMILIES.flatMap((family): HeadroomCase[] => {
    const vip = family === 4 ? VIPS.web4 : VIPS.web6;
    const flow = flowTo(family, vip);
    const frame = tcpFrame(flow);
    const long = tcpFrame(flow, { data: new Uint8Array(1500) });
    const { headerBytes } = FAMILY[family];
    const of = { vip: vip.number, counts: FAIL[family] };
    return [
      { name: `IPv${family} in IP`, frame, needBytes: headerBytes, ...forwarded, ...of },
      {
        name: `IPv${family} in GUE`,
        options: { gue: true },
        frame,
        needBytes: headerBytes + 8,
        ...forwarded,
        ...of,
      },
      {
        name: `IPv${family}, the answer to a frame that is too long`,
        frame: long,
        needBytes: headerBytes + 8,
        ...answered,
        vip: vip.number,
      },
      // The room of the tag helps the outer header: it is the tag that finds none.
      {
        name: `IPv${family} in IP, tagged`,
        frame: tagged(frame, tag),
        needBytes: headerBytes,
        ...forwarded,
        vip: vip.number,
        counts: {},
      },
      {
        name: `IPv${family} in IP, two tags`,
        frame: tagged(frame, tag, tag),
        needBytes: headerBytes,
        ...forwarded,
        vip: vip.number,
        counts: {},
      },
    ];
  }),
  {
    name: 'IPv4 in IPv6',
    frame: crossed,
    needBytes: 40,
    ...forwarded,
    vip: VIPS.crossed.number,
    counts: FAIL[6],
  },
  {
    name: 'IPv4 in GUE over IPv6',
    options: { gue: true },
    frame: crossed,
    needBytes: 48,
    ...forwarded,
    vip: VIPS.crossed.number,
    counts: FAIL[6],
  },
];
