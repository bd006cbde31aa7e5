import { decodeProgram } from '../isa/codec.js';
import type { MapSpec } from '../maps/map.js';
import { isOfferedType } from '../maps/plan.js';
import type { ObjectSpec, ProgramSpec } from '../object/spec.js';
import { MachineError } from './fault.js';

const isOffered = ({ type, inner }: MapSpec): boolean =>
  isOfferedType(type) && (inner === undefined || isOffered(inner));

/** Stands where a map is named by its index, and nothing refers to it. */
const placeholder = ({ name }: MapSpec): MapSpec => ({
  name,
  type: 'ARRAY',
  keySize: 4,
  valueSize: 4,
  maxEntries: 1,
  flags: 0,
});

/**
 * The maps of an object whose types are not offered (SOCKMAP, STACK_TRACE, …). They hinder only the programs that use
 * them: objects have XDP programs beside others of types that are data here.
 */
export class OfferedMaps {
  readonly #unoffered: ReadonlyMap<string, MapSpec>;
  readonly #names: readonly string[];

  constructor(object: ObjectSpec) {
    this.#names = object.maps.map(({ name }) => name);
    this.#unoffered = new Map(
      object.maps.filter((spec) => !isOffered(spec)).map((spec) => [spec.name, spec]),
    );
  }

  has(name: string): boolean {
    return this.#names.includes(name) && !this.#unoffered.has(name);
  }

  /** The object with maps that can all be created, in the same places. */
  placed(object: ObjectSpec): ObjectSpec {
    if (this.#unoffered.size === 0) return object;
    const maps = object.maps.map((spec) => (this.#unoffered.has(spec.name) ? placeholder(spec) : spec));
    return { ...object, maps };
  }

  /** @throws MachineError MACHINE_MAP_TYPE where the map is not offered */
  check(name: string): void {
    const spec = this.#unoffered.get(name);
    if (spec === undefined) return;
    const { type, inner } = spec;
    throw new MachineError(
      { code: 'MACHINE_MAP_TYPE', map: name, type },
      `map ${name}: type ${type}${inner === undefined ? '' : ` of ${inner.type}`} is not offered`,
    );
  }

  /** @throws MachineError MACHINE_MAP_TYPE where the program uses a map that is not offered; IsaError */
  checkProgram({ code }: ProgramSpec): void {
    if (this.#unoffered.size === 0) return;
    for (const instruction of decodeProgram(code)) {
      if (instruction.kind !== 'imm64') continue;
      const { imm } = instruction;
      if (imm.kind === 'map' || imm.kind === 'map-value') this.check(this.#names[imm.map] ?? '');
    }
  }
}
