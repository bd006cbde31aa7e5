import { helperById } from '../../../lb/bpf/helpers/prototypes.js';
import type { Instruction } from '../../../lb/bpf/isa/instruction.js';
import type { ArenaMap } from '../../../lb/bpf/maps/registry.js';
import { STACK_FRAME_BYTES } from '../../../lb/bpf/memory/layout.js';
import type { TraceRegion } from '../../../lb/bpf/trace.js';

/** The program did what a program that is proved never does. */
export class UnsafeError extends Error {}
/** Enough was seen of a program that runs on for long. */
export class LongRun extends Error {}

/** Instructions of one path: the kernel's limit of what is walked bounds it where no callback is run again and again. */
const PATH_LIMIT = 1_000_001;
const LONG = 300_000;
const CALLBACK_HELPERS: ReadonlySet<number> = new Set([164, 181]);
const LOOKUPS: ReadonlySet<number> = new Set([1, 195]);
const RESERVE = 131;
const GIVES_BACK: ReadonlySet<number> = new Set([132, 133]);
/** Helpers that give memory which is not followed here. */
const ELSEWHERE: ReadonlySet<number> = new Set([84, 85, 86, 95, 96, 98, 99, 203]);

interface Extent {
  readonly start: number;
  readonly bytes: number;
}

/**
 * Looks at each access of a run: it must be in the context, the packet, a live frame, a value that a lookup gave, or a
 * record of a ring buffer that is held. So must the memory be that helpers are given.
 */
export class Watch {
  readonly #regions: () => readonly TraceRegion[];
  readonly #maps: () => readonly ArenaMap[];
  #base: readonly TraceRegion[] = [];
  /** Values that lookups gave, and records that are held. */
  #given: Extent[] = [];
  #pending: { readonly id: number; readonly bytes: number } | undefined;
  #steps = 0;
  #top = 0;
  #isElsewhere = false;
  #isLong = false;

  constructor(regions: () => readonly TraceRegion[], maps: () => readonly ArenaMap[]) {
    this.#regions = regions;
    this.#maps = maps;
  }

  start(): void {
    this.#given = [];
    this.#pending = undefined;
    this.#steps = 0;
    this.#base = [];
    this.#isElsewhere = false;
    this.#isLong = false;
  }

  readonly step = (next: Instruction | undefined, registers: readonly bigint[]): void => {
    if (this.#steps === 0) this.#top = Number(registers[10]!);
    this.#settle(registers);
    if (next === undefined) return;
    this.#steps += 1;
    if (this.#isLong && this.#steps > LONG) throw new LongRun();
    if (this.#steps > PATH_LIMIT) throw new UnsafeError(`instruction ${next.slot}: it runs on`);
    switch (next.kind) {
      case 'load':
      case 'load-acquire':
        this.#check(next.slot, registers, Number(registers[next.src]! + BigInt(next.off)), next.bytes);
        return;
      case 'store':
      case 'store-release':
      case 'atomic':
        this.#check(next.slot, registers, Number(registers[next.dst]! + BigInt(next.off)), next.bytes);
        return;
      case 'call-helper':
        this.#call(next.slot, next.id, registers);
    }
  };

  /** What the helper that was called before gave. */
  #settle(registers: readonly bigint[]): void {
    const pending = this.#pending;
    this.#pending = undefined;
    const start = Number(registers[0]!);
    if (pending === undefined || start === 0) return;
    const { bytes } = pending;
    if (!this.#given.some((each) => each.start === start && each.bytes === bytes))
      this.#given.push({ start, bytes });
  }

  #call(slot: number, id: number, registers: readonly bigint[]): void {
    this.#base = [];
    if (CALLBACK_HELPERS.has(id)) this.#isLong = true;
    if (ELSEWHERE.has(id) || id === 164) this.#isElsewhere = true;
    const map = this.#map(Number(registers[1]!));
    if (LOOKUPS.has(id) && map !== undefined) this.#pending = { id, bytes: map.info.valueSize };
    if (id === RESERVE) this.#pending = { id, bytes: Number(registers[2]!) };
    if (GIVES_BACK.has(id)) this.#given = this.#given.filter(({ start }) => start !== Number(registers[1]!));
    const { args = [] } = helperById(id) ?? {};
    for (const [index, kind] of args.entries()) {
      const address = Number(registers[index + 1]!);
      const after = args[index + 1];
      if (typeof kind === 'object') this.#check(slot, registers, address, kind.bytes);
      else if (kind === 'map-key' && map !== undefined)
        this.#check(slot, registers, address, map.info.keySize);
      else if ((kind === 'map-value' || kind === 'map-value-write') && map !== undefined)
        this.#check(slot, registers, address, map.info.valueSize);
      else if (kind.startsWith('memory') && typeof after === 'string' && after.startsWith('size')) {
        const bytes = Number(registers[index + 2]!);
        if (bytes > 0) this.#check(slot, registers, address, bytes);
      }
    }
  }

  #check(slot: number, registers: readonly bigint[], address: number, bytes: number): void {
    const end = address + bytes;
    const fits = ({ start, bytes: room }: Extent) => address >= start && end <= start + room;
    const frame = Number(registers[10]!) - STACK_FRAME_BYTES;
    if (address >= frame && end <= this.#top) return;
    if (this.#base.length === 0)
      this.#base = this.#regions().filter(({ name }) => name === 'packet' || name === 'ctx');
    if (this.#base.some(fits) || this.#isMeta(address, end) || this.#given.some(fits)) return;
    if (this.#maps().some((map) => isElement(map, address, bytes))) return;
    if (this.#isElsewhere) return;
    throw new UnsafeError(
      `instruction ${slot}: ${bytes} bytes at 0x${address.toString(16)} belong to nothing`,
    );
  }

  /** Metadata lies in front of the packet; the regions do not tell it apart from headroom. */
  #isMeta(address: number, end: number): boolean {
    const packet = this.#base.find(({ name }) => name === 'packet');
    return packet !== undefined && address >= packet.start - 256 && end <= packet.start;
  }

  #map(descriptor: number): ArenaMap | undefined {
    return this.#maps().find(({ info }) => info.descriptor === descriptor);
  }
}

/**
 * Whether an access is in the one value of an array, to which programs have pointers without a lookup (BPF_PSEUDO_MAP_VALUE).
 * Other values count only when a lookup has given them: what is behind one is another's.
 */
function isElement({ info }: ArenaMap, address: number, bytes: number): boolean {
  const { data, maxEntries, valueSize, type } = info;
  return type === 'ARRAY' && maxEntries === 1 && address >= data && address + bytes <= data + valueSize;
}
