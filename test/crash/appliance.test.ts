/**
 * The whole load balancer, killed in the middle of changes, over and over: `waggle up --engine xdp --pin --state` takes changes by
 * gRPC, and where flows go is read off the packets that come out, while it is gone and when it is back.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Client } from '../../control-plane/cli/client.js';
import type { ConfigSnapshot__Output } from '../../control-plane/grpc/generated/waggle/v1/ConfigSnapshot.js';
import type { Node__Output } from '../../control-plane/grpc/generated/waggle/v1/Node.js';
import { buildRing, RING_SIZE } from '../../control-plane/maglev/ring.js';
import { WAGGLE } from '../../demo/appliance.js';
import { tailOfErrors, until } from '../../demo/lines.js';
import { formatIp, ipFromBytes, parseIp } from '../../lb/net/address.js';
import { Random } from '../conformance/generate.js';
import { missingRoot, noting } from '../support/capabilities.js';
import { slotOf } from '../support/flow-hash.js';
import { addVeth, enterNamespace, sh, Wire } from '../support/namespace.js';
import { TCP_FLAGS, tcpFrame } from '../support/packets.js';

const KILLS = 20;
/** Most changes that are acknowledged before a kill, and longest time into the next ones. */
const MOST_CHANGES = 8;
const LONGEST_MS = 12;

const [DEVICE, PEER] = ['crash0', 'crash1'];
/** Passes every packet while nothing is in its slots. */
const PASSING_OBJECT = fileURLToPath(new URL('../../programs/build/root.bpf.o', import.meta.url));
const [VIP, PORT, POOL] = ['192.0.2.1', 80, 'pools/web'];
/** Ids that a backend may have, and the largest weight of one. */
const BACKENDS = 12;
const MOST_WEIGHT = 9;
/** Flows that are sent each time, and how many at once: the queue of a veth is short. */
const FLOWS = 256;
const AT_ONCE = 64;
/** Of the slots of a ring: what a backend may have more or less than its weight says. */
const SHARE_SLACK = 0.01;

/** Weights of the backends, by id. */
type Weights = ReadonlyMap<number, number>;

const addressOf = (id: number) => `10.0.1.${id + 1}`;
const nameOf = (id: number) => `${POOL}/backends/b${id}`;
const backendOf = (id: number, weight: number) => ({
  name: nameOf(id),
  address: addressOf(id),
  weight,
  // Nobody answers for them: their next hop is told.
  macAddress: '02:00:00:00:00:01',
});
const textOf = (weights: Weights) => JSON.stringify([...weights].sort(([a], [b]) => a - b));

/** Where each slot of the ring leads. */
function ringOf(weights: Weights): readonly string[] {
  const reals = [...weights].map(([id, weight]) => ({
    index: id + 1,
    address: parseIp(addressOf(id)).bytes,
    weight,
  }));
  return Array.from(buildRing(reals), (index) => (index === 0 ? '' : addressOf(index - 1)));
}

/** A change, and what the backends are after it. */
interface Change {
  readonly after: Weights;
  readonly make: (client: Client) => Promise<unknown>;
}

function changeOf(weights: Weights, random: Random): Change {
  const after = new Map(weights);
  const weightOf = () => 1 + random.below(MOST_WEIGHT);
  const id = random.below(BACKENDS);
  const name = nameOf(id);
  if (random.below(4) === 0) {
    after.clear();
    for (let n = 0; n < BACKENDS; n++) if (random.below(2) === 0) after.set(n, weightOf());
    after.set(id, weightOf());
    const backends = [...after].map(([one, weight]) => backendOf(one, weight));
    const request = { parent: POOL, backends };
    return {
      after,
      make: (client) => client.ask((o, done) => client.pools.ReplaceBackends(request, o, done)),
    };
  }
  if (after.size > 1 && after.has(id) && random.below(3) === 0) {
    after.delete(id);
    return {
      after,
      make: (client) => client.ask((o, done) => client.pools.DeleteBackend({ name }, o, done)),
    };
  }
  const backend = backendOf(id, weightOf());
  after.set(id, backend.weight);
  if (weights.has(id)) {
    const request = { backend, updateMask: { paths: ['weight'] } };
    return { after, make: (client) => client.ask((o, done) => client.pools.UpdateBackend(request, o, done)) };
  }
  const request = { parent: POOL, backendId: `b${id}`, backend };
  return { after, make: (client) => client.ask((o, done) => client.pools.CreateBackend(request, o, done)) };
}

interface Appliance {
  readonly client: Client;
  readonly isKilled: () => boolean;
  readonly kill: () => Promise<void>;
}

describe.skipIf(missingRoot)(`waggle up that is killed${noting(missingRoot)}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'waggle-crash-'));
  const mount = join(folder, 'bpf');
  const server = `unix:${join(folder, 'waggle.sock')}`;
  const running: Appliance[] = [];
  let wire: Wire;

  beforeAll(() => {
    enterNamespace();
    addVeth(DEVICE, PEER);
    // A veth takes what XDP sends only where the other end runs XDP too.
    sh(`ip link set ${PEER} xdpdrv obj ${PASSING_OBJECT} sec xdp`);
    wire = new Wire(PEER);
    mkdirSync(mount);
    sh(`mount -t bpf bpf ${mount}`);
  });
  afterEach(async () => {
    for (const appliance of running.splice(0)) await appliance.kill();
  });
  afterAll(() => {
    wire.close();
    sh(`ip link delete ${DEVICE}`);
    sh(`umount ${mount}`);
    rmSync(folder, { recursive: true });
  });

  /** Start one, and wait until it is ready. */
  async function start(): Promise<Appliance> {
    const flags = [
      '--interface',
      DEVICE,
      '--engine',
      'xdp',
      '--pin',
      join(mount, 'lb'),
      '--connections',
      '4096',
    ];
    const where = ['--state', join(folder, 'state'), '--listen', server];
    const child = spawn(process.execPath, [WAGGLE, 'up', ...flags, ...where], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(child, 'exit');
    const errors = tailOfErrors(child, 40);
    const client = new Client({ server, tls: undefined, token: undefined });
    const appliance = {
      client,
      isKilled: () => child.killed,
      kill: async () => {
        child.kill('SIGKILL');
        await ended;
        client.close();
      },
    };
    running.push(appliance);
    await until('the load balancer to be ready', () => {
      if (child.exitCode !== null) throw new Error(`waggle up ended with ${child.exitCode}:\n${errors()}`);
      return errors().includes('"msg":"ready"');
    });
    return appliance;
  }

  let flows = 0;
  /** Send flows that nobody has seen yet; the slot of each, and where it went. */
  async function send(): Promise<readonly (readonly [slot: number, backend: string])[]> {
    const went: (readonly [number, string])[] = [];
    wire.received();
    for (let sent = 0; sent < FLOWS; sent += AT_ONCE) {
      const slots = new Map<number, number>();
      for (let n = 0; n < AT_ONCE; n++) {
        flows += 1;
        const [src, sport] = [`198.51.100.${flows >> 10}`, 1024 + (flows & 1023)];
        slots.set(sport, slotOf(src, sport, PORT));
        wire.send(tcpFrame({ src, dst: VIP, sport, dport: PORT }, { flags: TCP_FLAGS.syn }));
      }
      await until(`${AT_ONCE} packets to come out`, () => {
        for (const frame of wire.received()) {
          // Behind Ethernet, the outer header and the inner one; what else is on the link is no flow of these.
          const sport = frame.length < 56 ? 0 : new DataView(frame.buffer).getUint16(54);
          const slot = slots.get(sport);
          if (slot === undefined) continue;
          slots.delete(sport);
          went.push([slot, formatIp(ipFromBytes(frame.subarray(30, 34)))]);
        }
        return slots.size === 0;
      });
    }
    return went;
  }

  async function setUp({ client }: Appliance): Promise<Weights> {
    await client.ask((o, done) => client.pools.CreatePool({ poolId: 'web', pool: {} }, o, done));
    const weights = new Map([0, 1, 2, 3].map((id) => [id, 5]));
    const backends = [...weights].map(([id, weight]) => backendOf(id, weight));
    await client.ask((o, done) => client.pools.ReplaceBackends({ parent: POOL, backends }, o, done));
    const vip = { address: VIP, port: PORT, protocol: 'PROTOCOL_TCP', pool: POOL } as const;
    await client.ask((o, done) => client.vips.CreateVip({ vipId: 'web', vip }, o, done));
    return weights;
  }

  /** The backends that it has, of which the tables have every part. */
  async function read({ client }: Appliance): Promise<Weights> {
    const { config, nodes } = client;
    const { backends, revision } = await client.ask<ConfigSnapshot__Output>((o, done) =>
      config.GetSnapshot({}, o, done),
    );
    const node = await client.ask<Node__Output>((o, done) => nodes.GetNode({ name: 'nodes/self' }, o, done));
    expect(node.activeRevision).toBe(revision);
    return new Map(backends.map(({ name, weight }) => [Number(/\d+$/.exec(name)?.[0]), Number(weight)]));
  }

  it(`loses nothing that it acknowledged and does nothing by halves, ${KILLS} times`, async () => {
    const tally = { kills: 0, acknowledged: 0, kept: 0, lost: 0 };
    let appliance = await start();
    let acknowledged = await setUp(appliance);
    while (tally.kills < KILLS) {
      const killed = appliance;
      const random = new Random(tally.kills + 1);
      const changes = random.below(MOST_CHANGES);
      const delayMs = random.below(LONGEST_MS);
      let underWay = acknowledged;
      let killing: Promise<void> | undefined;
      for (let made = 0; ; made++) {
        if (made === changes)
          killing = new Promise((resolve) => {
            setTimeout(() => resolve(killed.kill()), delayMs);
          });
        const { after, make } = changeOf(acknowledged, random);
        underWay = after;
        try {
          await make(killed.client);
        } catch (error) {
          if (!killed.isKilled()) throw error;
          break;
        }
        acknowledged = after;
        tally.acknowledged += 1;
      }
      await killing;
      tally.kills += 1;

      // Nobody is there: the kernel goes on, each slot as it was before the change under way, or as it is after it.
      const rings = [acknowledged, underWay].map(ringOf);
      for (const [slot, backend] of await send()) expect(rings.map((ring) => ring[slot])).toContain(backend);

      running.splice(0);
      appliance = await start();
      const found = await read(appliance);
      const [known, asked] = [acknowledged, underWay].map(textOf);
      expect([known, asked], `kill ${tally.kills}: ${known}, or ${asked}`).toContain(textOf(found));
      if (textOf(found) === textOf(acknowledged)) tally.lost += 1;
      else tally.kept += 1;
      // Back again, the tables are those of what it found, slot by slot.
      const ring = ringOf(found);
      for (const [slot, backend] of await send()) expect([slot, backend]).toEqual([slot, ring[slot]]);
      const sum = [...found.values()].reduce((total, weight) => total + weight, 0);
      for (const [id, weight] of found) {
        const share = ring.filter((address) => address === addressOf(id)).length / RING_SIZE;
        expect(Math.abs(share - weight / sum)).toBeLessThan(SHARE_SLACK);
      }
      acknowledged = found;
    }
    console.info(JSON.stringify(tally));
    expect(tally.acknowledged).toBeGreaterThan(KILLS);
  }, 120_000);
});
