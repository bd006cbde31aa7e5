import { afterEach, beforeAll, expect, it } from 'vitest';
import { until } from '../../demo/lines.js';
import { objectBytes } from '../../lb/balancer/object.js';
import type { DatapathOptions } from '../../lb/datapath.js';
import { pseudoHeaderSum } from '../../lb/net/checksum.js';
import type { WorkerCounter } from '../../lb/worker/counters.js';
import { DatapathBed, flowFrame, forwarded, sorted, type Traces, traces } from './datapath-bed.js';
import { enterNamespace } from './namespace.js';
import { hex } from './packets.js';

/** A counter of all workers together. */
const totalOf = ({ datapath }: DatapathBed, name: WorkerCounter): number =>
  datapath.workers().reduce((sum, { counters }) => sum + Number(counters[name] ?? 0n), 0);

/** Datapaths for the tests of a suite, one at a time, in a namespace of their own. */
export interface DatapathSuite {
  /** Start one; it is stopped behind the test. */
  start(options?: Partial<DatapathOptions>): Promise<DatapathBed>;
  /** A counter of all workers of the one that was started last. */
  total(name: WorkerCounter): number;
  /** expectForwarded by that one. */
  forwards(flows: readonly number[], frameOf?: (flow: number) => Uint8Array): Promise<void>;
}

/** @param defaults what each is started with that says nothing else */
export function useDatapaths(defaults: Partial<DatapathOptions> = {}): DatapathSuite {
  let bed: DatapathBed | undefined;
  beforeAll(() => {
    enterNamespace();
    DatapathBed.prepare();
  });
  afterEach(async () => {
    await bed?.stop();
    bed = undefined;
  });
  const last = (): DatapathBed => {
    if (bed === undefined) throw new Error('no datapath was started');
    return bed;
  };
  return {
    async start(options = {}) {
      bed = await DatapathBed.start({ ...defaults, ...options });
      return bed;
    },
    total: (name) => totalOf(last(), name),
    forwards: (flows, frameOf) => expectForwarded(last(), flows, frameOf),
  };
}

/** Send a frame of each flow: each comes back encapsulated, and nothing else does. */
export async function expectForwarded(
  { exchange }: DatapathBed,
  flows: readonly number[],
  frameOf: (flow: number) => Uint8Array = (flow) => flowFrame(flow),
): Promise<void> {
  const wanted = flows.map((flow) => forwarded(frameOf(flow), flow));
  expect(sorted(await exchange(flows, frameOf))).toEqual(sorted(wanted));
}

/** All is as it was before a datapath was started. Threads of the runtime's own may have ended meanwhile. */
export async function expectNothingLeft(before: Traces): Promise<void> {
  await until('the threads to be gone', () => traces().threads <= before.threads);
  expect({ ...traces(), threads: 0 }).toEqual({ ...before, threads: 0 });
}

/**
 * What a datapath of workers does, whatever brings it its frames.
 * @param start a datapath that is stopped behind the test
 * @param flows enough of them to see a swap of the program in their midst
 */
export function itForwards(start: () => Promise<DatapathBed>, flows: readonly number[]): void {
  it('fills in checksums that the sender left to its NIC', async () => {
    const bed = await start();
    const frame = flowFrame(4243);
    const partial = Uint8Array.from(frame);
    // The sum of the pseudo-header, not inverted, as checksum offload wants it.
    const sum = pseudoHeaderSum(frame.subarray(26, 30), frame.subarray(30, 34), 6, frame.length - 34);
    partial.set([sum >> 8, sum & 0xff], 50);
    bed.wire.sendPartial(partial, 34, 50);
    const came = await until('the frame', () => bed.wire.received()[0]);
    expect(hex(came)).toBe(hex(forwarded(frame, 4243)));
    await until('the counter', () => totalOf(bed, 'checksum_filled') === 1);
  });

  it('sends as much as the link takes, and answers what is too long once it is encapsulated', async () => {
    const { wire, datapath } = await start();
    const payload = (bytes: number) => new Uint8Array(bytes - 54);
    const longest = flowFrame(4246, payload(1600 + 14 - 40));
    wire.send(longest);
    wire.send(flowFrame(4246, payload(1600 + 14 - 39)));
    const came = await until('the frame', () => wire.received()[0]);
    expect(hex(came)).toBe(hex(forwarded(longest, 4246)));
    await until('the answer', () => datapath.tables.reasonStats(0).too_big_sent.packets === 1n);
  });

  it('swaps the program between batches, without losing a frame', async () => {
    const bed = await start();
    const { datapath } = bed;
    const swaps = (async () => {
      for (let i = 0; i < 4; i++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        await datapath.swapProgram(objectBytes('balancer'));
      }
    })();
    await expectForwarded(bed, flows);
    await swaps;
    await expectForwarded(bed, flows);
    expect(datapath.workers().map(({ restarts }) => restarts)).toEqual(datapath.workers().map(() => 0));
  });
}
