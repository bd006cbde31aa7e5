/** The datapath in the live kernel, pinned: what one process leaves is what the next one goes on with. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { missingRoot, noting } from '../test/support/capabilities.js';
import { faultOf } from '../test/support/fault.js';
import { addVeth, enterNamespace, sh, Wire } from '../test/support/namespace.js';
import { TCP_FLAGS, tcpFrame } from '../test/support/packets.js';
import { vipId } from './balancer/adopted.js';
import { objectBytes } from './balancer/object.js';
import { RING_SIZE } from './balancer/schema.js';
import type { VipKey } from './balancer/tables.js';
import type { MapSpec } from './bpf/maps/map.js';
import { loadObject } from './bpf/object/load.js';
import type { ProgramSpec } from './bpf/object/spec.js';
import { defaultPinDirectory } from './engine/pins.js';
import { KernelDatapath, type KernelDatapathOptions } from './kernel-datapath.js';
import { unpinDatapath } from './kernel-datapath-pins.js';
import { formatIp, formatMac, ipFromBytes, parseIp, parseMac } from './net/address.js';
import {
  KernelMaps,
  KernelTypes,
  kernelProgramInfo,
  loadKernelProgram,
  openPin,
  pin,
  type XdpLink,
} from './sys/bpf.js';
import { isOffloadOn } from './sys/ethtool.js';
import { findLink } from './sys/socket.js';
import { closeFd } from './sys/syscall.js';

const DEVICE = `pin${process.pid}`;
const PEER = `${DEVICE}p`;
const FOLDER = `/sys/fs/bpf/waggle-test-${process.pid}`;
const PIN = `${FOLDER}/a`;
const PROCESS = fileURLToPath(new URL('../test/support/pin-process.mjs', import.meta.url));

const VIP: VipKey = { address: parseIp('198.51.100.10'), port: 80, protocol: 'tcp' };
const [FIRST, SECOND] = ['10.0.0.1', '10.0.0.2'];
const ROUTER = '00:00:de:ad:be:af';
const SIZES = { ch_rings: 3 * RING_SIZE };
const CONNECTIONS = 4096;
const QUEUED_FRAMES = 100;
/** r0 = XDP_PASS; exit */
const PASS: ProgramSpec = {
  name: 'pass',
  section: 'xdp',
  type: 'xdp',
  code: new Uint8Array(Buffer.from('b7000000020000009500000000000000', 'hex')),
  functions: [{ name: 'pass', start: 0 }],
  lines: [],
};

/** Another process does not share the CPU that this one is bound to and sends on. */
const ANY_CPU = ['ffff', process.execPath];

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const frameOf = (sport: number, flags: number = TCP_FLAGS.ack): Uint8Array =>
  tcpFrame({ src: '203.0.113.77', dst: '198.51.100.10', sport, dport: 80 }, { flags });
/** Where an encapsulated frame goes. */
const realOf = (frame: Uint8Array): string => formatIp(ipFromBytes(frame.subarray(30, 34)));

describe.skipIf(missingRoot)(`a datapath in the kernel, pinned${noting(missingRoot)}`, () => {
  let wire: Wire;
  let peer: XdpLink;
  const open: KernelDatapath[] = [];
  const children: ChildProcess[] = [];
  const logged: string[] = [];
  let sending: NodeJS.Timeout | undefined;

  function addDevice(): void {
    addVeth(DEVICE, PEER);
    // A veth takes what XDP sends only where the other end runs XDP too.
    const pass = loadKernelProgram(PASS, [], 'GPL');
    peer = pass.attachXdp(findLink(PEER)!.index, 'native');
    pass.close();
    wire = new Wire(PEER);
  }
  function deleteDevice(): void {
    wire.close();
    peer.close();
    sh(`ip link delete ${DEVICE}`);
  }
  beforeAll(() => {
    enterNamespace();
    // A flow is known to the CPU that saw it.
    sh(`taskset -cp 0 ${process.pid}`);
    mkdirSync(FOLDER);
    addDevice();
  });
  afterAll(() => {
    deleteDevice();
    rmSync(FOLDER, { recursive: true });
  });
  afterEach(async () => {
    clearInterval(sending);
    for (const child of children.splice(0)) child.kill('SIGKILL');
    for (const datapath of open.splice(0)) await datapath.stop();
    for (const name of readdirSync(FOLDER)) unpinDatapath(`${FOLDER}/${name}`);
    logged.length = 0;
  });

  const options = (over: Partial<KernelDatapathOptions> = {}): KernelDatapathOptions => ({
    interface: DEVICE,
    connectionTableEntries: CONNECTIONS,
    sizes: SIZES,
    pin: PIN,
    log: (_, message) => logged.push(message),
    ...over,
  });
  const start = async (over?: Partial<KernelDatapathOptions>): Promise<KernelDatapath> => {
    const datapath = await KernelDatapath.start(options(over));
    open.push(datapath);
    return datapath;
  };
  const fill = ({ tables }: KernelDatapath, real = FIRST): void => {
    tables.setRouterMac(parseMac(ROUTER));
    tables.putReal(1, parseIp(real));
    tables.putRing(0, new Uint32Array(RING_SIZE).fill(1));
    tables.putVip(VIP, { flags: 0, number: 0 });
  };
  /** Where flows go, in the order of the frames that come back. */
  const ask = async (...frames: readonly Uint8Array[]): Promise<string[]> => {
    wire.received();
    for (const frame of frames) wire.send(frame);
    const came: Uint8Array[] = [];
    for (let tries = 0; tries < 200 && came.length < frames.length; tries++) {
      await wait(1);
      came.push(...wire.received());
    }
    return came.map(realOf);
  };
  /** Another process, from its first word on. */
  const child = async (
    over: Partial<KernelDatapathOptions> = {},
  ): Promise<{ process: ChildProcess; said: string }> => {
    const { log: _, ...plain } = options(over);
    const process_ = spawn('taskset', [...ANY_CPU, PROCESS, JSON.stringify(plain)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(process_);
    const early = once(process_, 'exit').then(() => {
      throw new Error('the process ended before it said anything');
    });
    early.catch(() => undefined);
    const [said] = (await Promise.race([once(process_.stdout!, 'data'), early])) as [Buffer];
    return { process: process_, said: said.toString().trim() };
  };
  const ended = async (process_: ChildProcess, how: 'end' | 'SIGKILL'): Promise<void> => {
    const exit = once(process_, 'exit');
    if (how === 'SIGKILL') process_.kill('SIGKILL');
    else process_.stdin!.end();
    await exit;
  };

  it('forwards without a process, and the next one finds what was written', async () => {
    const first = await start();
    expect([first.isPinned, first.adopted]).toEqual([true, undefined]);
    fill(first);
    const { tables } = first;
    tables.putReal(3, parseIp('fc00::3'), 2);
    tables.putNextHop(3, parseMac('02:00:00:00:00:03'));
    tables.putVip({ ...VIP, port: 443 }, { flags: 4, number: 2 });
    tables.putVipRing(2, 1);
    tables.putServerId(77, 3);
    tables.putDownReal(VIP, 3);
    tables.putDecapDestination(parseIp('192.0.2.9'), { egress: true });
    tables.setOwnAddress(parseIp('192.0.2.1'));
    tables.watchMisses(VIP);
    const occupancy = tables.occupancy();
    await first.stop();
    expect(await ask(frameOf(1000))).toEqual([FIRST]);

    const second = await start();
    const adopted = second.adopted!;
    const real = (index: number, over: object) => ({ index, isLocal: false, mac: undefined, ...over });
    expect([...adopted.reals.values()]).toEqual([
      real(1, { address: parseIp(FIRST) }),
      real(3, { address: parseIp('fc00::3'), isLocal: true, mac: parseMac('02:00:00:00:00:03') }),
    ]);
    expect(adopted.vips.get(vipId({ ...VIP, port: 443 }))).toEqual({
      key: { ...VIP, port: 443 },
      number: 2,
      flags: 4,
      ring: 1,
    });
    expect(formatMac(adopted.routerMac!)).toBe(ROUTER);
    expect([...adopted.serverIds]).toEqual([[77, 3]]);
    expect([...adopted.downReals.values()]).toEqual([{ vip: VIP, real: 3 }]);
    expect([...adopted.decapDestinations.values()]).toEqual([
      { address: parseIp('192.0.2.9'), egress: true },
    ]);
    expect(adopted.ownAddresses.get(4)).toEqual(parseIp('192.0.2.1'));
    expect(adopted.watched).toEqual(VIP);
    expect([...adopted.rings].sort()).toEqual([0, 1]);
    expect(second.tables.readRing(0)).toEqual(new Uint32Array(RING_SIZE).fill(1));
    expect(second.tables.readRing(1)).toEqual(new Uint32Array(RING_SIZE));
    expect(second.tables.occupancy()).toEqual(occupancy);
    second.tables.deleteDownReal(VIP, 3);
    second.tables.deleteServerId(77);
    await second.stop();
    const third = await start();
    expect([third.adopted!.serverIds.size, third.adopted!.downReals.size]).toEqual([0, 0]);
  });

  it('flows stay with their backends; rows that flows refer to are known', async () => {
    const first = await start();
    fill(first);
    expect(await ask(frameOf(1, TCP_FLAGS.syn), frameOf(2, TCP_FLAGS.syn))).toEqual([FIRST, FIRST]);
    await first.stop();
    const second = await start();
    expect(second.tables.trackedFlows().get(1)).toBe(2);
    second.tables.putReal(2, parseIp(SECOND));
    second.tables.putRing(0, new Uint32Array(RING_SIZE).fill(2), second.tables.readRing(0));
    expect(await ask(frameOf(1), frameOf(3, TCP_FLAGS.syn), frameOf(2))).toEqual([FIRST, SECOND, FIRST]);
    second.tables.clearReal(1);
    await second.stop();
    const third = await start();
    expect([...third.adopted!.reals.keys()]).toEqual([SECOND]);
    expect([...third.adopted!.restingReals()]).toEqual([1]);
  });

  it('not a packet is lost while processes come, end and are killed', async () => {
    fill(await start());
    await open.pop()!.stop();
    let sent = 0;
    let came = 0;
    const take = () => {
      for (const frame of wire.received()) if (realOf(frame) === FIRST) came += 1;
    };
    wire.received();
    // Some 10,000 a second, of flows that are known and of new ones; never more at once than a veth's queue holds.
    sending = setInterval(() => {
      take();
      if (sent - came > QUEUED_FRAMES) return;
      for (let i = 0; i < 10; i++) wire.send(frameOf(1 + (sent++ % 5000)));
    }, 1);
    const changes: readonly (readonly [Partial<KernelDatapathOptions>, 'end' | 'SIGKILL'])[] = [
      [{}, 'end'],
      [{}, 'SIGKILL'],
      // Another program, over the same maps.
      [{ options: { sendTooBig: false, quicRouting: false } }, 'SIGKILL'],
      // Other sizes: maps that are copied.
      [{ sizes: { ...SIZES, fallback_cache: 2000 }, connectionTableEntries: 2 * CONNECTIONS }, 'SIGKILL'],
      [{}, 'end'],
    ];
    for (const [over, how] of changes) {
      const { process: process_, said } = await child(over);
      expect(said).toBe('ready adopted');
      await ended(process_, how);
    }
    // Killed in the midst of its start, at any moment.
    for (const ms of [150, 250, 350, 450]) {
      const { log: _, ...plain } = options();
      // It ends with its input: one that is quick is to be there still.
      const starting = spawn('taskset', [...ANY_CPU, PROCESS, JSON.stringify(plain)], {
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      children.push(starting);
      await wait(ms);
      await ended(starting, 'SIGKILL');
    }
    const last = await start();
    await last.swapProgram(objectBytes('balancer'));
    await last.stop();
    clearInterval(sending);
    for (let tries = 0; tries < 200 && came < sent; tries++) {
      await wait(5);
      take();
    }
    expect(sent).toBeGreaterThan(5000);
    expect(came).toBe(sent);
  });

  it('one process at a time', async () => {
    await start();
    expect(await faultOf(() => start())).toEqual({ code: 'CLAIM_TAKEN', interface: DEVICE });
    expect(await faultOf(() => start({ interface: PEER }))).toEqual({ code: 'PINS_TAKEN', directory: PIN });
    expect(await faultOf(() => unpinDatapath(PIN))).toEqual({ code: 'PINS_TAKEN', directory: PIN });
  });

  it("the pins of another interface are not this one's", async () => {
    await (await start()).stop();
    expect(await faultOf(() => start({ interface: PEER }))).toEqual({
      code: 'PINS_INTERFACE',
      directory: PIN,
      interface: DEVICE,
    });
  });

  it('pins that a process did not finish hold up nobody', async () => {
    await (await start()).stop();
    const link = openPin(`${PIN}/link`);
    rmSync(`${PIN}/link`);
    closeFd(link);
    rmSync(`${PIN}/maps/reals`);
    const again = await start();
    expect(again.adopted).toBeUndefined();
    expect(readdirSync(`${PIN}/maps`)).toContain('reals');
  });

  describe('what is not as it is wanted is left as it is', () => {
    const { btf, maps } = loadObject(objectBytes('balancer'));
    const pinOver = (name: string, over: Partial<MapSpec>, hasTypes = false): void => {
      const types = new KernelTypes(btf!);
      const spec = { ...maps.find((map) => map.name === name)!, ...over };
      const map = new KernelMaps(hasTypes ? types : undefined).createMap(spec);
      pin(map.fd, `${PIN}/maps/${name}`);
      map.close();
      types.close();
    };
    const lruPos = maps.find(({ name }) => name === 'fallback_cache')!.valueTypeId!;
    it.each([
      [
        'values of another length',
        'vip_rings',
        () => pinOver('vip_rings', { valueSize: 8 }),
        /values is 8, wanted 4/,
      ],
      [
        'another type',
        'vip_map',
        () => pinOver('vip_map', { type: 'LRU_HASH' }),
        /type is LRU_HASH, wanted HASH/,
      ],
      ['other flags', 'decap_dst', () => pinOver('decap_dst', { flags: 1 }), /flags are 1, wanted 0/],
      [
        'values of another struct of the same length',
        'decap_vip_stats',
        () => pinOver('decap_vip_stats', { valueTypeId: lruPos }, true),
        /value is .*struct real_pos_lru .*wanted .*struct lb_stats/,
      ],
      [
        'more rows',
        'vip_miss_stats',
        () => pinOver('vip_miss_stats', { maxEntries: 2 }),
        /2 entries, 1 are wanted/,
      ],
    ])('%s', async (_, map, change, reason) => {
      const first = await start();
      fill(first);
      await first.stop();
      change();
      const fault = await faultOf(() => start());
      expect(fault).toMatchObject({ code: 'PINS_LAYOUT', directory: PIN, map });
      expect(fault).toMatchObject({ reason: expect.stringMatching(reason) as string });
      expect(await ask(frameOf(1))).toEqual([FIRST]);
    });

    it('no manifest', async () => {
      await (await start()).stop();
      rmSync(`${PIN}/manifest`);
      expect(await faultOf(() => start())).toMatchObject({ code: 'PINS_BROKEN' });
    });
  });

  it('maps of other sizes keep what they hold; so do connection tables', async () => {
    const first = await start();
    fill(first);
    first.tables.putServerId(9, 1);
    first.tables.putDownReal(VIP, 1);
    await ask(frameOf(1, TCP_FLAGS.syn));
    await first.stop();
    const sizes = { ...SIZES, server_id_map: 100, vip_to_down_reals_map: 300, ch_rings: 4 * RING_SIZE };
    const second = await start({ sizes, connectionTableEntries: 100 });
    expect(second.adopted!.serverIds.get(9)).toBe(1);
    expect(second.adopted!.downReals.size).toBe(1);
    expect(second.tables.readRing(0)).toEqual(new Uint32Array(RING_SIZE).fill(1));
    expect(second.tables.trackedFlows().get(1)).toBe(1);
    expect(await ask(frameOf(1))).toEqual([FIRST]);
  });

  it('an interface that was made anew gets the program, with all that was known', async () => {
    const first = await start();
    fill(first);
    await first.stop();
    deleteDevice();
    addDevice();
    await start();
    expect(logged).toContain('the interface that the pinned program ran on is gone: it is attached anew');
    expect(await ask(frameOf(1))).toEqual([FIRST]);
    await open.pop()!.stop();
    expect(await ask(frameOf(1))).toEqual([FIRST]);
  });

  it('another program has the pin of the one before, and goes on as it was set', async () => {
    const tagOf = () => {
      const fd = openPin(`${PIN}/program`);
      const { tag } = kernelProgramInfo(fd, 'program');
      closeFd(fd);
      return tag;
    };
    const datapath = await start();
    const before = tagOf();
    await datapath.setOptions({ quicRouting: false });
    const after = tagOf();
    expect(after).not.toBe(before);
    await datapath.swapProgram(objectBytes('balancer'));
    expect(tagOf()).toBe(after);
    await datapath.stop();
    const next = await start();
    expect(tagOf()).toBe(after);
    await next.setOptions({});
    expect(tagOf()).toBe(before);
  });

  it('unpinned, it forwards no more, and the interface is as it was', async () => {
    sh(`ethtool -K ${DEVICE} gro on`);
    const first = await start();
    fill(first);
    await first.stop();
    await (await start()).stop();
    expect(isOffloadOn(DEVICE, 'gro')).toBe(false);
    const { wasAttached, removed } = unpinDatapath(PIN);
    expect(wasAttached).toBe(true);
    expect(removed).toEqual(expect.arrayContaining(['link', 'program', 'manifest', 'maps/vip_map']));
    expect([existsSync(PIN), isOffloadOn(DEVICE, 'gro')]).toEqual([false, true]);
    expect(await ask(frameOf(1))).toEqual([]);
    expect(await faultOf(() => unpinDatapath(PIN))).toEqual({ code: 'PINS_ABSENT', directory: PIN });
    expect((await start()).adopted).toBeUndefined();
  });

  it('without pins: an interface that is pinned is not taken', async () => {
    const directory = defaultPinDirectory(DEVICE);
    await (await start({ pin: directory })).stop();
    try {
      const { pin: _, ...unpinned } = options();
      expect(await faultOf(() => KernelDatapath.start(unpinned))).toEqual({
        code: 'PINS_LEFT',
        directory,
        interface: DEVICE,
      });
    } finally {
      unpinDatapath(directory);
    }
  });

  it('reports packets as events, and counts those that find no room', async () => {
    const datapath = await start({
      options: { eventsEnabled: true, dropSampleRate: 1 },
      sizes: { ...SIZES, events: 4096 },
    });
    fill(datapath);
    const source = datapath.events();
    expect(await source.wait(1)).toBe(false);
    datapath.tables.setEvents(true);
    const waiting = source.wait(5000);
    await ask(frameOf(5));
    expect(await waiting).toBe(true);
    const [event] = source.read();
    expect(event).toMatchObject({ kind: 'tcp_nonsyn_lru_miss', reason: 'forwarded', vipNumber: 0 });
    expect(event!.data).toEqual(frameOf(5));
    await ask(...Array.from({ length: 100 }, (_, i) => frameOf(100 + i)));
    const read = source.read(10).length + source.read().length;
    expect(read).toBeLessThan(100);
    expect(source.counters).toEqual({ read: BigInt(1 + read), malformed: 0n, lost: BigInt(100 - read) });
  });
});
