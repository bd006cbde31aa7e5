import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../demo/lines.js';
import { assemble } from '../../test/support/assembler.js';
import { PoolBed } from '../../test/support/pool-bed.js';
import { compileProgram } from '../bpf/jit/compile.js';
import { ArenaMaps } from '../bpf/maps/registry.js';
import type { WorkerProgram } from './messages.js';
import type { WorkerPoolOptions } from './pool.js';

/** The program's verdict by the first byte of the frame: HANG never ends, DIE reads what is not there. */
const [HANG, DIE, PLAIN] = [255, 254, 0];
const frameWith = (first: number) => Uint8Array.of(first, ...new Uint8Array(59));
const programWith = (verdict: number): WorkerProgram => ({
  targets: [],
  entry: new WebAssembly.Module(
    compileProgram(
      assemble(`
        r2 = *(u32 *)(r1 + 0)
        r3 = *(u8 *)(r2 + 0)
        if r3 == ${HANG} goto hang
        if r3 == ${DIE} goto die
        r0 = ${verdict}
        exit
      hang:
        goto hang
      die:
        r4 = 0xfffffff8 ll
        r0 = *(u64 *)(r4 + 0)
        exit
      `),
      [],
    ).wasm,
  ),
});
const [DROP, PASS, TX] = [1, 2, 3].map(programWith) as [WorkerProgram, WorkerProgram, WorkerProgram];

describe('the worker pool', () => {
  let bed: PoolBed | undefined;
  const start = async (workers: number, options?: Partial<WorkerPoolOptions>): Promise<PoolBed> => {
    bed = new PoolBed(workers, PASS, options);
    await bed.start();
    return bed;
  };

  afterEach(async () => {
    await bed?.stop();
    bed = undefined;
  });

  it('has a thread for each ring', async () => {
    const { pool, rings, counted, worker } = await start(3);
    expect(pool.workers().map(({ index, state, restarts }) => [index, state, restarts])).toEqual([
      [0, 'running', 0],
      [1, 'running', 0],
      [2, 'running', 0],
    ]);
    rings[0]!.put(frameWith(PLAIN));
    for (let i = 0; i < 5; i++) rings[2]!.put(frameWith(PLAIN));
    await counted(0, 'passed', 1);
    await counted(2, 'passed', 5);
    expect([0, 1, 2].map((i) => worker(i).counters.received)).toEqual([1n, 0n, 5n]);
  });

  it('replaces a thread that was killed, and the others go on', async () => {
    const { pool, rings, counted, worker, log, recovered } = await start(2);
    rings[0]!.put(frameWith(PLAIN));
    await counted(0, 'passed', 1);
    await pool.kill(0, 'for the test');
    expect(worker(0)).toMatchObject({ state: 'restarting', lastFault: 'for the test', restarts: 0 });
    expect(recovered).toEqual([0]);
    // They wait for the next thread, or go by the other one.
    for (let i = 0; i < 3; i++) for (const ring of rings) ring.put(frameWith(PLAIN));
    await counted(1, 'passed', 3);
    await counted(0, 'passed', 4);
    expect([worker(0).restarts, worker(1).restarts]).toEqual([1, 0]);
    expect(worker(0).state).toBe('running');
    expect(worker(0).counters.lost_at_restart).toBe(0n);
    expect(log).toEqual([
      {
        level: 'error',
        message: 'worker died; its frames wait for the next one',
        worker: 0,
        fault: 'for the test',
        restartInMs: 10,
      },
      { level: 'info', message: 'worker restarted', worker: 0, restarts: 1 },
    ]);
  });

  it('replaces a thread that died of a frame, and loses that frame alone', async () => {
    const { rings, counted, worker } = await start(1);
    for (const first of [DIE, PLAIN, PLAIN]) rings[0]!.put(frameWith(first));
    await counted(0, 'passed', 2);
    expect(worker(0)).toMatchObject({ restarts: 1, counters: { received: 2n, lost_at_restart: 1n } });
    expect(worker(0).lastFault).toContain('out of bounds');
  });

  it('waits twice as long before each restart of a thread that dies again', async () => {
    const { rings, counted, log } = await start(1);
    for (const first of [DIE, DIE, DIE, DIE, PLAIN]) rings[0]!.put(frameWith(first));
    await counted(0, 'passed', 1);
    const waits = log.filter(({ level }) => level === 'error').map(({ restartInMs }) => restartInMs);
    expect(waits).toEqual([10, 20, 40, 80]);
  });

  it('replaces a thread that hangs, and loses the frame that it hangs on', async () => {
    const { rings, counted, worker } = await start(2, { hangMs: 500 });
    for (const first of [HANG, PLAIN]) rings[0]!.put(frameWith(first));
    rings[1]!.put(frameWith(PLAIN));
    await counted(1, 'passed', 1);
    await counted(0, 'passed', 1);
    expect(worker(0)).toMatchObject({
      restarts: 1,
      lastFault: 'no sign of life for 0.5 s',
      counters: { received: 1n, lost_at_restart: 1n },
    });
    expect(worker(1).restarts).toBe(0);
  });

  it('does not take a thread for hanging that has nothing to do', async () => {
    const { heartbeat, worker } = await start(1, { hangMs: 500 });
    const before = heartbeat(0);
    await until('a time with nothing to do', () => heartbeat(0) > before + 12);
    expect(worker(0).restarts).toBe(0);
  });

  it('outlives threads that are killed while they start', async () => {
    const { pool, rings, counted, worker } = await start(1);
    await pool.kill(0, 'for the test');
    // At moments all over a start, which takes some tens of milliseconds.
    const kills = 7;
    for (let kill = 1; kill <= kills; kill++) {
      await until('the next thread', () => worker(0).restarts === kill);
      await new Promise((resolve) => setTimeout(resolve, kill * 8));
      void pool.kill(0, `kill ${kill}`);
      await until('its end', () => worker(0).lastFault === `kill ${kill}`);
    }
    rings[0]!.put(frameWith(PLAIN));
    await counted(0, 'passed', 1);
    expect(worker(0).restarts).toBe(kills + 1);
  });

  describe('with another program', () => {
    it('runs it from the next batch on, in every worker', async () => {
      const { pool, rings, counted, worker } = await start(2);
      for (const ring of rings) ring.put(frameWith(PLAIN));
      for (const i of [0, 1]) await counted(i, 'passed', 1);
      await pool.swapProgram(DROP);
      for (const i of [0, 1]) {
        const { passed } = worker(i).counters;
        for (let n = 0; n < 10; n++) rings[i]!.put(frameWith(PLAIN));
        await counted(i, 'dropped', 10);
        expect(worker(i).counters.passed).toBe(passed);
      }
      expect([worker(0).restarts, worker(1).restarts]).toEqual([0, 0]);
    });

    it('starts it in a thread that is replaced', async () => {
      const { pool, rings, counted } = await start(1);
      await pool.kill(0, 'for the test');
      await pool.swapProgram(DROP);
      rings[0]!.put(frameWith(PLAIN));
      await counted(0, 'dropped', 1);
      await pool.kill(0, 'for the test');
      rings[0]!.put(frameWith(PLAIN));
      await counted(0, 'dropped', 2);
    });

    it('runs the last one of several in a row', async () => {
      const { pool, rings, counted, worker } = await start(1);
      await Promise.all([TX, PASS, TX, DROP].map((program) => pool.swapProgram(program)));
      for (let n = 0; n < 4; n++) rings[0]!.put(frameWith(PLAIN));
      await counted(0, 'dropped', 4);
      expect(worker(0).counters).toMatchObject({ received: 4n, passed: 0n });
    });

    it('finds the programs that it calls, and those of before until their slots have changed', async () => {
      const bed = await start(2);
      const { pool, rings, counted } = bed;
      const host = new ArenaMaps(bed.arena);
      const calls = host.createMap({
        name: 'calls',
        type: 'PROG_ARRAY',
        keySize: 4,
        valueSize: 4,
        maxEntries: 1,
        flags: 0,
      });
      const moduleOf = (text: string) =>
        new WebAssembly.Module(compileProgram(assemble(text), [calls.info]).wasm);
      const entry = moduleOf('r2 = map[0]\nr3 = 0\ncall 12\nr0 = 2\nexit');
      const word = (number: number) => new Uint8Array(Uint32Array.of(number).buffer);
      const swapTo = async (verdict: number) => {
        const number = host.programs.allocate(`verdict ${verdict}`);
        const targets = [{ number, module: moduleOf(`r0 = ${verdict}\nexit`) }];
        await pool.swapProgram({ entry, targets });
        return number;
      };
      const put = () => {
        for (const ring of rings) ring.put(frameWith(PLAIN));
      };
      // An empty slot: the call falls through, and the packet passes.
      const drop = await swapTo(1);
      put();
      for (const i of [0, 1]) await counted(i, 'passed', 1);
      expect(calls.update(word(0), word(drop))).toBe(0);
      put();
      for (const i of [0, 1]) await counted(i, 'dropped', 1);
      const abort = await swapTo(0);
      put();
      for (const i of [0, 1]) await counted(i, 'dropped', 2);
      expect(calls.update(word(0), word(abort))).toBe(0);
      put();
      for (const i of [0, 1]) await counted(i, 'aborted', 1);
      // A thread that is replaced knows them too.
      await pool.kill(0, 'for the test');
      put();
      for (const i of [0, 1]) await counted(i, 'aborted', 2);
    });
  });

  it('counts frames that the kernel refuses, and says so once', async () => {
    const { rings, counted, log, worker } = await start(1, { program: TX });
    for (let i = 0; i < 100; i++) rings[0]!.put(frameWith(PLAIN));
    await counted(0, 'send_refused', 100);
    await until('the log', () => log.length > 0);
    expect(log).toEqual([
      { level: 'warn', message: 'the kernel refused to send a frame', worker: 0, errno: 'EBADF' },
    ]);
    expect(worker(0).counters).toMatchObject({ received: 100n, transmitted: 0n });
  });

  describe('stops', () => {
    /** No thread beats any more. */
    const expectQuiet = async ({ pool, heartbeat }: PoolBed) => {
      expect(pool.workers().map(({ state }) => state)).toEqual(['stopped', 'stopped']);
      const before = [heartbeat(0), heartbeat(1)];
      await new Promise((resolve) => setTimeout(resolve, 250));
      expect([heartbeat(0), heartbeat(1)]).toEqual(before);
      expect(pool.workers().every(({ state }) => state === 'stopped')).toBe(true);
    };

    it('threads that wait, twice', async () => {
      const it = await start(2);
      await Promise.all([it.pool.stop(), it.pool.stop()]);
      await it.pool.stop();
      await expectQuiet(it);
    });

    it('a thread that hangs', async () => {
      const it = await start(2);
      it.rings[0]!.put(frameWith(HANG));
      await until('it to hang', async () => {
        const before = it.heartbeat(0);
        await new Promise((resolve) => setTimeout(resolve, 300));
        return it.heartbeat(0) === before;
      });
      await it.pool.stop();
      await expectQuiet(it);
    });

    it('a thread that starts', async () => {
      const it = await start(2);
      await it.pool.kill(1, 'for the test');
      await until('the next thread', () => it.worker(1).restarts === 1);
      await it.pool.stop();
      await expectQuiet(it);
    });

    it('while a thread is about to be replaced', async () => {
      const it = await start(2);
      await it.pool.kill(1, 'for the test');
      await it.pool.stop();
      await expectQuiet(it);
      expect(it.worker(1).restarts).toBe(0);
    });

    it('after the batch in hand', async () => {
      const it = await start(2);
      for (let i = 0; i < 1000; i++) it.rings[0]!.put(frameWith(PLAIN));
      await it.pool.stop();
      const { received, passed, lost_at_restart } = it.worker(0).counters;
      expect([received, lost_at_restart]).toEqual([passed, 0n]);
    });
  });

  it('does not start when a thread does not, and says why', async () => {
    const entry = new URL(`data:text/javascript,${encodeURIComponent("throw new Error('no room')")}`);
    const failing = new PoolBed(2, PASS, { entry });
    await expect(failing.start()).rejects.toThrow('worker 0 did not start: no room');
    const restarts = failing.log.filter(({ message }) => message === 'worker restarted').length;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(failing.log.filter(({ message }) => message === 'worker restarted')).toHaveLength(restarts);
  });
});
