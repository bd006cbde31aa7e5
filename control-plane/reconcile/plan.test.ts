import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assertNever, formatIp, formatVip, type Mac, parseIp, parseMac } from '../../lb/index.js';
import { EMPTY_IMAGE, type RingMember, type TableImage } from './image.js';
import { type MapWrite, plan } from './plan.js';

const address = (n: number) => parseIp(`10.0.0.${n}`);
const mac = (n: number): Mac => parseMac(`02:00:00:00:00:0${n}`);
const key = (port: number) => ({ address: parseIp('192.0.2.1'), port, protocol: 'tcp' as const });

const ring = (members: readonly RingMember[]) => ({ members, algorithm: 'v2' as const });
const row = (index: number) => ({ address: address(index), mac: mac(index), isLocal: false });
const member = (index: number, weight = 1) => ({ index, address: address(index), weight });

/** Rows 1.., ring 0 of them with weight 1, VIP 0 on it. */
function image(rows: readonly number[], members: readonly number[] = rows): TableImage {
  return {
    ...EMPTY_IMAGE,
    reals: new Map(rows.map((index) => [index, row(index)])),
    rings: new Map([[0, ring(members.map((index) => member(index)))]]),
    vips: new Map([['vips/web', { key: key(80), number: 0, ring: 0, flags: 0 }]]),
  };
}
const kinds = (writes: readonly MapWrite[]) => writes.map(({ kind }) => kind);

const FLOW = {
  src: parseIp('198.51.100.1'),
  dst: parseIp('192.0.2.1'),
  sport: 4000,
  dport: 80,
  protocol: 'tcp',
} as const;
const PREFIX = { address: parseIp('198.51.100.0'), bits: 24 };

/** One of everything. */
const FULL: TableImage = {
  ...image([1]),
  routerMac: mac(7),
  ownAddresses: new Map([[4, address(9)]]),
  serverIds: new Map([[17, 1]]),
  sourceRoutes: new Map([['a', { prefix: PREFIX, real: 1 }]]),
  downReals: new Map([['b', { vip: key(80), real: 1 }]]),
  globalFlows: new Map([['c', { flow: FLOW, real: 1 }]]),
  decapDestinations: new Map([['d', { address: address(8), egress: false }]]),
  watched: key(80),
};

describe('the order of writes', () => {
  it('what comes: next hop and row, ring, VIP', () => {
    expect(kinds(plan(EMPTY_IMAGE, image([1])))).toEqual(['next-hop', 'real', 'ring', 'vip-ring', 'vip']);
  });

  it('what goes: VIP, ring, row', () => {
    expect(kinds(plan(image([1]), EMPTY_IMAGE))).toEqual(['delete-vip', 'clear-ring', 'clear-real']);
  });

  it('one backend goes and another comes: the ring changes once, between the rows', () => {
    expect(kinds(plan(image([1, 2]), image([1, 3])))).toEqual(['next-hop', 'real', 'ring', 'clear-real']);
  });

  it('the last backend goes: the ring is emptied before the row', () => {
    expect(plan(image([1]), image([]))).toMatchObject([
      { kind: 'ring', ring: 0, members: [] },
      { kind: 'clear-real', index: 1 },
    ]);
  });

  it('draining takes out of the ring and leaves the row', () => {
    expect(kinds(plan(image([1, 2]), image([1, 2], [2])))).toEqual(['ring']);
  });

  it('another next hop is one write', () => {
    const moved = image([1]);
    const reals = new Map([[1, { ...row(1), mac: mac(9) }]]);
    expect(plan(moved, { ...moved, reals })).toEqual([{ kind: 'next-hop', index: 1, mac: mac(9) }]);
  });

  it('a VIP that changes its pool is switched when the other ring is there', () => {
    const wanted: TableImage = {
      ...image([1, 2]),
      rings: new Map([[1, ring([member(2)])]]),
      vips: new Map([['vips/web', { key: key(80), number: 0, ring: 1, flags: 0 }]]),
    };
    expect(kinds(plan(image([1, 2]), wanted))).toEqual(['ring', 'vip-ring', 'clear-ring']);
  });

  it('nothing to do is no write', () => {
    expect(plan(image([1, 2]), image([1, 2]))).toEqual([]);
  });

  it('everything that comes: the node, rows, rings, routes, VIPs, tunnels last', () => {
    const writes = kinds(plan(EMPTY_IMAGE, FULL));
    expect(writes).toEqual([
      'router-mac',
      'own-address',
      'next-hop',
      'real',
      'ring',
      'server-id',
      'source-route',
      'down-real',
      'global-flow',
      'vip-ring',
      'vip',
      'watch',
      'decap',
    ]);
  });

  it('everything that goes: tunnels first, then VIPs, routes, rings, rows', () => {
    expect(kinds(plan(FULL, EMPTY_IMAGE))).toEqual([
      'delete-decap',
      'delete-vip',
      'router-mac',
      'own-address',
      'watch',
      'delete-global-flow',
      'delete-down-real',
      'delete-source-route',
      'delete-server-id',
      'clear-ring',
      'clear-real',
    ]);
  });

  it('other flags are one write of the VIP', () => {
    const vips = new Map([['vips/web', { key: key(80), number: 0, ring: 0, flags: 2 }]]);
    expect(plan(image([1]), { ...image([1]), vips })).toEqual([
      { kind: 'vip', key: key(80), number: 0, flags: 2 },
    ]);
  });

  it('another ring algorithm is one write of the ring', () => {
    const rings = new Map([[0, { ...ring([member(1)]), algorithm: 'v1' as const }]]);
    expect(kinds(plan(image([1]), { ...image([1]), rings }))).toEqual(['ring']);
  });

  it('a backend that becomes local is one write of its row', () => {
    const reals = new Map([[1, { ...row(1), isLocal: true }]]);
    expect(plan(image([1]), { ...image([1]), reals })).toEqual([
      { kind: 'real', index: 1, address: address(1), isLocal: true },
    ]);
  });

  it('a VIP that is taken out and put back has its down backends written again', () => {
    const vips = new Map([['vips/other', { key: key(80), number: 0, ring: 0, flags: 0 }]]);
    expect(kinds(plan(FULL, { ...FULL, vips }))).toEqual(['delete-vip', 'down-real', 'vip-ring', 'vip']);
  });
});

/** The tables as plain data, written one write at a time. */
class Model {
  routerMac = '';
  own = new Map<number, string>();
  reals = new Map<number, string>();
  hops = new Map<number, string>();
  rings = new Map<number, readonly { readonly index: number; readonly weight: number }[]>();
  algorithms = new Map<number, string>();
  vipRings = new Map<number, number>();
  vips = new Map<string, string>();
  serverIds = new Map<number, number>();
  routes = new Map<string, number>();
  down = new Set<string>();
  flows = new Map<number, number>();
  decap = new Map<string, boolean>();
  watched = '';

  run(write: MapWrite): void {
    switch (write.kind) {
      case 'router-mac':
        this.routerMac = write.mac?.join(':') ?? '';
        break;
      case 'own-address':
        if (write.address === undefined) this.own.delete(write.family);
        else this.own.set(write.family, formatIp(write.address));
        break;
      case 'real':
        this.reals.set(write.index, `${formatIp(write.address)} ${write.isLocal}`);
        break;
      case 'next-hop':
        this.hops.set(write.index, write.mac?.join(':') ?? '');
        break;
      case 'ring':
        this.rings.set(write.ring, write.members);
        this.algorithms.set(write.ring, write.algorithm);
        break;
      case 'server-id':
        this.serverIds.set(write.id, write.real);
        break;
      case 'source-route':
        this.routes.set(formatIp(write.prefix.address), write.real);
        break;
      case 'down-real':
        this.down.add(`${write.vip.port} ${write.real}`);
        break;
      case 'global-flow':
        this.flows.set(write.flow.sport, write.real);
        break;
      case 'vip-ring':
        this.vipRings.set(write.vip, write.ring);
        break;
      case 'vip':
        this.vips.set(String(write.key.port), `${write.number} ${write.flags}`);
        break;
      case 'watch':
        this.watched = write.vip === undefined ? '' : formatVip(write.vip);
        break;
      case 'decap':
        this.decap.set(formatIp(write.address), write.egress);
        break;
      case 'delete-decap':
        this.decap.delete(formatIp(write.address));
        break;
      case 'delete-vip': {
        // The down backends of a VIP go with it.
        const port = String(write.key.port);
        if (!this.vips.delete(port)) break;
        for (const down of this.down) if (down.startsWith(`${port} `)) this.down.delete(down);
        break;
      }
      case 'delete-global-flow':
        this.flows.delete(write.flow.sport);
        break;
      case 'delete-down-real':
        this.down.delete(`${write.vip.port} ${write.real}`);
        break;
      case 'delete-source-route':
        this.routes.delete(formatIp(write.prefix.address));
        break;
      case 'delete-server-id':
        this.serverIds.delete(write.id);
        break;
      case 'clear-ring':
        this.rings.delete(write.ring);
        break;
      case 'clear-real':
        this.reals.delete(write.index);
        this.hops.delete(write.index);
        break;
      default:
        assertNever(write);
    }
  }

  /** Every packet finds what it needs: whatever names a backend names one that has a row and a next hop. */
  check(): void {
    for (const row of this.vips.values()) {
      const number = Number(row.split(' ')[0]);
      const ring = this.vipRings.get(number);
      if (ring === undefined) throw new Error(`VIP ${number} has no ring`);
      for (const { index } of this.rings.get(ring) ?? []) this.checkReal(`ring ${ring}`, index);
    }
    for (const [id, index] of this.serverIds) this.checkReal(`server id ${id}`, index);
    for (const [prefix, index] of this.routes) this.checkReal(`route ${prefix}`, index);
    for (const [sport, index] of this.flows) this.checkReal(`flow ${sport}`, index);
    for (const down of this.down) this.checkReal(`down ${down}`, Number(down.split(' ')[1]));
  }

  checkReal(what: string, index: number): void {
    if (!this.reals.has(index)) throw new Error(`${what} names row ${index}, which is empty`);
    if (!this.hops.has(index)) throw new Error(`row ${index} has no next hop`);
  }

  read(): unknown {
    const rings = [...this.rings].filter(([, members]) => members.length > 0);
    const algorithms = rings.map(([ring]) => [ring, this.algorithms.get(ring)]);
    const ringOf = [...this.vips].map(([port, row]) => [
      port,
      row,
      this.vipRings.get(Number(row.split(' ')[0])),
    ]);
    const tables = [
      this.own,
      this.reals,
      this.hops,
      rings,
      algorithms,
      ringOf,
      this.serverIds,
      this.routes,
      this.down,
      this.flows,
      this.decap,
    ];
    return [
      this.routerMac,
      this.watched,
      ...tables.map((part) => JSON.stringify([...(part as Iterable<unknown>)].sort())),
    ];
  }
}

const small = fc.integer({ min: 1, max: 5 });
/** Few keys, each with a row of the first five. */
const routes = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 4 }), small), { selector: ([k]) => k });

/** Images with few rows, rings and VIPs, so that changes overlap. */
const images: fc.Arbitrary<TableImage> = fc
  .record({
    rows: fc.uniqueArray(small),
    pools: fc.array(fc.array(small), { minLength: 3, maxLength: 3 }),
    vips: fc.uniqueArray(
      fc.record({
        number: fc.integer({ min: 0, max: 3 }),
        ring: fc.integer({ min: 0, max: 2 }),
        port: fc.integer({ min: 0, max: 3 }),
        flags: fc.integer({ min: 0, max: 1 }),
      }),
      { selector: ({ number }) => number },
    ),
    weight: fc.integer({ min: 1, max: 3 }),
    algorithm: fc.constantFrom('v1', 'v2'),
    hop: fc.option(fc.integer({ min: 1, max: 2 })),
    local: small,
    own: fc.uniqueArray(fc.constantFrom(4, 6)),
    serverIds: routes,
    sourceRoutes: routes,
    down: routes,
    flows: routes,
    decap: fc.uniqueArray(fc.tuple(small, fc.boolean()), { selector: ([k]) => k }),
    watched: fc.option(small),
  })
  .map((given): TableImage => {
    const { rows, pools, weight, algorithm } = given;
    const isRow = ([, real]: readonly [number, number]) => rows.includes(real);
    // A port is one VIP's.
    const vips = given.vips.filter(
      ({ port }, i) => given.vips.findIndex((other) => other.port === port) === i,
    );
    return {
      routerMac: given.hop === null ? undefined : mac(given.hop),
      ownAddresses: new Map(
        given.own.map((family) => [family, family === 4 ? address(9) : parseIp('fc00::9')]),
      ),
      reals: new Map(rows.map((index) => [index, { ...row(index), isLocal: index === given.local }])),
      rings: new Map(
        [...new Set(vips.map(({ ring }) => ring))].map((number) => [
          number,
          {
            members: [...new Set(pools[number])]
              .filter((index) => rows.includes(index))
              .sort()
              .map((index) => member(index, weight)),
            algorithm,
          },
        ]),
      ),
      vips: new Map(
        vips.map(({ number, ring: ringNumber, port, flags }) => [
          `vips/v${number}`,
          { key: key(port + 1), number, ring: ringNumber, flags },
        ]),
      ),
      serverIds: new Map(given.serverIds.filter(isRow)),
      sourceRoutes: new Map(
        given.sourceRoutes
          .filter(isRow)
          .map(([n, real]) => [`r${n}`, { prefix: { address: parseIp(`10.${n}.0.0`), bits: 16 }, real }]),
      ),
      downReals: new Map(
        given.down
          .filter(isRow)
          .filter(([port]) => vips.some((vip) => vip.port + 1 === port))
          .map(([port, real]) => [`${port} ${real}`, { vip: key(port), real }]),
      ),
      globalFlows: new Map(
        given.flows.filter(isRow).map(([sport, real]) => [`f${sport}`, { flow: { ...FLOW, sport }, real }]),
      ),
      decapDestinations: new Map(
        given.decap.map(([n, egress]) => [`d${n}`, { address: address(n + 20), egress }]),
      ),
      watched: given.watched === null ? undefined : key(given.watched),
    };
  });

it('any image leads to any other; between two writes every packet finds what it needs', () => {
  fc.assert(
    fc.property(images, images, (from, to) => {
      const model = new Model();
      const fresh = new Model();
      for (const write of plan(EMPTY_IMAGE, to)) fresh.run(write);
      for (const write of [...plan(EMPTY_IMAGE, from), ...plan(from, to)]) {
        model.run(write);
        model.check();
      }
      expect(model.read()).toEqual(fresh.read());
    }),
    { numRuns: 500 },
  );
});

it('half a plan is undone by the inverse of the whole one', () => {
  fc.assert(
    fc.property(images, images, fc.nat(), (from, to, stop) => {
      const model = new Model();
      const before = new Model();
      for (const write of plan(EMPTY_IMAGE, from)) {
        model.run(write);
        before.run(write);
      }
      const writes = plan(from, to);
      for (const write of writes.slice(0, stop % (writes.length + 1))) model.run(write);
      for (const write of plan(to, from)) model.run(write);
      expect(model.read()).toEqual(before.read());
    }),
    { numRuns: 500 },
  );
});
