import type { BpfMap } from '../../bpf/maps/map.js';
import { CodedError } from '../../errors.js';
import { CheckedMaps, type MapFault } from '../checked-maps.js';
import { encode, type MapSchema } from '../structs.js';
import { U32 } from './schema.js';

/** Those of MapFault, written out: who looks for a code finds it. */
type MapCode = 'COMPANION_MAP_MISSING' | 'COMPANION_MAP_SHAPE' | 'COMPANION_WRITE';

export type CompanionFault =
  | (MapFault<'COMPANION'> & { readonly code: MapCode })
  | { readonly code: 'COMPANION_RANGE'; readonly what: string; readonly value: number }
  | { readonly code: 'COMPANION_KEYS_FULL'; readonly keys: number };

/** A companion's map that is not there or of another shape, a write that was refused, or a number out of range. */
export class CompanionError extends CodedError<CompanionFault> {}

/** @throws CompanionError COMPANION_RANGE unless `value` is a whole number from `min` to `max` */
export function checkRange(what: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new CompanionError(
    { code: 'COMPANION_RANGE', what, value },
    `${what} ${value} is not a whole number from ${min} to ${max}`,
  );
}

export const u32Bytes = (value: number): Uint8Array => encode(U32, { value });

/** The maps of one companion by name, each of the shape that its schema says; writes that are refused are faults. */
export class CompanionMaps<S extends MapSchema> extends CheckedMaps<S, 'COMPANION'> {
  /** @throws CompanionError COMPANION_MAP_MISSING, COMPANION_MAP_SHAPE */
  constructor(maps: ReadonlyMap<string, BpfMap>, schema: S) {
    super(maps, schema, { area: 'COMPANION', Fault: CompanionError });
  }

  /** Copies of a row of a per-CPU map, one a CPU. */
  copies(name: keyof S & string, row: number): readonly Uint8Array[] {
    const map = this.get(name);
    const value = map.lookup(u32Bytes(row)) ?? new Uint8Array(map.valueBytes);
    const stride = map.valueBytes / map.cpus;
    return Array.from({ length: map.cpus }, (_, cpu) => value.subarray(cpu * stride, (cpu + 1) * stride));
  }
}
