import { type Btf, btfFail } from './btf.js';
import { valueFail } from './value-fault.js';
import { bitFieldCodec, type Codec, floatCodec, INT_SIZES, intCodec, scalarOf } from './value-numbers.js';
import { type ValueField, type ValueShape, valueShape } from './value-shape.js';
import type { BtfValue } from './value-types.js';

export { ValueError, type ValueFault } from './value-fault.js';
export type { BtfFields, BtfValue, ValueInput } from './value-types.js';

/** Writes and reads values of one type. Byte order is little endian; what is in network order stays in it. */
export interface ValueCodec {
  readonly sizeBytes: number;
  /**
   * @param into bytes to write to, as long as the type; they are cleared first
   * @returns `into`, or new bytes
   * @throws ValueError
   */
  encode(value: unknown, into?: Uint8Array): Uint8Array;
  /** @throws ValueError VALUE_LENGTH when there are not as many bytes as the type has */
  decode(bytes: Uint8Array): BtfValue;
}

/**
 * A value as the bytes that a program sees.
 * @throws ValueError with the path of the field; BtfError for damaged types
 */
export function encodeValue(btf: Btf, typeId: number, value: unknown, into?: Uint8Array): Uint8Array {
  return valueCodec(btf, typeId).encode(value, into);
}

/** Bytes as a value: the reverse of `encodeValue`. @throws ValueError VALUE_LENGTH, VALUE_KIND; BtfError */
export function decodeValue(btf: Btf, typeId: number, bytes: Uint8Array): BtfValue {
  return valueCodec(btf, typeId).decode(bytes);
}

const known = new WeakMap<Btf, Map<number, Codec>>();

/**
 * The codec of one type, for many values; it is made once for each type.
 * @throws ValueError VALUE_KIND for a type that has no values; BtfError for damaged types
 */
export function valueCodec(btf: Btf, typeId: number): ValueCodec {
  const codec = codecOf(btf, typeId, '', 0);
  const { sizeBytes } = codec;
  return {
    sizeBytes,
    encode(value, into = new Uint8Array(sizeBytes)) {
      checkLength('', into, sizeBytes);
      codec.write(viewOf(into.fill(0)), 0, value, '');
      return into;
    },
    decode(bytes) {
      checkLength('', bytes, sizeBytes);
      return codec.read(viewOf(bytes), 0);
    },
  };
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function checkLength(path: string, bytes: ArrayBufferView, wantBytes: number): void {
  if (bytes.byteLength !== wantBytes) valueFail('VALUE_LENGTH', path, `${wantBytes} bytes are wanted`, bytes);
}

const MAX_NESTING = 64;
const MAX_LEAVES = 2 ** 24;

function codecOf(btf: Btf, id: number, path: string, depth: number): Codec {
  const cache = known.get(btf) ?? new Map<number, Codec>();
  known.set(btf, cache);
  const cached = cache.get(id);
  if (cached !== undefined) return cached;
  const type = btf.resolve(id);
  if (depth > MAX_NESTING)
    return btfFail('BTF_DEPTH', type.at, `values nested more than ${MAX_NESTING} deep`);
  const shape = valueShape(btf, id);
  if (shape === undefined) return valueFail('VALUE_KIND', path, `a ${type.kind} has no values`);
  const inner = (innerId: number, name: string) => codecOf(btf, innerId, join(path, name), depth + 1);
  const codec = build(shape, inner, (name) =>
    valueFail('VALUE_KIND', join(path, name), 'no value of this size'),
  );
  if (codec.leaves > MAX_LEAVES)
    return btfFail('BTF_SIZE', type.at, `a value of more than ${MAX_LEAVES} numbers`);
  cache.set(id, codec);
  return codec;
}

const join = (path: string, name: string): string =>
  path === '' || name.startsWith('[') ? path + name : `${path}.${name}`;

function build(
  shape: ValueShape,
  inner: (id: number, name: string) => Codec,
  refuse: (name: string) => never,
): Codec {
  switch (shape.kind) {
    case 'int':
    case 'enum':
    case 'pointer': {
      const scalar = scalarOf(shape);
      return INT_SIZES.has(scalar.sizeBytes) ? intCodec(scalar) : refuse('');
    }
    case 'float':
      return shape.sizeBytes === 4 || shape.sizeBytes === 8 ? floatCodec(shape.sizeBytes) : refuse('');
    case 'text':
      return textCodec(shape.count);
    case 'bytes':
      return bytesCodec(shape.count);
    case 'array':
      return arrayCodec(inner(shape.element, '[]'), shape.count);
    case 'fields':
      return fieldsCodec(shape, inner);
  }
}

const bytesAt = (view: DataView, at: number, length: number) =>
  new Uint8Array(view.buffer, view.byteOffset + at, length);

function textCodec(count: number): Codec {
  const raw = bytesCodec(count);
  return {
    ...raw,
    write(view, at, value, path) {
      if (typeof value !== 'string') return raw.write(view, at, value, path);
      const text = new TextEncoder().encode(value);
      if (text.length > count) valueFail('VALUE_LENGTH', path, `at most ${count} bytes are possible`, value);
      bytesAt(view, at, count).set(text);
    },
    read(view, at) {
      const bytes = bytesAt(view, at, count);
      const end = bytes.indexOf(0);
      // A copy: TextDecoder takes no view of shared memory.
      return new TextDecoder().decode(bytes.slice(0, end < 0 ? count : end));
    },
  };
}

function bytesCodec(count: number): Codec {
  return {
    sizeBytes: count,
    leaves: 1,
    write(view, at, value, path) {
      const list = listOf(value) ?? valueFail('VALUE_TYPE', path, `${count} bytes are wanted`, value ?? null);
      if (list.length !== count) valueFail('VALUE_LENGTH', path, `${count} bytes are wanted`, value);
      const wrong = list.findIndex(
        (byte) => !Number.isInteger(byte) || Number(byte) < 0 || Number(byte) > 255,
      );
      if (wrong >= 0) valueFail('VALUE_RANGE', `${path}[${wrong}]`, '0 to 255 is possible', list[wrong]);
      bytesAt(view, at, count).set(list.map(Number));
    },
    read: (view, at) => bytesAt(view, at, count).slice(),
  };
}

/** The elements of an array or of a typed array; undefined for anything else. */
function listOf(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value;
  // A DataView has no elements.
  if (!ArrayBuffer.isView(value) || !(Symbol.iterator in value)) return undefined;
  return Array.from(value as Iterable<unknown>);
}

function arrayCodec(element: Codec, count: number): Codec {
  const sizeBytes = element.sizeBytes * count;
  return {
    sizeBytes,
    leaves: count * Math.max(1, element.leaves),
    write(view, at, value, path) {
      if (value instanceof Uint8Array && element.sizeBytes !== 1)
        return writeRaw(view, at, value, sizeBytes, path);
      const list = listOf(value) ?? valueFail('VALUE_TYPE', path, 'an array is wanted', value ?? null);
      if (list.length !== count) valueFail('VALUE_LENGTH', path, `${count} elements are wanted`, value);
      for (let i = 0; i < count; i++)
        element.write(view, at + i * element.sizeBytes, list[i], `${path}[${i}]`);
    },
    read: (view, at) =>
      Array.from({ length: count }, (_, i) => element.read(view, at + i * element.sizeBytes)),
  };
}

function writeRaw(view: DataView, at: number, bytes: Uint8Array, sizeBytes: number, path: string): void {
  checkLength(path, bytes, sizeBytes);
  bytesAt(view, at, sizeBytes).set(bytes);
}

interface Slot {
  readonly field: ValueField;
  readonly at: number;
  readonly codec: Codec;
}

function fieldsCodec(
  shape: Extract<ValueShape, { kind: 'fields' }>,
  inner: (id: number, name: string) => Codec,
): Codec {
  const { sizeBytes } = shape;
  const slots = shape.fields.map((field): Slot => {
    const codec = inner(field.type, field.name);
    const at = Math.floor(field.bitOffset / 8);
    if (field.bitSize === 0) return { field, at, codec };
    if (codec.scalar === undefined || field.bitSize > codec.sizeBytes * 8)
      return valueFail('VALUE_KIND', field.name, `no bit field of ${field.bitSize} bits can be of this type`);
    return { field, at, codec: bitFieldCodec(codec.scalar, field.bitSize, field.bitOffset % 8) };
  });
  const byName = new Map(slots.map((slot) => [slot.field.name, slot]));
  return {
    sizeBytes,
    leaves: slots.reduce((sum, { codec }) => sum + Math.max(1, codec.leaves), 0),
    write(view, at, value, path) {
      if (value instanceof Uint8Array) return writeRaw(view, at, value, sizeBytes, path);
      if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value))
        return valueFail('VALUE_TYPE', path, 'an object with the fields is wanted', value ?? null);
      const choices: { slot: Slot; given: unknown; path: string }[] = [];
      for (const [name, given] of Object.entries(value)) {
        const slot = byName.get(name);
        if (slot === undefined) {
          const names = [...byName.keys()].join(', ');
          return valueFail('VALUE_FIELD', join(path, name), `no such field; there are ${names || 'none'}`);
        }
        if (given === undefined) continue;
        slot.codec.write(view, at + slot.at, given, join(path, name));
        if (slot.field.isChoice) choices.push({ slot, given, path: join(path, name) });
      }
      if (choices.length > 1) checkChoices(bytesAt(view, at, sizeBytes), choices);
    },
    read: (view, at) =>
      // fromEntries makes an own property of every name, `__proto__` too.
      Object.fromEntries(
        slots.map(({ field, at: offset, codec }) => [field.name, codec.read(view, at + offset)]),
      ),
  };
}

/**
 * Members of one union may all be given, as `decode` gives them, where they say the same of the bytes that they share:
 * to write one of them again must change nothing.
 */
function checkChoices(
  bytes: Uint8Array,
  choices: readonly { slot: Slot; given: unknown; path: string }[],
): void {
  for (const { slot, given, path } of choices) {
    const again = Uint8Array.from(bytes);
    slot.codec.write(viewOf(again), slot.at, given, path);
    if (again.some((byte, index) => byte !== bytes[index]))
      valueFail('VALUE_UNION', path, 'another member of the union says otherwise of the same bytes');
  }
}
