import type { BpfMap } from '../bpf/maps/map.js';
import { createMaps } from '../bpf/object/create-maps.js';
import type { ObjectSpec } from '../bpf/object/spec.js';
import {
  type KernelMap,
  KernelMaps,
  type KernelProgram,
  loadKernelProgram,
  type XdpLink,
} from '../sys/bpf.js';
import { callError } from '../sys/bpf-call.js';
import type { LinkInfo } from '../sys/socket.js';
import type { PoolLog } from '../worker/pool.js';
import { attach } from './attach.js';
import { MirroredMap } from './mirrored-map.js';

const STEER_PROGRAM = 'steer_ingress';
const SOCKETS_MAP = 'sockets';
const NO_SOCKET_MAP = 'no_socket';
const CONSTANTS_MAP = '.rodata';

const u32Bytes = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);

/** A loaded program, and its constants, which are its own. */
interface Loaded {
  readonly program: KernelProgram;
  readonly constants: KernelMap | undefined;
}

/**
 * The kernel's program in front of AF_XDP sockets: what the balancer has something to do with goes to the socket of its
 * queue, all else to the host. It asks copies of the balancer's maps.
 */
export class Steering {
  readonly #host = new KernelMaps();
  readonly #maps: ReadonlyMap<string, KernelMap>;
  #loaded: Loaded;
  #link: XdpLink | undefined;

  private constructor(object: ObjectSpec) {
    this.#maps = createMaps<KernelMap>(object, this.#host);
    try {
      this.#loaded = this.#load(object);
    } catch (error) {
      this.#closeMaps();
      throw error;
    }
  }

  /**
   * Have the kernel load the program; nothing is steered before it is attached.
   * @param object programs/steer.bpf.c with the balancer's options, its maps as large as the balancer's
   * @throws BpfError
   */
  static load(object: ObjectSpec): Steering {
    return new Steering(object);
  }

  /** The maps, with those that the program has copies of changed for ones whose writes go to both. */
  mirror(maps: ReadonlyMap<string, BpfMap>): Map<string, BpfMap> {
    const mirrored = [...maps].map(([name, map]): [string, BpfMap] => {
      const copy = name === CONSTANTS_MAP ? undefined : this.#maps.get(name);
      return [name, copy ? new MirroredMap(map, copy) : map];
    });
    return new Map(mirrored);
  }

  /** Give a queue's frames to a socket. @throws BpfError */
  addSocket(queue: number, fd: number): void {
    const result = this.#maps.get(SOCKETS_MAP)!.update(u32Bytes(queue), u32Bytes(fd));
    if (result < 0) throw callError('MAP_UPDATE_ELEM', `the socket of queue ${queue}`, -result);
  }

  /**
   * Steer from now on: in the driver where it runs XDP programs, else behind it, which is said.
   * @throws BpfError, PinError PINS_LEFT
   */
  attach(link: LinkInfo, log: PoolLog): void {
    this.#link = attach(this.#loaded.program, link, log, 'frames are steered behind it').xdp;
  }

  /**
   * Steer by other options from when `swap` has another balancer run behind the sockets. While it swaps, only what both
   * balancers take is steered: what either of them passes would be lost, and is the host's before or after anyhow.
   * @param both the program with what both take
   * @param after the program with what the other balancer takes
   * @throws BpfError where the kernel refuses one, and what `swap` throws; it is steered as before then
   */
  async replace(both: ObjectSpec, after: ObjectSpec, swap: () => Promise<void>): Promise<void> {
    if (this.#hasConstantsOf(after)) return await swap();
    const narrow = this.#load(both);
    try {
      const next = this.#load(after);
      try {
        this.#link?.replace(narrow.program);
        await swap();
        this.#link?.replace(next.program);
      } catch (error) {
        unload(next);
        this.#link?.replace(this.#loaded.program);
        throw error;
      }
      unload(this.#loaded);
      this.#loaded = next;
    } finally {
      unload(narrow);
    }
  }

  /** Packets for the balancer that came by a queue without a socket, and were dropped. */
  noSocket(): bigint {
    const copies = this.#maps.get(NO_SOCKET_MAP)?.lookup(u32Bytes(0)) ?? new Uint8Array();
    return new BigUint64Array(copies.buffer).reduce((sum, each) => sum + each, 0n);
  }

  /** Leave all packets to the host again. Idempotent. */
  close(): void {
    this.#link?.close();
    this.#link = undefined;
    unload(this.#loaded);
    this.#closeMaps();
  }

  #load(object: ObjectSpec): Loaded {
    const spec = object.programs.find(({ name }) => name === STEER_PROGRAM);
    if (!spec) throw new Error(`the object has no program ${STEER_PROGRAM}`);
    const own = object.maps.find(({ name }) => name === CONSTANTS_MAP);
    const constants = own && this.#host.createMap(own);
    try {
      const maps = object.maps.map(
        ({ name }) => (name === CONSTANTS_MAP ? constants : this.#maps.get(name))!,
      );
      return { program: loadKernelProgram(spec, maps, object.license, object.btf), constants };
    } catch (error) {
      constants?.close();
      throw error;
    }
  }

  #hasConstantsOf(object: ObjectSpec): boolean {
    const own = this.#loaded.constants?.lookup(u32Bytes(0));
    const others = object.maps.find(({ name }) => name === CONSTANTS_MAP)?.initial;
    return own !== undefined && others !== undefined && Buffer.from(own).equals(others);
  }

  #closeMaps(): void {
    for (const map of this.#maps.values()) map.close();
  }
}

function unload({ program, constants }: Loaded): void {
  program.close();
  constants?.close();
}
