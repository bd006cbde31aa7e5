import { type BpfMap, ERRNO } from '../../bpf/maps/map.js';
import { CodedError } from '../../errors.js';
import { encode } from '../structs.js';
import { type MapSchema, U32 } from './schema.js';

export type CompanionFault =
  | { readonly code: 'COMPANION_MAP_MISSING'; readonly map: string }
  | {
      readonly code: 'COMPANION_MAP_SHAPE';
      readonly map: string;
      readonly keySize: number;
      readonly valueSize: number;
    }
  | {
      readonly code: 'COMPANION_WRITE';
      readonly map: string;
      readonly operation: string;
      readonly errno: number;
    }
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
export class CompanionMaps<S extends MapSchema> {
  readonly #maps: ReadonlyMap<string, BpfMap>;

  /** @throws CompanionError COMPANION_MAP_MISSING, COMPANION_MAP_SHAPE */
  constructor(maps: ReadonlyMap<string, BpfMap>, schema: S) {
    this.#maps = new Map(
      Object.entries(schema).map(([name, { key, value }]) => [
        name,
        checkedMap(maps.get(name), name, key.sizeBytes, value.sizeBytes),
      ]),
    );
  }

  get(name: keyof S & string): BpfMap {
    // The constructor has put every name of the schema in.
    return this.#maps.get(name)!;
  }

  /** @throws CompanionError COMPANION_WRITE */
  update(name: keyof S & string, key: Uint8Array, value: Uint8Array): void {
    this.#check(name, 'update', this.get(name).update(key, value));
  }

  /** Take an entry out; one that is not there is out already. @throws CompanionError COMPANION_WRITE */
  delete(name: keyof S & string, key: Uint8Array): void {
    const result = this.get(name).delete(key);
    if (result !== -ERRNO.ENOENT) this.#check(name, 'delete', result);
  }

  /** Copies of a row of a per-CPU map, one a CPU. */
  copies(name: keyof S & string, row: number): readonly Uint8Array[] {
    const map = this.get(name);
    const value = map.lookup(u32Bytes(row)) ?? new Uint8Array(map.valueBytes);
    const stride = map.valueBytes / map.cpus;
    return Array.from({ length: map.cpus }, (_, cpu) => value.subarray(cpu * stride, (cpu + 1) * stride));
  }

  #check(map: string, operation: string, result: number): void {
    if (result >= 0) return;
    const name = Object.entries(ERRNO).find(([, errno]) => errno === -result)?.[0] ?? `errno ${-result}`;
    throw new CompanionError(
      { code: 'COMPANION_WRITE', map, operation, errno: -result },
      `map ${map}: ${operation} failed: ${name}`,
    );
  }
}

function checkedMap(map: BpfMap | undefined, name: string, keyBytes: number, valueBytes: number): BpfMap {
  if (map === undefined) {
    throw new CompanionError({ code: 'COMPANION_MAP_MISSING', map: name }, `map ${name} is missing`);
  }
  const { keySize, valueSize } = map.spec;
  if (keySize === keyBytes && valueSize === valueBytes) return map;
  throw new CompanionError(
    { code: 'COMPANION_MAP_SHAPE', map: name, keySize, valueSize },
    `map ${name} has keys of ${keySize} and values of ${valueSize} bytes, wanted ${keyBytes} and ${valueBytes}`,
  );
}
