import { execFileSync } from 'node:child_process';
import { describe, expect, it, vi } from 'vitest';
import { until } from '../demo/lines.js';
import { BPF_PRELUDE } from '../test/support/bpf-helpers.js';
import { missingRoot } from '../test/support/capabilities.js';
import { compileC } from '../test/support/clang.js';
import {
  built,
  CLIENT,
  DatapathBed,
  DEVICE,
  flowFrame,
  forwarded,
  packetSockets,
  traces,
  VIP,
} from '../test/support/datapath-bed.js';
import {
  expectForwarded,
  expectNothingLeft,
  itForwards,
  useDatapaths,
} from '../test/support/datapath-cases.js';
import { sh, withoutTools } from '../test/support/namespace.js';
import { editSection } from '../test/support/objects.js';
import { concat, fromHex, hex, tcpFrame, udpFrame } from '../test/support/packets.js';
import { objectBytes } from './balancer/object.js';
import { loadObject } from './bpf/object/load.js';

const FLOWS = Array.from({ length: 4000 }, (_, i) => 10_000 + i);

/** The balancer with one of its constants set. */
function balancerWith(constant: string, value: bigint): Uint8Array {
  const bytes = objectBytes('balancer');
  const { btf } = loadObject(bytes);
  const place = btf?.find('datasec', '.rodata')?.vars.find(({ type }) => btf.type(type).name === constant);
  if (!place) throw new Error(`no constant ${constant}`);
  const little = Uint8Array.from({ length: place.sizeBytes }, (_, i) =>
    Number((value >> BigInt(8 * i)) & 0xffn),
  );
  return editSection(bytes, '.rodata', place.offset, [...little]);
}

describe.skipIf(missingRoot)(`the datapath${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  const { start, total, forwards } = useDatapaths();

  it('sends each frame of a VIP on to its backend, encapsulated, and no other', async () => {
    const { datapath, wire } = await start();
    const other = tcpFrame({ src: CLIENT, dst: '198.51.100.99', sport: 1, dport: 80 });
    wire.send(other);
    await forwards(FLOWS);
    wire.send(other);
    expect(wire.received()).toEqual([]);
    // Counters are written at the end of a batch.
    await until('the counters', () => total('transmitted') === FLOWS.length);
    await until('the others to pass', () => total('passed') === 2);
    const bytes = flowFrame(FLOWS[0]!).length;
    expect(total('received')).toBe(FLOWS.length + 2);
    expect(total('transmitted_bytes')).toBe(FLOWS.length * (bytes + 20));
    for (const { counters } of datapath.workers()) expect(counters.transmitted! > 1000n).toBe(true);
    const { packets, bytes: vipBytes } = datapath.tables.vipStats(0);
    expect([packets, vipBytes]).toEqual([BigInt(FLOWS.length), BigInt(FLOWS.length * (bytes - 14))]);
  });

  itForwards(start, FLOWS);

  it('keeps a flow in order', async () => {
    const { exchange } = await start();
    const numbers = Array.from({ length: 1000 }, (_, i) => i);
    const frameOf = (n: number) => flowFrame(4242, Uint8Array.of(n >> 8, n & 0xff));
    const came = await exchange(numbers, frameOf);
    expect(came.map(hex)).toEqual(numbers.map((n) => hex(forwarded(frameOf(n), 4242))));
  });

  it('puts VLAN tags back before the program looks', async () => {
    const { wire } = await start();
    const frame = flowFrame(4244);
    wire.send(concat(frame.subarray(0, 12), fromHex('81000005'), frame.subarray(12)));
    const came = await until('the frame', () => wire.received()[0]);
    // The kernel takes the tag off again before a socket sees the frame; the worker counted its four bytes.
    expect(hex(came)).toBe(hex(forwarded(frame, 4244)));
    expect(total('transmitted_bytes')).toBe(came.length + 4);
    expect(total('vlan_restored')).toBe(1);
  });

  it('does not answer for another host', async () => {
    const { wire } = await start();
    const frame = flowFrame(4245);
    frame.set(fromHex('020000000077'), 0);
    wire.send(frame);
    await until('the counter', () => total('other_host') === 1);
    expect(wire.received()).toEqual([]);
  });

  it('says what it would do with a frame, by the tables of all workers, and changes nothing', async () => {
    const { datapath, exchange } = await start();
    const known = FLOWS.slice(0, 40);
    await exchange(known);
    const before = [datapath.tables.counters(), datapath.tables.trackedFlows()];
    const answers = known.map((flow) => datapath.simulate(flowFrame(flow)));
    for (const [index, answer] of answers.entries()) {
      expect(answer).toMatchObject({ verdict: 'XDP_TX', reason: 'forwarded', table: 'lru' });
      expect(hex(answer.frame)).toBe(hex(forwarded(flowFrame(known[index]!), known[index]!)));
    }
    expect(new Set(answers.map(({ worker }) => worker))).toEqual(new Set([0, 1]));
    expect(datapath.simulate(flowFrame(FLOWS.at(-1)!)).table).toBe('ring');
    expect([datapath.tables.counters(), datapath.tables.trackedFlows()]).toEqual(before);
  });

  it('replaces a worker that is killed in mid-load, and forwards with the others meanwhile', async () => {
    const { datapath, wire, untilWorker, log } = await start();
    const sockets = packetSockets();
    let [sent, came, isKilled] = [0, 0, false];
    const burst = async () => {
      for (let i = 0; i < 100; i++) wire.send(flowFrame(10_000 + (sent++ % 5000)));
      await new Promise((resolve) => setTimeout(resolve, 1));
      came += wire.received().length;
    };
    const load = (async () => {
      while (!isKilled) await burst();
    })();
    await until('some load', () => came > 2000);
    const before = datapath.workers()[1]!.counters.transmitted!;
    await datapath.restartWorker(0);
    expect(datapath.workers()[0]!.state).toBe('restarting');
    await untilWorker(1, 'go on', ({ counters }) => counters.transmitted! > before + 100n);
    await untilWorker(0, 'be replaced', ({ restarts, state }) => restarts === 1 && state === 'running');
    isKilled = true;
    await load;
    await until('the rest', () => {
      came += wire.received().length;
      return sent - came <= total('lost_at_restart') + total('ring_full');
    });
    // What it had in hand, a batch at most.
    expect(total('lost_at_restart')).toBeLessThanOrEqual(64);
    expect(packetSockets()).toEqual(sockets);
    await forwards(FLOWS);
    expect(datapath.workers().map(({ restarts }) => restarts)).toEqual([1, 0]);
    expect(datapath.workers()[0]!.lastFault).toBe('killed on request');
    expect(log.map(({ level, worker }) => [level, worker])).toEqual([
      ['error', 0],
      ['info', 0],
    ]);
  });

  it('rests while the link is down, says so once, and forwards when it is up again', async () => {
    const { datapath, log, wire } = await start();
    sh(`ip link set ${DEVICE} down`);
    await until('the log', () => log.length === 2);
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(0.3);
    expect(log.map(({ message, worker, errno }) => [message, worker, errno]).sort()).toEqual([
      ['the interface stopped receiving', 0, 'ENETDOWN'],
      ['the interface stopped receiving', 1, 'ENETDOWN'],
    ]);
    sh(`ip link set ${DEVICE} up`);
    wire.received();
    const flows = FLOWS.slice(0, 1000);
    await forwards(flows);
    // Both workers are in the group again.
    for (const { counters } of datapath.workers()) expect(counters.transmitted! > 100n).toBe(true);
    expect(log).toHaveLength(2);
  });

  describe('swaps the program', () => {
    it('for one with other constants, over the same maps', async () => {
      const { exchange, datapath } = await start();
      const tracked = () => [...datapath.tables.trackedFlows().values()].reduce((sum, n) => sum + n, 0);
      await exchange(FLOWS.slice(0, 100));
      expect(tracked()).toBe(100);
      const [first, second] = [FLOWS.slice(100, 200), FLOWS.slice(200, 300)];
      // Without a note of new connections the ring alone decides; frames go on all the same.
      await datapath.swapProgram(balancerWith('new_connections_per_second', 0n));
      const before = tracked();
      await forwards(first);
      expect(tracked()).toBe(before);
      await datapath.swapProgram(objectBytes('balancer'));
      await exchange(second);
      expect(tracked()).toBe(before + 100);
    });

    it('for none that is not a balancer, or not safe; what runs goes on', async () => {
      const { datapath } = await start();
      const unsafe = compileC(`${BPF_PRELUDE}
SEC("xdp") int balancer_ingress(struct xdp_md *ctx) { return *(__u8 *)(long)ctx->data; }`);
      await expect(datapath.swapProgram(unsafe)).rejects.toMatchObject({
        code: 'VERIFY_REFUSED',
        message: expect.stringContaining('R1 offset is outside of the packet') as string,
      });
      await expect(datapath.swapProgram(objectBytes('decap'))).rejects.toThrow();
      await expect(datapath.swapProgram(new Uint8Array(100))).rejects.toThrow();
      const flows = FLOWS.slice(0, 200);
      await forwards(flows);
    });
  });

  it('leaves nothing when it stops', async () => {
    // The first start makes threads that stay: the runtime's own.
    await (await start()).stop();
    const before = traces();
    expect(before).toMatchObject({ tables: '', packetSockets: 0, isGroOn: true });
    const { datapath, wire, exchange } = await start();
    await exchange(FLOWS.slice(0, 100));
    expect(traces()).toMatchObject({ isGroOn: false, packetSockets: 5 });
    expect(traces().tables).toContain(`waggle_${DEVICE}`);
    expect(traces().threads).toBeGreaterThanOrEqual(before.threads + 2);
    await datapath.stop();
    await datapath.stop();
    wire.close();
    await expectNothingLeft(before);
  });

  describe('that cannot start', () => {
    const elements = () =>
      /elements = \{ (.*?) \}/s.exec(sh(`nft list set netdev waggle_${DEVICE} vip4`))?.[1];
    const failureOf = async (options: Parameters<typeof DatapathBed.start>[0] = {}): Promise<unknown> => {
      try {
        await (await DatapathBed.start(options)).stop();
      } catch (error) {
        return error;
      }
      return undefined;
    };
    /** It fails so, and all is as before. */
    const expectFailure = async (code: string, options?: Parameters<typeof DatapathBed.start>[0]) => {
      const before = traces();
      expect(await failureOf(options)).toMatchObject({ code });
      await expectNothingLeft(before);
    };

    it.each([
      ['no such interface', 'ENGINE_NO_INTERFACE', { interface: 'dp-none' }],
      ['no worker', 'DATAPATH_WORKERS', { workers: 0 }],
      ['too many workers', 'DATAPATH_WORKERS', { workers: 65 }],
      ['a part of a worker', 'DATAPATH_WORKERS', { workers: 1.5 }],
      ['no connection', 'DATAPATH_CONNECTIONS', { connectionTableEntries: 0 }],
      ['an object without the program', 'DATAPATH_PROGRAM', { object: objectBytes('decap') }],
      ['tables of more than 4 GiB', 'ARENA_TOO_LARGE', { workers: 64, connectionTableEntries: 2 ** 22 }],
    ])('leaves nothing behind: %s', async (_, code, options) => {
      await expectFailure(code, options);
    });

    it('leaves nothing behind: no right to packet sockets', () => {
      const before = traces();
      const script = `
        const { Datapath } = await import(${JSON.stringify(built('datapath'))});
        const options = { interface: '${DEVICE}', workers: 1, connectionTableEntries: 10, log: () => {} };
        await Datapath.start(options).catch(({ code, fault }) => console.log(code, fault.capability));`;
      const rights = ['--reuid=65534', '--regid=65534', '--clear-groups'];
      const node = [process.execPath, '--input-type=module', '--eval', script];
      const said = execFileSync('setpriv', [...rights, ...node], { encoding: 'utf8' });
      expect(said.trim()).toBe('ENGINE_CAPABILITY CAP_NET_RAW');
      expect({ ...traces(), threads: 0 }).toEqual({ ...before, threads: 0 });
    });

    it('leaves nothing behind: the interface is down', async () => {
      sh(`ip link set ${DEVICE} down`);
      await expectFailure('ENGINE_INTERFACE_DOWN');
      sh(`ip link set ${DEVICE} up`);
    });

    it('leaves nothing behind: no nftables while the host forwards', async () => {
      sh(`sysctl -w net.ipv4.conf.${DEVICE}.forwarding=1`);
      const before = packetSockets();
      expect(await withoutTools(() => failureOf())).toMatchObject({ code: 'HOST_GUARD_MISSING' });
      expect(packetSockets()).toEqual(before);
      sh(`sysctl -w net.ipv4.conf.${DEVICE}.forwarding=0`);
      await (await start()).exchange([1]);
    });

    it('leaves nothing behind: the last step fails, with threads that run', async () => {
      const { AfPacketSockets } = (await import(built('io/af-packet'))) as typeof import('./io/af-packet.js');
      const failing = vi.spyOn(AfPacketSockets.prototype, 'start').mockImplementation(() => {
        throw Object.assign(new Error('no fan-out'), { code: 'TEST' });
      });
      try {
        await expectFailure('TEST');
      } finally {
        failing.mockRestore();
      }
    });

    it('beside another one on the interface leaves that one and its guard alone', async () => {
      const first = await start();
      await expectFailure('CLAIM_TAKEN');
      expect(elements()).toBe('198.51.100.10 . tcp . 80');
      const flows = FLOWS.slice(0, 200);
      await expectForwarded(first, flows);
    });
  });

  it('does not let the host answer for a VIP', async () => {
    const { datapath, exchange } = await start();
    await exchange([1]);
    expect(sh(`nft list table netdev waggle_${DEVICE}`)).toMatch(/@vip4 counter packets 1 /);
    await datapath.unprotectVips([VIP]);
    await exchange([2]);
    expect(sh(`nft list table netdev waggle_${DEVICE}`)).toMatch(/@vip4 counter packets 1 /);
  });

  it('works with one worker, and with datagrams', async () => {
    const { wire, datapath } = await start({ workers: 1 });
    datapath.tables.putVip({ ...VIP, protocol: 'udp' }, { flags: 0, number: 1 });
    datapath.tables.putVipRing(1, 0);
    const frame = udpFrame({ src: CLIENT, dst: '198.51.100.10', sport: 53, dport: 80 });
    wire.send(frame);
    const came = await until('the frame', () => wire.received()[0]);
    expect(hex(came)).toBe(hex(forwarded(frame, 53)));
  });
});
