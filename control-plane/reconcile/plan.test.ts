import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assertNever, type Mac, parseIp, parseMac } from '../../lb/index.js';
import { EMPTY_IMAGE, type TableImage } from './image.js';
import { type MapWrite, plan } from './plan.js';

const address = (n: number) => parseIp(`10.0.0.${n}`);
const mac = (n: number): Mac => parseMac(`02:00:00:00:00:0${n}`);
const key = (port: number) => ({ address: parseIp('192.0.2.1'), port, protocol: 'tcp' as const });

/** Rows 1.., ring 0 of them with weight 1, VIP 0 on it. */
function image(rows: readonly number[], members: readonly number[] = rows): TableImage {
  return {
    reals: new Map(rows.map((index) => [index, { address: address(index), mac: mac(index) }])),
    rings: new Map([[0, members.map((index) => ({ index, address: address(index), weight: 1 }))]]),
    vips: new Map([['vips/web', { key: key(80), number: 0, ring: 0 }]]),
  };
}
const kinds = (writes: readonly MapWrite[]) => writes.map(({ kind }) => kind);

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
    const reals = new Map([[1, { address: address(1), mac: mac(9) }]]);
    expect(plan(moved, { ...moved, reals })).toEqual([{ kind: 'next-hop', index: 1, mac: mac(9) }]);
  });

  it('a VIP that changes its pool is switched when the other ring is there', () => {
    const wanted: TableImage = {
      ...image([1, 2]),
      rings: new Map([[1, [{ index: 2, address: address(2), weight: 1 }]]]),
      vips: new Map([['vips/web', { key: key(80), number: 0, ring: 1 }]]),
    };
    expect(kinds(plan(image([1, 2]), wanted))).toEqual(['ring', 'vip-ring', 'clear-ring']);
  });

  it('nothing to do is no write', () => {
    expect(plan(image([1, 2]), image([1, 2]))).toEqual([]);
  });
});

/** The tables as plain data, written one write at a time. */
class Model {
  reals = new Map<number, string>();
  hops = new Map<number, string>();
  rings = new Map<number, readonly { readonly index: number; readonly weight: number }[]>();
  vipRings = new Map<number, number>();
  vips = new Map<string, number>();

  run(write: MapWrite): void {
    switch (write.kind) {
      case 'real':
        this.reals.set(write.index, write.address.bytes.join('.'));
        break;
      case 'next-hop':
        this.hops.set(write.index, write.mac?.join(':') ?? '');
        break;
      case 'ring':
        this.rings.set(write.ring, write.members);
        break;
      case 'vip-ring':
        this.vipRings.set(write.vip, write.ring);
        break;
      case 'vip':
        this.vips.set(String(write.key.port), write.number);
        break;
      case 'delete-vip':
        this.vips.delete(String(write.key.port));
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

  /** Every packet finds what it needs: each member of the ring of each VIP has a row and a next hop. */
  check(): void {
    for (const number of this.vips.values()) {
      const ring = this.vipRings.get(number);
      if (ring === undefined) throw new Error(`VIP ${number} has no ring`);
      for (const { index } of this.rings.get(ring) ?? []) {
        if (!this.reals.has(index)) throw new Error(`ring ${ring} names row ${index}, which is empty`);
        if (!this.hops.get(index)) throw new Error(`row ${index} has no next hop`);
      }
    }
  }

  read(): unknown {
    const rings = [...this.rings].filter(([, members]) => members.length > 0);
    const ringOf = [...this.vips].map(([port, number]) => [port, number, this.vipRings.get(number)]);
    return [this.reals, this.hops, rings, ringOf].map((part) =>
      JSON.stringify([...(part as Iterable<unknown>)].sort()),
    );
  }
}

/** Images with few rows, rings and VIPs, so that changes overlap. */
const images: fc.Arbitrary<TableImage> = fc
  .record({
    rows: fc.uniqueArray(fc.integer({ min: 1, max: 5 })),
    pools: fc.array(fc.array(fc.integer({ min: 1, max: 5 })), { minLength: 3, maxLength: 3 }),
    vips: fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 2 })), {
      selector: ([number]) => number,
    }),
    weight: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ rows, pools, vips, weight }) => ({
    reals: new Map(rows.map((index) => [index, { address: address(index), mac: mac(index) }])),
    rings: new Map(
      [...new Set(vips.map(([, ring]) => ring))].map((ring) => [
        ring,
        [...new Set(pools[ring])]
          .filter((index) => rows.includes(index))
          .sort()
          .map((index) => ({ index, address: address(index), weight })),
      ]),
    ),
    vips: new Map(vips.map(([number, ring]) => [`vips/v${number}`, { key: key(number + 1), number, ring }])),
  }));

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
