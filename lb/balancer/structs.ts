/**
 * How structs of C stand in memory, and how their bytes are read and written. Everything is little endian but fields of
 * kind `u16be`; bytes that no field covers are padding and zero.
 */

/** How a field stands in memory. */
type Kind = 'u8' | 'u16' | 'u16be' | 'u32' | 'u64' | 'bytes';
export interface Field<K extends Kind = Kind> {
  readonly kind: K;
  /** From the start of the struct, bytes. */
  readonly offset: number;
  readonly bytes: number;
}
/** A struct: its size and its fields; bytes that belong to no field are zero. */
export interface Struct {
  /** Tag of the struct or union in C. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly fields: Readonly<Record<string, Field>>;
}
/** Key and value of each map of an object, under the map's name. */
export type MapSchema = Readonly<Record<string, { readonly key: Struct; readonly value: Struct }>>;

type ValueOf<F extends Field> = F['kind'] extends 'bytes'
  ? Uint8Array
  : F['kind'] extends 'u64'
    ? bigint
    : number;
/** What a struct's fields hold in TypeScript. */
export type ValuesOf<S extends Struct> = { readonly [N in keyof S['fields']]: ValueOf<S['fields'][N]> };

export const u8 = (offset: number): Field<'u8'> => ({ kind: 'u8', offset, bytes: 1 });
export const u16 = (offset: number): Field<'u16'> => ({ kind: 'u16', offset, bytes: 2 });
export const u16be = (offset: number): Field<'u16be'> => ({ kind: 'u16be', offset, bytes: 2 });
export const u32 = (offset: number): Field<'u32'> => ({ kind: 'u32', offset, bytes: 4 });
export const u64 = (offset: number): Field<'u64'> => ({ kind: 'u64', offset, bytes: 8 });
export const bytes = (offset: number, count: number): Field<'bytes'> => ({
  kind: 'bytes',
  offset,
  bytes: count,
});

/**
 * Read a struct that stands at `offset` of `from`.
 * @throws RangeError where the struct does not end within `from`
 */
export function decode<S extends Struct>(struct: S, from: Uint8Array, offset = 0): ValuesOf<S> {
  const view = new DataView(from.buffer, from.byteOffset + offset, struct.sizeBytes);
  const values = Object.entries(struct.fields).map(([name, field]) => [name, read(view, field)]);
  // The entries are those of `fields`, each with the type that its kind has.
  return Object.fromEntries(values) as ValuesOf<S>;
}

function read(view: DataView, field: Field): Uint8Array | bigint | number {
  switch (field.kind) {
    case 'u8':
      return view.getUint8(field.offset);
    case 'u16':
      return view.getUint16(field.offset, true);
    case 'u16be':
      return view.getUint16(field.offset, false);
    case 'u32':
      return view.getUint32(field.offset, true);
    case 'u64':
      return view.getBigUint64(field.offset, true);
    case 'bytes':
      return new Uint8Array(view.buffer, view.byteOffset + field.offset, field.bytes).slice();
  }
}

/**
 * Bytes of a struct; shorter byte fields are filled with zeros, and so is what no field covers.
 * @throws RangeError for a number or bytes that do not fit their field
 */
export function encode<S extends Struct>(struct: S, values: ValuesOf<S>): Uint8Array {
  const out = new Uint8Array(struct.sizeBytes);
  const view = new DataView(out.buffer);
  const given: Readonly<Record<string, Uint8Array | bigint | number>> = values;
  for (const [name, field] of Object.entries(struct.fields)) write(view, field, given[name]!, name);
  return out;
}

function write(view: DataView, field: Field, value: Uint8Array | bigint | number, name: string): void {
  if (value instanceof Uint8Array) {
    if (field.kind !== 'bytes' || value.length > field.bytes) {
      throw new RangeError(`${name}: ${value.length} bytes do not fit`);
    }
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(value, field.offset);
    return;
  }
  const number = BigInt(value);
  if (field.kind === 'bytes' || number < 0n || number >= 1n << BigInt(field.bytes * 8)) {
    throw new RangeError(`${name}: ${value} does not fit`);
  }
  if (field.kind === 'u64') view.setBigUint64(field.offset, number, true);
  else if (field.kind === 'u32') view.setUint32(field.offset, Number(number), true);
  else if (field.bytes === 2) view.setUint16(field.offset, Number(number), field.kind === 'u16');
  else view.setUint8(field.offset, Number(number));
}
