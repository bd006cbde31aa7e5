import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { built } from '../demo/appliance.js';
import { tailOfErrors } from '../demo/lines.js';
import { closedAtExit } from './at-exit.js';
import { compileC } from './forwarding.js';
import { startPart } from './forwarding-part.js';
import { INTERFACE, PEER, Rig } from './forwarding-rig.js';
import { ackFrame, FLOWS } from './forwarding-traffic.js';
import { type Comparison, type Plan, type Series, turns } from './report.js';

/** Room for the tool's own 16 bytes behind the headers. */
const FRAME_BYTES = 80;
const LOADS = [1, 10, 50, 90] as const;
const QUICK_LOADS = [1, 50] as const;
const DIRECT = 'direct: the kernel turns frames round on the link (XDP_TX)';
const OURS_AF_PACKET = 'waggle, af_packet';
/** What comes back through it when the tool sends as fast as it can is "the load". */
const YARDSTICK = 'C V3';
/** Frames that may stay out before the row about them is shown, percent. */
const ALL_BACK = 99.9;

const TRIES = 3;

/** Percentiles as rows have them. */
const PERCENTILES = { p50: 'median', p99: '99th percentile', p999: '99.9th percentile' } as const;
type Percentile = keyof typeof PERCENTILES;

/** What the tool prints: times in ns. */
interface Trips extends Readonly<Record<Percentile, number>> {
  readonly sent: number;
  readonly received: number;
  readonly seconds: number;
}

interface Contender {
  readonly name: string;
  readonly command: readonly string[];
  /** Sends with XDP_TX: the far end of the link needs a program of its own to take that. */
  readonly sendsByXdp: boolean;
}

const inNode = (script: string, ...args: readonly string[]): string[] => [
  process.execPath,
  built(`bench/${script}.js`),
  INTERFACE,
  ...args,
];

function contenders(isQuick: boolean): Contender[] {
  const [forwarder, xskForwarder] = [compileC('forwarder'), compileC('xsk-forwarder')];
  const contender = (name: string, command: readonly string[], sendsByXdp = false): Contender => ({
    name,
    command,
    sendsByXdp,
  });
  return [
    contender(DIRECT, inNode('kernel-forward-worker', 'swap'), true),
    contender(YARDSTICK, [forwarder, INTERFACE, 'v3']),
    ...(isQuick ? [] : [contender('C V2', [forwarder, INTERFACE, 'v2'])]),
    contender(OURS_AF_PACKET, inNode('forwarding-worker', 'balancer', 'af_packet')),
    contender('C AF_XDP', [xskForwarder, INTERFACE]),
    contender('waggle, af_xdp', inNode('forwarding-worker', 'balancer', 'af_xdp')),
    contender('waggle, xdp', inNode('kernel-forward-worker', 'ours'), true),
  ];
}

/** Frames at a rate, from the far end to the forwarder and back. @param perSecond 0: as many as go */
async function pace(rig: Rig, pacer: string, perSecond: number, seconds: number): Promise<Trips> {
  const numbers = [FLOWS, Math.round(perSecond), Math.round(seconds * 1000)].map(String);
  const child = rig.spawn(0, [pacer, PEER, ackFrame(rig.mac, FRAME_BYTES), ...numbers], true);
  const errors = tailOfErrors(child);
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [status] = await once(child, 'close');
  if (status !== 0) throw new Error(`the pacer ended with status ${status}:\n${errors()}`);
  return JSON.parse(said) as Trips;
}

/** One forwarder, at each load in turn. */
async function measure(
  rig: Rig,
  pacer: string,
  { name, command, sendsByXdp }: Contender,
  rates: readonly number[],
  seconds: number,
): Promise<Trips[]> {
  const core = availableParallelism() > 1 ? 1 : 0;
  const pass = [process.execPath, built('bench/kernel-forward-worker.js'), PEER, 'pass'];
  const far = sendsByXdp
    ? await startPart(rig, { name: 'pass', command: pass, core, isFar: true })
    : undefined;
  const forwarder = await startPart(rig, { name, command, core });
  const trips: Trips[] = [];
  for (const rate of rates) {
    let trip = await pace(rig, pacer, rate, seconds);
    // What else runs on the machine may have kept one of the cores for all of a short while.
    for (let again = 1; trip.received === 0 && again < TRIES; again++)
      trip = await pace(rig, pacer, rate, seconds);
    if (trip.received === 0) throw new Error(`${name}: none of ${trip.sent} frames came back`);
    trips.push(trip);
  }
  await forwarder.stop();
  await far?.stop();
  return trips;
}

/**
 * How long frames are on their way out of an interface, through a forwarder and back, by the load: through the balancer on
 * each engine, which encapsulates them, and through forwarders in C that only swap MAC addresses. The load is the same
 * number of frames a second for all. One core sends and takes frames, and never sleeps; the other is the forwarder's.
 * Needs root, gcc, iproute2, ethtool, nftables and taskset.
 */
export async function benchLatency({ systemRounds, seconds, isQuick }: Plan): Promise<Comparison[]> {
  const pacer = compileC('pacer');
  const all = contenders(isQuick);
  const yardstick = all.find(({ name }) => name === YARDSTICK);
  if (yardstick === undefined) throw new Error(`no contender ${YARDSTICK}`);
  const loads = isQuick ? QUICK_LOADS : LOADS;
  const rig = closedAtExit(new Rig());
  try {
    const [flatOut] = await measure(rig, pacer, yardstick, [0], seconds);
    const full = flatOut === undefined ? 0 : flatOut.received / flatOut.seconds;
    const rates = loads.map((percent) => (full * percent) / 100);
    const trips = new Map<string, Trips[][]>(all.map(({ name }) => [name, []]));
    for (const contender of turns(all, systemRounds))
      trips.get(contender.name)?.push(await measure(rig, pacer, contender, rates, seconds));
    return [
      {
        title: `The load of the latency rows: what comes back through ${YARDSTICK}`,
        unit: 'frames/s',
        baseline: YARDSTICK,
        series: [{ name: YARDSTICK, rounds: [full] }],
      },
      ...loads.flatMap((percent, index) => rowsOf(percent, index, trips)),
    ];
  } finally {
    rig.close();
  }
}

/** The percentiles at one load, and the frames that came back where not all did. */
function rowsOf(percent: number, index: number, trips: ReadonlyMap<string, Trips[][]>): Comparison[] {
  const seriesOf = (figure: (trip: Trips) => number): Series[] =>
    [...trips].map(([name, rounds]) => ({
      name,
      rounds: rounds.flatMap((each) => each[index] ?? []).map(figure),
    }));
  const at = `at ${percent} % of the load`;
  const back = seriesOf(({ sent, received }) => (100 * received) / sent);
  const rows = Object.entries(PERCENTILES).map(
    ([key, name], place): Comparison => ({
      title: `Out, through a forwarder and back, ${at}, ${name}`,
      unit: 'µs',
      baseline: DIRECT,
      series: seriesOf((trip) => trip[key as Percentile] / 1000),
      ...(percent === 1 && place === 0 && { aim: { of: 'median', most: 60, series: [OURS_AF_PACKET] } }),
    }),
  );
  if (back.some(({ rounds }) => rounds.some((share) => share < ALL_BACK)))
    rows.push({
      title: `Frames that came back ${at}`,
      unit: '% of those sent',
      baseline: DIRECT,
      series: back,
    });
  return rows;
}
