import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../demo/lines.js';
import { assemble } from '../../test/support/assembler.js';
import { missingRoot } from '../../test/support/capabilities.js';
import { built } from '../../test/support/datapath-bed.js';
import { addVeth, enterNamespace, sh, Wire } from '../../test/support/namespace.js';
import { concat, hex, udpFrame } from '../../test/support/packets.js';
import { compileProgram } from '../bpf/jit/compile.js';
import { type ArenaMap, ArenaMaps } from '../bpf/maps/registry.js';
import { Arena } from '../bpf/memory/arena.js';
import type { LinkInfo } from '../sys/socket.js';
import type { WorkerCounter } from '../worker/counters.js';
import type { AfPacketEngine } from './af-packet.js';
import { findEngineLink } from './engine.js';

const FLOW = { src: '203.0.113.1', dst: '192.0.2.1', dport: 2 } as const;
/** A frame of a flow of its own, which so may go to any worker. */
const frameOf = (n: number) => udpFrame({ ...FLOW, sport: 10_000 + n });
const [BROADCAST, EXCLUDE_INGRESS] = [8, 16];
const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const redirectMap = (key: number, flags: number) => `
  r1 = map[0]
  r2 = ${key}
  r3 = ${flags}
  call 51
  exit`;

describe.skipIf(missingRoot)(`a redirecting program${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  const links: LinkInfo[] = [];
  let engine: AfPacketEngine | undefined;
  let wires: Wire[] = [];
  let log: string[] = [];
  let map: ArenaMap;

  beforeAll(() => {
    enterNamespace();
    for (const name of ['rd0', 'rd1', 'rd2']) links.push(addVeth(name, `${name}-far`));
  });

  afterEach(async () => {
    await engine?.stop();
    engine = undefined;
    for (const wire of wires) wire.close();
  });

  const compile = (code: string) => new WebAssembly.Module(compileProgram(assemble(code), [map.info]).wasm);

  /** An engine on the first interface; `targets` are programs by name, which `fill` gets the numbers of. */
  const start = async (
    code: string,
    fill: (map: ArenaMap, number: number) => void = () => undefined,
    target = 'r0 = 2\nexit',
    type: 'DEVMAP' | 'CPUMAP' = 'DEVMAP',
  ) => {
    const module = (await import(built('engine/af-packet'))) as typeof import('./af-packet.js');
    const link = findEngineLink('rd0');
    const arena = Arena.create({
      workers: 2,
      mapsBytes: 2 ** 20,
      ringsBytes: module.AfPacketEngine.plan(link, 2).ringsBytes,
    });
    const host = new ArenaMaps(arena);
    const spec = {
      name: 'ports',
      type,
      keySize: 4,
      valueSize: 8,
      maxEntries: 8,
      flags: 0,
    } as const;
    map = host.createMap(spec);
    const number = host.programs.allocate('target');
    fill(map, number);
    log = [];
    engine = await module.AfPacketEngine.start({
      arena,
      link,
      workers: 2,
      program: { entry: compile(code), targets: [{ number, module: compile(target) }] },
      recover: (cpu) => host.recover(cpu),
      log: (_, message, fields) => log.push(`${message} ${JSON.stringify(fields)}`),
    });
    wires = ['rd0-far', 'rd1-far', 'rd2-far'].map((name) => new Wire(name));
  };
  const total = (name: string): number =>
    engine!
      .workers()
      .reduce(
        (sum, { counters }) => sum + Number(Object.entries(counters).find(([key]) => key === name)?.[1]),
        0,
      );
  /** Send frames in at the first interface; gives what comes out of each once all are counted. */
  const exchange = async (frames: readonly Uint8Array[]) => {
    const before = total('received');
    for (const frame of frames) wires[0]!.send(frame);
    await until('the frames', () => total('received') === before + frames.length);
    await new Promise((resolve) => setTimeout(resolve, 30));
    return wires.map((wire) => wire.received().map(hex).sort());
  };
  const frames = Array.from({ length: 100 }, (_, i) => frameOf(i));
  const all = frames.map(hex).sort();

  it('sends frames out by the interface that it names', async () => {
    await start(`r1 = ${links[1]!.index}\nr2 = 0\ncall 23\nexit`);
    expect(await exchange(frames)).toEqual([[], all, []]);
    expect([total('redirected'), total('transmitted')]).toEqual([100, 0]);
    expect(total('redirected_bytes')).toBe(100 * frames[0]!.length);
  });

  it('sends frames out by the interface of an element, changed by its program', async () => {
    const mark = `
      r2 = *(u32 *)(r1 + 0)
      r3 = 0x02
      *(u8 *)(r2 + 5) = r3
      r0 = 2
      exit`;
    await start(
      redirectMap(3, 0),
      (ports, number) => ports.update(u32(3), u32(links[2]!.index, number)),
      mark,
    );
    const marked = frames.map((frame) =>
      hex(concat(frame.subarray(0, 5), Uint8Array.of(2), frame.subarray(6))),
    );
    expect(await exchange(frames)).toEqual([[], [], marked.sort()]);
  });

  it('floods to all but the interface that the frame came by', async () => {
    await start(redirectMap(0, BROADCAST | EXCLUDE_INGRESS), (ports) =>
      links.forEach(({ index }, i) => {
        ports.update(u32(i * 2), u32(index, 0));
      }),
    );
    expect(await exchange(frames)).toEqual([[], all, all]);
    expect(total('redirected')).toBe(200);
  });

  it('loses what was for an interface that is gone, and nothing else', async () => {
    const gone = addVeth('rd9', 'rd9-far');
    await start(redirectMap(0, BROADCAST | EXCLUDE_INGRESS), (ports) =>
      [gone, links[1]!, links[2]!].forEach(({ index }, i) => {
        ports.update(u32(i), u32(index, 0));
      }),
    );
    sh('ip link del rd9');
    expect(await exchange(frames)).toEqual([[], all, all]);
    expect([total('redirected'), total('send_refused')]).toEqual([200, 100]);
    expect(log.length).toBeGreaterThan(0);
    expect(log.every((line) => /refused to send.*(ENXIO|ENODEV)/.test(line))).toBe(true);
  });

  it('goes on when a worker was killed', async () => {
    await start(redirectMap(1, 0), (ports) => ports.update(u32(1), u32(links[1]!.index, 0)));
    await exchange(frames);
    await engine!.kill(0);
    await until('the replacement', () => engine!.workers().every(({ state }) => state === 'running'));
    expect(await exchange(frames)).toEqual([[], all, []]);
    expect(engine!.workers().map(({ restarts }) => restarts)).toEqual([1, 0]);
  });

  describe('to the other worker', () => {
    /** As many as an inbox has room for, if a worker does not get to run meanwhile. */
    const few = frames.slice(0, 60);
    const fewSorted = few.map(hex).sort();
    const TO_OTHER = `
      call 8
      r2 = 1
      r2 -= r0
      r1 = map[0]
      r3 = 0
      call 51
      exit`;
    const startPair = (target?: string) =>
      start(
        TO_OTHER,
        (cpus, number) => {
          for (const cpu of [0, 1]) cpus.update(u32(cpu), u32(64, target === undefined ? 0 : number));
        },
        target,
        'CPUMAP',
      );
    const of = (counter: WorkerCounter) =>
      engine!.workers().map(({ counters }) => Number(counters[counter] ?? 0));

    it('has that one do as the program of the element says', async () => {
      await startPair('r0 = 3\nexit');
      expect(await exchange(few)).toEqual([fewSorted, [], []]);
      const received = of('received');
      expect(Math.min(...received)).toBeGreaterThan(0);
      expect([of('handed_over'), of('taken_over'), of('transmitted')]).toEqual([
        received,
        received.toReversed(),
        received.toReversed(),
      ]);
    });

    it('goes out by another interface there', async () => {
      await startPair(`r1 = ${links[1]!.index}\nr2 = 0\ncall 23\nexit`);
      expect(await exchange(few)).toEqual([[], fewSorted, []]);
      expect(of('redirected')).toEqual(of('received').toReversed());
    });

    it('is left to the host where the element has no program', async () => {
      await startPair();
      expect(await exchange(few)).toEqual([[], [], []]);
      expect(of('passed')).toEqual(of('received').toReversed());
    });

    it('wakes it', async () => {
      await startPair('r0 = 3\nexit');
      const startMs = performance.now();
      for (const frame of few) {
        wires[0]!.send(frame);
        while (wires[0]!.received().length === 0 && performance.now() < startMs + 10_000)
          await new Promise((resolve) => setImmediate(resolve));
      }
      // A worker that nobody wakes looks once in 100 ms.
      expect(performance.now() - startMs).toBeLessThan(few.length * 25);
    });

    it('waits while that one is replaced', async () => {
      await startPair('r0 = 3\nexit');
      for (const [round, victim] of [1, 0, 1].entries()) {
        await engine!.kill(victim);
        for (const frame of few) wires[0]!.send(frame);
        await until('the frames', () => total('transmitted') === (round + 1) * few.length);
        await until('the replacement', () => engine!.workers().every(({ state }) => state === 'running'));
      }
      await new Promise((resolve) => setTimeout(resolve, 30));
      const came = wires.map((wire) => wire.received().map(hex).sort());
      expect(came).toEqual([[...fewSorted, ...fewSorted, ...fewSorted].sort(), [], []]);
      expect(engine!.workers().map(({ restarts }) => restarts)).toEqual([1, 2]);
    });

    it('is lost where that one has no room, which is counted, and nothing else is', async () => {
      await startPair('r0 = 3\nexit');
      await engine!.kill(1);
      // Worker 1 does not take any for a while: those of worker 0 beyond an inbox's slots find no room.
      const many = Array.from({ length: 600 }, (_, i) => frameOf(i));
      for (const frame of many) wires[0]!.send(frame);
      await until('the frames', () => total('transmitted') + total('redirect_queue_full') === many.length);
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(wires[0]!.received()).toHaveLength(total('transmitted'));
      expect(of('redirect_queue_full')[0]).toBeGreaterThan(0);
      expect(total('handed_over')).toBe(total('taken_over'));
    });
  });
});
