import { execFileSync } from 'node:child_process';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../demo/lines.js';
import { assemble } from '../../test/support/assembler.js';
import { missingRoot } from '../../test/support/capabilities.js';
import {
  built,
  CLIENT,
  DatapathBed,
  DEVICE,
  flowFrame,
  forwarded,
  traces,
  VIP,
} from '../../test/support/datapath-bed.js';
import { expectNothingLeft, itForwards, useDatapaths } from '../../test/support/datapath-cases.js';
import { addVeth, enterNamespace, sh, Wire } from '../../test/support/namespace.js';
import { concat, fromHex, hex, tcpFrame } from '../../test/support/packets.js';
import { QueueRings } from '../../test/support/xsk-frames.js';
import { objectBytes } from '../balancer/object.js';
import { RING_SIZE } from '../balancer/schema.js';
import { exactVipBytes } from '../balancer/vip-key.js';
import { compileProgram } from '../bpf/jit/compile.js';
import { ArenaMaps, mapBytes } from '../bpf/maps/registry.js';
import { Arena } from '../bpf/memory/arena.js';
import { createMaps } from '../bpf/object/create-maps.js';
import { loadObject } from '../bpf/object/load.js';
import type { DatapathOptions } from '../datapath.js';
import { AfXdpSockets, queueBytes, xskShape } from '../io/af-xdp.js';
import { unpinDatapath } from '../kernel-datapath-pins.js';
import { KernelMaps, loadKernelProgram } from '../sys/bpf.js';
import { findLink } from '../sys/socket.js';
import type { WorkerProgram } from '../worker/messages.js';
import type { AfXdpEngine } from './af-xdp.js';
import { defaultPinDirectory } from './pins.js';

const FLOWS = Array.from({ length: 2000 }, (_, i) => 10_000 + i);
const OTHER = tcpFrame({ src: CLIENT, dst: '198.51.100.99', sport: 1, dport: 80 });
const otherPort = tcpFrame({ src: CLIENT, dst: '198.51.100.10', sport: 1, dport: 81 });
const xdpOf = (device: string) => /xdp\w*/.exec(sh(`ip link show ${device}`).replaceAll(device, ''))?.[0];

describe.skipIf(missingRoot)(`the datapath over AF_XDP${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  const { start, total, forwards } = useDatapaths({ engine: 'af_xdp', workers: 1 });

  it('sends each frame of a VIP on, encapsulated, and leaves all others to the host', async () => {
    const { wire, datapath, log } = await start();
    const host = new Wire(DEVICE);
    for (const frame of [OTHER, otherPort]) wire.send(frame);
    await forwards(FLOWS);
    await until('the counters', () => total('transmitted') === FLOWS.length);
    const bytes = flowFrame(FLOWS[0]!).length;
    expect(total('transmitted_bytes')).toBe(FLOWS.length * (bytes + 20));
    expect([total('received'), total('passed_lost')]).toEqual([FLOWS.length, 0]);
    expect(host.received().map(hex)).toEqual([OTHER, otherPort].map(hex));
    host.close();
    expect([datapath.mode, xdpOf(DEVICE)]).toEqual(['af_xdp_copy', 'xdp']);
    expect(log).toEqual([
      {
        level: 'info',
        message: 'frames come by AF_XDP sockets',
        interface: DEVICE,
        queues: 1,
        workers: 1,
        mode: 'af_xdp_copy',
      },
    ]);
  });

  it('has the host see a VIP again that is gone', async () => {
    const { wire, datapath, exchange } = await start();
    await exchange([1]);
    datapath.tables.deleteVip(VIP);
    const host = new Wire(DEVICE);
    wire.send(flowFrame(2));
    const came = await until('the frame at the host', () => host.received()[0]);
    host.close();
    expect(hex(came)).toBe(hex(flowFrame(2)));
    expect(total('received')).toBe(1);
  });

  it('keeps a flow in order, and VLAN tags where they are', async () => {
    const { exchange } = await start();
    const numbers = Array.from({ length: 1000 }, (_, i) => i);
    const plain = (n: number) => flowFrame(4242, Uint8Array.of(n >> 8, n & 0xff));
    const tagged = (n: number) => {
      const frame = plain(n);
      return concat(frame.subarray(0, 12), fromHex('81000005'), frame.subarray(12));
    };
    const came = await exchange(numbers, tagged);
    // The test's own socket is shown no tag.
    expect(came.map(hex)).toEqual(numbers.map((n) => hex(forwarded(plain(n), 4242))));
    expect(total('transmitted_bytes')).toBe(numbers.length * (came[0]!.length + 4));
  });

  itForwards(start, FLOWS);

  it('takes long frames, behind the driver where that runs no XDP program for them', async () => {
    const setMtu = (mtu: number) => {
      for (const device of [DEVICE, 'dp1']) sh(`ip link set ${device} mtu ${mtu}`);
    };
    setMtu(3700);
    const { log, datapath } = await start();
    const frameOf = (flow: number) => flowFrame(flow, new Uint8Array(3500).fill(flow));
    await forwards(FLOWS.slice(0, 200), frameOf);
    expect([datapath.mode, xdpOf(DEVICE)]).toEqual(['af_xdp_copy', 'xdpgeneric']);
    expect(log[0]).toMatchObject({
      level: 'warn',
      message: 'the driver runs no XDP programs: frames are steered behind it, which is slower',
    });
    await datapath.stop();
    setMtu(1600);
  });

  it('forwards when the link was down and is up again', async () => {
    const { exchange, wire } = await start();
    await exchange(FLOWS.slice(0, 100));
    sh(`ip link set ${DEVICE} down`);
    sh(`ip link set ${DEVICE} up`);
    wire.received();
    await forwards(FLOWS);
  });

  it('leaves nothing when it stops, and starts again at once', async () => {
    await (await start()).stop();
    const before = traces();
    for (let i = 0; i < 3; i++) {
      const bed = await start();
      await forwards([1, 2, 3]);
      expect(traces()).toMatchObject({ isGroOn: false, tables: '' });
      await bed.stop();
      await bed.datapath.stop();
      expect(xdpOf(DEVICE)).toBeUndefined();
    }
    await expectNothingLeft(before);
  });

  describe('that cannot start says why, and leaves nothing behind', () => {
    const expectFailure = async (code: string, message: RegExp, options: Partial<DatapathOptions> = {}) => {
      const before = traces();
      const error: unknown = await DatapathBed.start({ engine: 'af_xdp', workers: 1, ...options }).then(
        (other) => other.stop(),
        (cause: unknown) => cause,
      );
      expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
      await expectNothingLeft(before);
    };

    it('frames longer than a chunk', async () => {
      addVeth('long0', 'long1', { mtu: 4000 });
      await expectFailure('ENGINE_MTU', /^interface long0 has an MTU of 4000.* up to 3818 bytes/, {
        interface: 'long0',
      });
      sh('ip link del long0');
    });

    it("another socket's queue", async () => {
      const link = findLink(DEVICE)!;
      const shape = xskShape(link.mtu)!;
      const arena = Arena.create({ workers: 1, mapsBytes: 0, ringsBytes: queueBytes(shape) });
      const other = await AfXdpSockets.open(arena, link, shape, 1, 64);
      await expectFailure('ENGINE_QUEUE_TAKEN', /^receive queue 0 of dp0 is taken by another AF_XDP socket/);
      other.close();
    });

    it('another XDP program on the interface', async () => {
      const object = loadObject(objectBytes('root'));
      const maps = createMaps(object, new KernelMaps());
      const program = loadKernelProgram(object.programs[0]!, [...maps.values()], object.license, object.btf);
      const link = program.attachXdp(findLink(DEVICE)!.index, 'native');
      await expectFailure('BPF_CALL', /another XDP program is attached to the interface/);
      link.close();
      program.close();
      for (const map of maps.values()) map.close();
    });

    it('a program that was left pinned', async () => {
      const directory = defaultPinDirectory(DEVICE);
      const { KernelDatapath } = (await import(built('index'))) as typeof import('../index.js');
      const pinned = await KernelDatapath.start({
        interface: DEVICE,
        connectionTableEntries: 10,
        sizes: { ch_rings: RING_SIZE },
        pin: directory,
        log: () => undefined,
      });
      await pinned.stop();
      try {
        await expectFailure('PINS_LEFT', /^interface dp0 runs what was left pinned at .*'waggle down'$/);
      } finally {
        unpinDatapath(directory);
      }
    });

    it('no rights', () => {
      const script = `
        const { Datapath } = await import(${JSON.stringify(built('datapath'))});
        const options = { interface: '${DEVICE}', engine: 'af_xdp', workers: 1, connectionTableEntries: 10, log: () => {} };
        await Datapath.start(options).catch(({ code, message }) => console.log(code, message));`;
      const node = [process.execPath, '--input-type=module', '--eval', script];
      const as = (...rights: string[]) => execFileSync('setpriv', [...rights, ...node], { encoding: 'utf8' });
      const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
      expect(as(...nobody)).toMatch(/^BPF_CALL .*EPERM; run as root, or with CAP_BPF/);
      // All but the one.
      expect(as('--bounding-set=-net_raw', '--inh-caps=-net_raw')).toMatch(
        /^ENGINE_CAPABILITY .*CAP_NET_RAW/,
      );
    });
  });
});

/** Swaps the MAC addresses of a frame and sends it back. */
const SWAP = `
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r2 + 0)
    r4 = *(u16 *)(r2 + 4)
    r5 = *(u32 *)(r2 + 6)
    r6 = *(u16 *)(r2 + 10)
    *(u32 *)(r2 + 0) = r5
    *(u16 *)(r2 + 4) = r6
    *(u32 *)(r2 + 6) = r3
    *(u16 *)(r2 + 10) = r4
    r0 = 3
    exit
`;
const swapProgram: WorkerProgram = {
  targets: [],
  entry: new WebAssembly.Module(compileProgram(assemble(SWAP), []).wasm),
};

describe.skipIf(missingRoot)(`workers and queues of AF_XDP${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  const log: { level: string; message: string; [field: string]: unknown }[] = [];
  let engine: AfXdpEngine | undefined;
  let arena: Arena;
  let wire: Wire;
  let queueSize = 0;

  const start = async (queues: number, workers: number): Promise<AfXdpEngine> => {
    sh(`ip link add q0 numrxqueues ${queues} numtxqueues ${queues} type veth peer name q1`);
    for (const device of ['q0', 'q1']) {
      sh(`ip link set ${device} addrgenmode none up`);
    }
    const [{ AfXdpEngine: Engine }, { Steering }, { steerObject }, { balancerObject }] = await Promise.all([
      import(built('engine/af-xdp')) as Promise<typeof import('./af-xdp.js')>,
      import(built('engine/steering')) as Promise<typeof import('./steering.js')>,
      import(built('steer-object')) as Promise<typeof import('../steer-object.js')>,
      import(built('balancer/object')) as Promise<typeof import('../balancer/object.js')>,
    ]);
    const link = findLink('q0')!;
    const record = (level: string, message: string, fields: object) =>
      void log.push({ level, message, ...fields });
    const plan = Engine.plan(link, workers, record);
    queueSize = queueBytes(plan.shape);
    const object = steerObject(balancerObject());
    const spec = object.maps.find(({ name }) => name === 'vip_map')!;
    arena = Arena.create({
      workers: plan.workers,
      mapsBytes: mapBytes(spec, 1) + 65_536,
      ringsBytes: plan.ringsBytes,
    });
    const steering = Steering.load(object);
    const mirrored = steering.mirror(new Map([['vip_map', new ArenaMaps(arena).createMap(spec)]]));
    mirrored.get('vip_map')!.update(exactVipBytes(VIP), new Uint8Array(8));
    engine = await Engine.start({
      arena,
      link,
      plan,
      steering,
      program: swapProgram,
      recover: () => {},
      log: record,
    });
    wire = new Wire('q1');
    return engine;
  };
  const rings = (queue: number) => new QueueRings(arena, arena.rings.offset + queue * queueSize);
  const sum = (name: 'received' | 'transmitted' | 'lost_at_restart' | 'ring_full') =>
    engine!.workers().reduce((all, { counters }) => all + Number(counters[name]), 0);
  /** Send bursts until a condition holds; gives how many frames were sent and came back. */
  const loadUntil = async (isEnough: (sent: number) => boolean) => {
    let [sent, came] = [0, 0];
    while (!isEnough(sent)) {
      for (let i = 0; i < 100; i++) wire.send(flowFrame(10_000 + (sent++ % 5000)));
      await new Promise((resolve) => setTimeout(resolve, 1));
      came += wire.received().length;
    }
    return { sent, came };
  };

  beforeAll(enterNamespace);
  afterEach(async () => {
    await engine?.stop();
    engine = undefined;
    wire?.close();
    log.length = 0;
    sh('ip link del q0');
  });

  it('no frame of the UMEM is lost when workers are killed under traffic, wherever they are', async () => {
    await start(1, 1);
    let kills = 0;
    const killing = (async () => {
      for (; kills < 6; kills++) {
        await until('the worker to run', () => engine!.workers()[0]!.state === 'running');
        await new Promise((resolve) => setTimeout(resolve, 10 * (kills % 4)));
        await engine!.kill(0);
      }
    })();
    const { sent, came } = await loadUntil(() => kills === 6);
    await killing;
    let all = came;
    await until('all to be accounted for', () => {
      all += wire.received().length;
      return all + sum('lost_at_restart') + sum('ring_full') === sent;
    });
    expect(engine!.workers()[0]!.restarts).toBeGreaterThanOrEqual(5);
    await until('the frames to be back', () => rings(0).allChunks().length === rings(0).everyChunk.length);
    expect(rings(0).allChunks()).toEqual(rings(0).everyChunk);
    expect(sum('received')).toBe(sum('transmitted'));
    expect(sum('lost_at_restart')).toBeLessThanOrEqual(6 * 64);
  }, 30_000);

  it('what finds no room while the worker is away is dropped, counted, and no frame is lost', async () => {
    await start(1, 1);
    const killed = engine!.kill(0);
    for (let i = 0; i < 5000; i++) wire.send(flowFrame(10_000 + i));
    await killed;
    await until('the rest', () => sum('received') + sum('ring_full') + sum('lost_at_restart') === 5000);
    await until('the frames to be back', () => rings(0).allChunks().length >= rings(0).everyChunk.length - 1);
    // The kernel keeps the chunk of a frame that it dropped at hand, at most one.
    const chunks = rings(0).allChunks();
    expect(new Set(chunks).size).toBe(chunks.length);
  }, 30_000);

  it('a worker serves every queue where there are more queues than workers', async () => {
    await start(4, 2);
    expect(engine!.workers()).toHaveLength(2);
    expect(log.map(({ message, queues, workers }) => [message, queues, workers])).toEqual([
      ['frames come by AF_XDP sockets', 4, 2],
    ]);
    const { sent, came } = await loadUntil((count) => count >= 3000);
    let all = came;
    await until('all to come back', () => {
      all += wire.received().length;
      return all === sent;
    });
    await until('the counters', () => sum('transmitted') === sent);
    for (const queue of [0, 1, 2, 3]) {
      const each = rings(queue);
      await until('the frames to be back', () => each.allChunks().length === each.everyChunk.length);
    }
  });

  it('fewer workers run where there are fewer queues, which is said with both numbers', async () => {
    await start(1, 3);
    expect(engine!.workers()).toHaveLength(1);
    expect(log[0]).toEqual({
      level: 'warn',
      message:
        'the interface has fewer receive queues than workers were asked for: the others are not started',
      interface: 'q0',
      queues: 1,
      workers: 3,
      advice: 'ethtool -L q0 combined 3',
    });
    const { sent } = await loadUntil((count) => count >= 300);
    await until('all to be sent', () => sum('transmitted') === sent);
  });
});
