import type { BpfMap } from '../maps/map.js';
import { plainCodec } from '../maps/plain-codec.js';
import type { GlobalSpec, ObjectSpec } from '../object/spec.js';
import { type BtfValue, type ValueCodec, type ValueInput, valueCodec } from '../object/values.js';
import { MachineError, named } from './fault.js';

const SECTION_KEY = new Uint8Array(4);

/** @throws MachineError MACHINE_GLOBAL */
export function findGlobal(object: ObjectSpec, name: string): GlobalSpec {
  const found = object.globals.find((global) => global.name === name);
  if (found !== undefined) return found;
  const names = object.globals.map((global) => global.name);
  throw new MachineError(
    { code: 'MACHINE_GLOBAL', global: name, globals: names },
    `no global variable ${name}; the object has ${named(names)}`,
  );
}

function codecOf(object: ObjectSpec, { typeId, bytes }: GlobalSpec): ValueCodec {
  if (object.btf === undefined || typeId === undefined) return plainCodec(bytes);
  return valueCodec(object.btf, typeId);
}

/**
 * A global variable, by its C type. Programs see what is written at once; constants (.rodata) cannot be written any
 * more, as they are part of the compiled programs: give them to `loadObject` or `Machine.create`.
 */
export class Global<V = BtfValue> {
  readonly spec: GlobalSpec;
  readonly #map: BpfMap;
  readonly #codec: ValueCodec;

  /** @param map the one that holds the variable's section */
  constructor(object: ObjectSpec, spec: GlobalSpec, map: BpfMap) {
    this.spec = spec;
    this.#map = map;
    this.#codec = codecOf(object, spec);
  }

  /** @throws ValueError, MachineError MACHINE_CONSTANT */
  get value(): V {
    const { offset, bytes } = this.spec;
    return this.#codec.decode(this.#section().subarray(offset, offset + bytes)) as V;
  }

  set value(value: V) {
    this.set(value as ValueInput<V>);
  }

  /**
   * Write the variable, whose fields may be missing; its neighbours in the section are written again as they are, so
   * that no program may be running.
   */
  set(value: ValueInput<V>): void {
    const { name, offset, bytes } = this.spec;
    if (this.#map.spec.frozen === true) {
      throw new MachineError(
        { code: 'MACHINE_CONSTANT', global: name },
        `${name} is a constant of ${this.#map.spec.name}: give it to Machine.create as one of its globals`,
      );
    }
    const section = this.#section();
    this.#codec.encode(value, section.subarray(offset, offset + bytes));
    this.#map.update(SECTION_KEY, section);
  }

  #section(): Uint8Array {
    return this.#map.lookup(SECTION_KEY) ?? new Uint8Array(this.#map.valueBytes);
  }
}
