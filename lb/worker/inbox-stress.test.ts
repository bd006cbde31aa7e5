import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../demo/lines.js';
import { assemble } from '../../test/support/assembler.js';
import { runInboxThreads } from '../../test/support/inbox-threads.js';
import { PoolBed } from '../../test/support/pool-bed.js';
import { compileProgram } from '../bpf/jit/compile.js';
import { type ArenaMap, ArenaMaps } from '../bpf/maps/registry.js';
import type { WorkerCounter } from './counters.js';

const WORKERS = 3;
const FRAMES = 24_000;
const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
/** The worker by the first byte; the frame's number in each word after the first. */
const frameFor = (worker: number, number: number, bytes: number): Uint8Array => {
  const words = new Uint32Array(bytes / 4).fill(number);
  words[0] = worker;
  return new Uint8Array(words.buffer);
};
const TO_WORKER = `
  r2 = *(u32 *)(r1 + 0)
  r2 = *(u8 *)(r2 + 0)
  r1 = map[0]
  r3 = 0
  call 51
  exit`;
/** Counts the frame under its number, or under FRAMES where it is not of one piece. */
const COUNT = `
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r4 = *(u32 *)(r2 + 4)
again:
  r2 += 4
  if r2 >= r3 goto count
  r5 = *(u32 *)(r2 + 0)
  if r5 == r4 goto again
  r4 = ${FRAMES}
count:
  *(u32 *)(r10 - 4) = r4
  r2 = r10
  r2 += -4
  r1 = map[1]
  call 1
  r1 = 1
  lock *(u32 *)(r0 + 0) += r1
  r0 = 1
  exit`;

describe('frames from worker to worker, of threads that run at once', () => {
  let bed: PoolBed;
  let seen: ArenaMap;

  afterEach(async () => {
    await bed.stop();
  });

  const start = async () => {
    const idle = new WebAssembly.Module(compileProgram(assemble('r0 = 2\nexit'), []).wasm);
    bed = new PoolBed(WORKERS, { entry: idle, targets: [] });
    const host = new ArenaMaps(bed.arena);
    const base = { keySize: 4, flags: 0 };
    const cpus = host.createMap({ ...base, name: 'cpus', type: 'CPUMAP', valueSize: 8, maxEntries: WORKERS });
    seen = host.createMap({ ...base, name: 'seen', type: 'ARRAY', valueSize: 4, maxEntries: FRAMES + 1 });
    const compile = (text: string) =>
      new WebAssembly.Module(compileProgram(assemble(text), [cpus.info, seen.info]).wasm);
    await bed.start();
    const number = host.programs.allocate('count');
    for (let worker = 0; worker < WORKERS; worker++)
      expect(cpus.update(u32(worker), u32(64, number))).toBe(0);
    await bed.pool.swapProgram({ entry: compile(TO_WORKER), targets: [{ number, module: compile(COUNT) }] });
  };
  const total = (counter: WorkerCounter): number =>
    bed.pool.workers().reduce((sum, { counters }) => sum + Number(counters[counter]), 0);
  /** Every frame comes to some ring, and is for some worker; `between` is called now and then. */
  const exchange = async (between: (number: number) => void = () => undefined) => {
    const used = bed.rings.map(() => 0);
    for (let number = 0; number < FRAMES; number++) {
      const from = number % WORKERS;
      const ring = bed.rings[from]!;
      while (ring.statusOf(used[from]! % ring.frames) !== 0)
        await new Promise((resolve) => setImmediate(resolve));
      used[from]! += 1;
      // Most for the same worker, so that its inbox fills at times.
      const to = number % 7 < 4 ? 0 : number % WORKERS;
      ring.put(frameFor(to, number, number % 5 === 0 ? 1400 : 64));
      if (number % 1000 === 999) {
        between(number);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    let before = -1;
    await until('the last frame', async () => {
      const now = total('received') + total('taken_over') + total('lost_at_restart');
      const isStill = now === before && bed.pool.workers().every(({ state }) => state === 'running');
      before = now;
      // Longer than a worker waits.
      await new Promise((resolve) => setTimeout(resolve, 150));
      return isStill;
    });
  };
  /** How often each was seen, and at the end those that were torn. */
  const counts = () => {
    return Array.from({ length: FRAMES + 1 }, (_, number) => {
      const value = seen.lookup(u32(number));
      return new DataView(value!.buffer, value!.byteOffset).getUint32(0, true);
    });
  };

  it('come once and whole, but for those that found no room', async () => {
    await start();
    await exchange();
    const each = counts();
    expect(each.pop()).toBe(0);
    expect(Math.max(...each)).toBe(1);
    expect([total('received'), total('taken_over')]).toEqual([FRAMES, total('handed_over')]);
    expect(each.filter((count) => count === 0).length).toBe(total('redirect_queue_full'));
    expect(total('handed_over')).toBeGreaterThan(FRAMES / 4);
  });

  it('come once at most and whole when threads are killed, and no more are lost than they had in hand', async () => {
    await start();
    await exchange((number) => void bed.pool.kill(Math.floor(number / 1000) % WORKERS, 'for the test'));
    const each = counts();
    expect(each.pop()).toBe(0);
    expect(Math.max(...each)).toBe(1);
    const lost = total('lost_at_restart');
    const restarts = bed.pool.workers().reduce((sum, worker) => sum + worker.restarts, 0);
    expect(restarts).toBeGreaterThan(5);
    // A round is of 64 frames.
    expect(lost).toBeLessThanOrEqual(restarts * 64);
    const missing = each.filter((count) => count === 0).length;
    expect(missing).toBeLessThanOrEqual(total('redirect_queue_full') + lost);
    // No inbox is stuck.
    const before = total('taken_over');
    for (let worker = 0; worker < WORKERS; worker++) bed.rings[0]!.put(frameFor(worker, 0, 64));
    await until('three more', () => total('taken_over') === before + WORKERS);
  });
});

describe('workers that do nothing but hand frames to each other', () => {
  const whole = { twice: 0, torn: 0, stuck: 0 };

  it('lose none but those that find no room', async () => {
    const outcome = await runInboxThreads({ workers: 3, frames: 100_000, dieOnceIn: 0 });
    expect(outcome).toMatchObject({ ...whole, deaths: 0, missing: outcome.total('redirect_queue_full') });
    expect(outcome.total('handed_over')).toBe(outcome.sent - outcome.missing);
    expect(outcome.total('taken_over')).toBe(outcome.total('handed_over'));
  });

  it.each([
    ['die with a claim in their hand', { dieOnceIn: 5000 }],
    ['are killed wherever they are', { dieOnceIn: 0, killAfter: 3000 }],
  ])('lose no more than they had in hand when they %s', async (_, death) => {
    const outcome = await runInboxThreads({ workers: 3, frames: 50_000, ...death });
    expect(outcome).toMatchObject(whole);
    expect(outcome.deaths).toBeGreaterThan(3);
    // And up to a frame a death that was numbered and did not come to the ring.
    expect(outcome.missing).toBeLessThanOrEqual(
      outcome.total('redirect_queue_full') + outcome.total('lost_at_restart') + outcome.deaths,
    );
  });
});
