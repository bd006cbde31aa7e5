/**
 * The program in front of AF_XDP sockets asks the balancer's own question: it takes a packet exactly where the balancer
 * does not let it pass. Every packet case says what the balancer does: the same state and the same packet go to the other.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { PASS_REASONS, type Reason } from '../../lb/balancer/reasons.js';
import { XDP_DROP, XDP_PASS } from '../../lb/bpf/engine/context.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import { steerObject } from '../../lb/steer-object.js';
import { type KernelMap, KernelMaps, type KernelProgram, loadKernelProgram } from '../../lb/sys/bpf.js';
import { BALANCER_ENGINES, type BalancerBed, testObject } from '../support/balancer.js';
import { emptyMap } from '../support/balancer-state.js';
import { missingRoot } from '../support/capabilities.js';
import { onOneCpu } from '../support/one-cpu.js';
import { hex } from '../support/packets.js';
import { CASE_SUITES } from './cases/all.js';
import { Scene } from './cases/setup.js';
import { suiteOptions } from './suite.js';

/** What is taken and let pass all the same: that is known only by the backend. */
const PASS_OF_TAKEN: readonly Reason[] = ['local'];
/** Not even an Ethernet header and its tags: nobody can tell whom it is for. */
const DROPS_LEFT: readonly Reason[] = ['short_frame'];
/** The kernel's test run takes no shorter frame. */
const MIN_FRAME_BYTES = 14;
const COPIED = ['vip_map', 'vip_lpm_map', 'vip_addresses', 'vip_prefixes', 'decap_dst'] as const;

/** The program, loaded with a bed's options; no socket is in its map, so that what it takes it drops. */
class Steer {
  readonly #maps: ReadonlyMap<string, KernelMap>;
  readonly #program: KernelProgram;

  constructor(options: Parameters<typeof testObject>[0]) {
    const object = steerObject(testObject(options));
    this.#maps = createMaps(object, new KernelMaps());
    const [spec] = object.programs.filter(({ name }) => name === 'steer_ingress');
    this.#program = loadKernelProgram(spec!, [...this.#maps.values()], object.license, object.btf);
  }

  /** Have what the balancer has in the maps of the same name. */
  copy({ maps }: BalancerBed): void {
    for (const name of COPIED) {
      const copy = this.#maps.get(name)!;
      emptyMap(copy);
      maps.get(name)!.forEach((key, value) => void copy.update(key.slice(), value.slice()));
    }
  }

  takes(frame: Uint8Array): boolean {
    const { verdict, packet } = onOneCpu(() => this.#program.testRun(frame));
    expect(packet).toEqual(frame);
    expect([XDP_DROP, XDP_PASS]).toContain(verdict);
    return verdict === XDP_DROP;
  }

  close(): void {
    this.#program.close();
    for (const map of this.#maps.values()) map.close();
  }
}

/** Whether a packet, behind tags or not, is for the node's own address: none of a VIP or of decap_dst. */
function isForNode({ maps }: BalancerBed, frame: Uint8Array): boolean {
  return [4, 6].some((family, row) => {
    const own = maps
      .get('pckt_srcs')!
      .lookup(new Uint8Array(Uint32Array.of(row).buffer))!
      .subarray(0, 16);
    if (own.every((byte) => byte === 0) || maps.get('decap_dst')!.lookup(own)) return false;
    const address = own.subarray(0, family === 4 ? 4 : 16);
    const [place, type] = family === 4 ? [16, '0800'] : [24, '86dd'];
    return [14, 18, 22].some(
      (ip) =>
        hex(frame.subarray(ip - 2, ip)) === type &&
        hex(frame.subarray(ip + place, ip + place + address.length)) === hex(address),
    );
  });
}

describe.skipIf(missingRoot)(`steering${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  const interpreter = BALANCER_ENGINES.find(({ name }) => name === 'interpreter')!;
  const beds = new Map<string, { readonly scene: Scene; readonly steer: Steer }>();
  const taken = new Set<boolean>();
  afterAll(() => {
    for (const { scene, steer } of beds.values()) {
      scene.bed.close();
      steer.close();
    }
    expect(taken.size).toBe(2);
  });

  it.each(CASE_SUITES.map((suite) => [suite.title, suite] as const))(
    'takes what is for the balancer: %s',
    (_, suite) => {
      const options = suiteOptions(suite);
      const key = JSON.stringify(options);
      const bed = beds.get(key) ?? { scene: new Scene(interpreter.make(options)), steer: new Steer(options) };
      beds.set(key, bed);
      const { scene, steer } = bed;
      for (const { name, steps } of suite.rows) {
        scene.reset();
        suite.arrange(scene);
        steer.copy(scene.bed);
        for (const { frame, given, expected } of steps) {
          given?.(scene);
          if (given) steer.copy(scene.bed);
          if (frame.length >= MIN_FRAME_BYTES && !DROPS_LEFT.includes(expected.reason)) {
            const isPassed = PASS_REASONS.some((reason) => reason === expected.reason);
            // What lost its outer header was taken, whatever was inside, but for tunnels to this node itself.
            const isTaken =
              !isForNode(scene.bed, frame) &&
              (!isPassed || PASS_OF_TAKEN.includes(expected.reason) || expected.after !== undefined);
            expect(steer.takes(frame), `${name}: ${expected.reason}`).toBe(isTaken);
            taken.add(isTaken);
          }
        }
      }
    },
  );
});
