import { BPF_ANY, BPF_EXIST, BPF_NOEXIST, type BpfMap } from './bpf/maps/map.js';
import { type ArenaMaps, mapBytes } from './bpf/maps/registry.js';
import type { Btf } from './bpf/object/btf.js';
import { formatCDeclaration } from './bpf/object/btf-c.js';
import { fromJson, toJson } from './bpf/object/values-json.js';
import { CodedError } from './errors.js';
import { errnoName } from './sys/errno.js';

export type InspectorFault =
  | { readonly code: 'INSPECT_MAP'; readonly map: string }
  | { readonly code: 'INSPECT_ENTRY'; readonly map: string }
  | {
      readonly code: 'INSPECT_DATA';
      readonly map: string;
      readonly what: 'key' | 'value';
      readonly reason: string;
    }
  | { readonly code: 'INSPECT_ERRNO'; readonly map: string; readonly errno: string };

/** A map that is not there, data that do not fit it, or an operation that the map refused. */
export class InspectorError extends CodedError<InspectorFault> {}

/** A program that workers run. */
export interface ProgramStatus {
  readonly name: string;
  readonly type: string;
  readonly engine: 'jit' | 'interpreter' | 'kernel';
  readonly instructions: number;
  readonly codeBytes: number;
  /** Milliseconds since 1970. */
  readonly loadedAtMs: number;
  readonly loadUs: number;
  readonly runs: bigint;
  readonly runNs: bigint;
  /** Maps by name. */
  readonly maps: readonly string[];
}

/** A map as it lies in memory. */
export interface MapStatus {
  readonly name: string;
  readonly id: number;
  readonly type: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** C types; '' without BTF. */
  readonly keyType: string;
  readonly valueType: string;
}

/** What must be there before an entry is written. */
export const SET_CONDITIONS = { any: BPF_ANY, absent: BPF_NOEXIST, present: BPF_EXIST } as const;
export type SetCondition = keyof typeof SET_CONDITIONS;

export interface InspectedMap {
  readonly map: BpfMap;
  readonly id: number;
  readonly memoryBytes: number;
}

export interface Inspected {
  readonly programs: () => readonly ProgramStatus[];
  readonly maps: () => readonly InspectedMap[];
  /** Types of keys and values. */
  readonly btf: Btf | undefined;
}

/** A type on one line: anonymous ones without their members. */
function nameOfType(btf: Btf, id: number): string {
  const type = btf.type(id);
  if (type.kind === 'datasec') return type.name;
  return formatCDeclaration(btf, id, '')
    .trim()
    .replace(/\{[\s\S]*\}/, '{…}');
}

/** The maps of an arena, each with the room that it takes. */
export function inspectedMaps(host: ArenaMaps): InspectedMap[] {
  return host.all.map((map) => ({ map, id: map.info.id, memoryBytes: mapBytes(map.spec, host.arena.cpus) }));
}

/** A look into the eBPF runtime from outside: programs, maps and their entries, by name. */
export class BpfInspector {
  readonly #source: Inspected;

  constructor(source: Inspected) {
    this.#source = source;
  }

  programs(): readonly ProgramStatus[] {
    return this.#source.programs();
  }

  maps(): MapStatus[] {
    const { btf } = this.#source;
    const typeName = (id: number | undefined) =>
      btf === undefined || id === undefined ? '' : nameOfType(btf, id);
    return [...this.#byName()].map(([name, { map, id, memoryBytes }]) => {
      const { type, keySize, valueSize, maxEntries, flags, keyTypeId, valueTypeId } = map.spec;
      return {
        ...{ name, id, type, keySize, valueSize, maxEntries, flags, memoryBytes },
        cpus: map.cpus,
        keyType: typeName(keyTypeId),
        valueType: typeName(valueTypeId),
      };
    });
  }

  /** Up to `limit` keys from the one behind `after` on. @throws InspectorError */
  keys(name: string, after: Uint8Array | undefined, limit: number): Uint8Array[] {
    const map = this.#find(name);
    if (after !== undefined) this.#checkLength(name, 'key', after, map.spec.keySize);
    const keys: Uint8Array[] = [];
    let key = map.nextKey(after);
    for (; key !== undefined && keys.length < limit; key = map.nextKey(key)) keys.push(key);
    return keys;
  }

  /** @throws InspectorError INSPECT_ENTRY where there is none */
  get(name: string, key: Uint8Array): Uint8Array {
    const value = this.find(name, key);
    if (value !== undefined) return value;
    throw new InspectorError({ code: 'INSPECT_ENTRY', map: name }, `map ${name} has no such key`);
  }

  /** The value, or undefined where there is none. */
  find(name: string, key: Uint8Array): Uint8Array | undefined {
    const map = this.#find(name);
    this.#checkLength(name, 'key', key, map.spec.keySize);
    return map.lookup(key);
  }

  set(name: string, key: Uint8Array, value: Uint8Array, condition: SetCondition): void {
    const map = this.#find(name);
    this.#checkLength(name, 'key', key, map.spec.keySize);
    this.#checkLength(name, 'value', value, map.valueBytes);
    this.#done(name, map.update(key, value, SET_CONDITIONS[condition]));
  }

  delete(name: string, key: Uint8Array): void {
    const map = this.#find(name);
    this.#checkLength(name, 'key', key, map.spec.keySize);
    this.#done(name, map.delete(key));
  }

  /** The bytes of a key or value as JSON, by the type of the map's definition; '' where that is not known. */
  json(name: string, what: 'key' | 'value', bytes: Uint8Array): string {
    const map = this.#find(name);
    const { keyTypeId, valueTypeId } = map.spec;
    const typeId = what === 'key' ? keyTypeId : valueTypeId;
    const { btf } = this.#source;
    if (btf === undefined || typeId === undefined) return '';
    if (what === 'key' || map.cpus === 1) return JSON.stringify(toJson(btf, typeId, bytes));
    const stride = bytes.length / map.cpus;
    const copies = Array.from({ length: map.cpus }, (_, cpu) =>
      toJson(btf, typeId, bytes.subarray(cpu * stride, cpu * stride + map.spec.valueSize)),
    );
    return JSON.stringify(copies);
  }

  /** @throws InspectorError INSPECT_DATA naming the field and the rule */
  bytes(name: string, what: 'key' | 'value', json: string): Uint8Array {
    const map = this.#find(name);
    const { keyTypeId, valueTypeId } = map.spec;
    const typeId = what === 'key' ? keyTypeId : valueTypeId;
    const { btf } = this.#source;
    if (btf === undefined || typeId === undefined)
      throw badData(name, what, 'its type is not known: give bytes');
    let value: unknown;
    try {
      value = JSON.parse(json);
    } catch (error) {
      throw badData(name, what, `not JSON (${error instanceof Error ? error.message : String(error)})`);
    }
    try {
      if (what === 'key' || map.cpus === 1) return fromJson(btf, typeId, value);
      if (!Array.isArray(value) || value.length !== map.cpus)
        throw badData(name, what, `a list of ${map.cpus} values is wanted, one for each CPU`);
      const all = new Uint8Array(map.valueBytes);
      const stride = map.valueBytes / map.cpus;
      for (const [cpu, copy] of value.entries()) all.set(fromJson(btf, typeId, copy), cpu * stride);
      return all;
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      if (error instanceof InspectorError) throw error;
      throw badData(name, what, error.message);
    }
  }

  /** Maps by name; those that share one have their number behind it. */
  #byName(): ReadonlyMap<string, InspectedMap> {
    const all = this.#source.maps();
    const counts = new Map<string, number>();
    for (const { map } of all) counts.set(map.spec.name, (counts.get(map.spec.name) ?? 0) + 1);
    return new Map(
      all.map((each) => {
        const { name } = each.map.spec;
        return [(counts.get(name) ?? 0) > 1 ? `${name}.${each.id}` : name, each];
      }),
    );
  }

  #find(name: string): BpfMap {
    const found = this.#byName().get(name);
    if (found !== undefined) return found.map;
    throw new InspectorError({ code: 'INSPECT_MAP', map: name }, `there is no map ${name}`);
  }

  #checkLength(map: string, what: 'key' | 'value', bytes: Uint8Array, want: number): void {
    if (bytes.length !== want) throw badData(map, what, `${bytes.length} bytes instead of ${want}`);
  }

  #done(map: string, status: number): void {
    if (status === 0) return;
    const errno = errnoName(-status);
    throw new InspectorError({ code: 'INSPECT_ERRNO', map, errno }, `map ${map} refused: ${errno}`);
  }
}

function badData(map: string, what: 'key' | 'value', reason: string): InspectorError {
  return new InspectorError({ code: 'INSPECT_DATA', map, what, reason }, `${what} of map ${map}: ${reason}`);
}
