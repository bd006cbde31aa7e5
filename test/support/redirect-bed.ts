import { instantiateProgram } from '../../lb/bpf/jit/compile.js';
import type { MapTypeName } from '../../lb/bpf/maps/map.js';
import { type ArenaMap, ArenaMaps } from '../../lb/bpf/maps/registry.js';
import type { Runtime, RuntimeExports } from '../../lb/bpf/maps/runtime.js';
import { CPU_ADDRESSES, CPU_MMSGHDRS, MMSGHDR_BYTES, SOCKADDR_LL_BYTES } from '../../lb/bpf/memory/layout.js';
import { udpFrame } from './packets.js';
import { BASE, PumpBed, type PumpBedOptions } from './pump-bed.js';

/** A frame whose last byte is a number. */
export const numbered = (n: number): Uint8Array =>
  udpFrame(
    { src: '203.0.113.77', dst: '198.51.100.10', sport: 31337, dport: 80 },
    { data: Uint8Array.of(0, n) },
  );

/** A pump whose programs call helpers of the worker's own runtime. */
export class RedirectBed extends PumpBed {
  /** What the program does with each frame in turn: its r0. */
  steps: ((helpers: RuntimeExports) => bigint)[] = [];
  readonly #maps: ArenaMaps;

  constructor(options: Pick<PumpBedOptions, 'workers' | 'cpu'> & { readonly beside?: RedirectBed } = {}) {
    super(() => Number(this.steps.shift()!(this.runtime.exports)), { mapsBytes: 2 ** 20, ...options });
    this.#maps = options.beside ? options.beside.#maps : new ArenaMaps(this.arena);
  }

  createMap(type: MapTypeName, maxEntries: number): ArenaMap {
    const valueSize = type === 'XSKMAP' ? 4 : 8;
    return this.#maps.createMap({ name: 'targets', type, keySize: 4, valueSize, maxEntries, flags: 0 });
  }

  /** A number that maps may name; its program is there only where it is given. */
  addProgram(module: WebAssembly.Module | undefined): number {
    const number = this.#maps.programs.allocate('target');
    const runtime: Runtime = this.runtime;
    if (module) runtime.programs.set(number, instantiateProgram(module, runtime));
    return number;
  }

  /** Interfaces by which the first entries to be sent leave; undefined for the worker's own. */
  devices(count: number): (number | undefined)[] {
    return Array.from({ length: count }, (_, i) => {
      const message = this.block + CPU_MMSGHDRS + i * MMSGHDR_BYTES;
      const length = this.view.getUint32(message + 8, true);
      if (length === 0) return undefined;
      const address = Number(this.view.getBigUint64(message, true) - BASE);
      const isRight =
        address === this.block + CPU_ADDRESSES + i * SOCKADDR_LL_BYTES &&
        length === SOCKADDR_LL_BYTES &&
        this.view.getUint16(address, true) === 17;
      if (!isRight) throw new Error(`entry ${i} has no struct sockaddr_ll`);
      return this.view.getInt32(address + 4, true);
    });
  }
}
