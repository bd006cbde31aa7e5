import { assertNever } from '../../errors.js';
import type { Of } from '../isa/instruction.js';
import type { ArenaMapInfo } from '../maps/registry.js';
import type { State } from './facts.js';
import { hashKeyWords, type KeyWord, lowerHashLookup } from './inline-hash.js';
import type { FunctionCode, ModuleContext } from './lower.js';
import type { LeftOut, Optimisation } from './optimisations.js';
import { type WordSource, wordsAt } from './slots.js';
import { constantKey, MAP_LOOKUP_ELEM } from './step.js';

/** How a lookup is compiled: by what is known of its map. */
type Lookup =
  | { readonly kind: 'array'; readonly map: ArenaMapInfo; readonly words: readonly KeyWord[] }
  | {
      readonly kind: 'hash';
      /** Of a map that is known; else r1 holds it. */
      readonly descriptor?: number;
      readonly isLru: boolean;
      readonly words: readonly KeyWord[];
    }
  /** Through an export of the runtime that takes offsets of descriptor and key. */
  | { readonly kind: 'import'; readonly name: string };

const ARRAY_KEY: readonly KeyWord[] = [{ offset: 0, bytes: 4 }];

function lookupOf(state: State, maps: readonly ArenaMapInfo[], without: LeftOut): Lookup | undefined {
  const fact = state.registers[1];
  if (fact?.kind !== 'map' && fact?.kind !== 'inner-map') return undefined;
  const isKnown = fact.kind === 'map';
  const map = fact.kind === 'map' ? maps[fact.map] : maps[fact.map]?.inner;
  if (map === undefined) return undefined;
  const isWrittenOut = (optimisation: Optimisation) => isKnown && !without.has(optimisation);
  switch (map.type) {
    case 'ARRAY':
      return isWrittenOut('inline-array')
        ? { kind: 'array', map, words: ARRAY_KEY }
        : { kind: 'import', name: 'array_lookup' };
    case 'PERCPU_ARRAY':
      return isWrittenOut('inline-percpu-array')
        ? { kind: 'array', map, words: ARRAY_KEY }
        : { kind: 'import', name: 'percpu_array_lookup' };
    case 'ARRAY_OF_MAPS':
      return isWrittenOut('inline-array')
        ? { kind: 'array', map, words: ARRAY_KEY }
        : { kind: 'import', name: 'array_of_maps_lookup' };
    case 'HASH':
    case 'LRU_HASH': {
      const isLru = map.type === 'LRU_HASH';
      const words = without.has('inline-hash') ? undefined : hashKeyWords(map.keySize);
      if (words === undefined) return { kind: 'import', name: isLru ? 'lru_hash_lookup' : 'hash_lookup' };
      return { kind: 'hash', isLru, words, ...(isKnown ? { descriptor: map.descriptor } : {}) };
    }
    // The runtime's body looks for the map's type itself.
    default:
      return undefined;
  }
}

/** Where a lookup that is written out takes the words of its key from; undefined where it is called. */
export function keySources(
  instruction: Of<'call-helper'>,
  state: State,
  { maps, without }: Pick<ModuleContext, 'maps' | 'without'>,
): readonly WordSource[] | undefined {
  if (instruction.id !== MAP_LOOKUP_ELEM) return undefined;
  const lookup = lookupOf(state, maps, without);
  return lookup === undefined || lookup.kind === 'import'
    ? undefined
    : sourcesOf(lookup.words, state, without);
}

const sourcesOf = (words: readonly KeyWord[], state: State, without: LeftOut): WordSource[] =>
  wordsAt(2, words, state, without);

/** bpf_map_lookup_elem: the value's address or 0, as an i64. False where the map is not known. */
export function lowerLookup(code: FunctionCode, state: State): boolean {
  const { maps, without } = code.module;
  const lookup = lookupOf(state, maps, without);
  if (lookup === undefined) return false;
  const { w } = code;
  switch (lookup.kind) {
    case 'array':
      lowerArrayLookup(code, state, lookup.map);
      return true;
    case 'hash': {
      const sources = sourcesOf(lookup.words, state, without);
      let descriptor: { readonly at: number } | { readonly local: number };
      if (lookup.descriptor === undefined) {
        descriptor = { local: code.scratch('i32', 'descriptor') };
        code.pushRegister32(1);
        w.set(descriptor.local);
      } else descriptor = { at: lookup.descriptor };
      lowerHashLookup(code, {
        descriptor,
        isLru: lookup.isLru,
        words: lookup.words,
        pushWord: (index) => code.pushWord(sources[index]!, state),
      });
      return true;
    }
    case 'import':
      code.pushRegister32(1);
      code.pushRegister32(2);
      w.call(code.module.runtime(lookup.name, { params: ['i32', 'i32'], results: ['i32'] }));
      w.op('i64.extend_i32_u');
      return true;
    default:
      return assertNever(lookup);
  }
}

/** Array types: bounds, then data + key * stride, on this CPU's copies where there are several. */
function lowerArrayLookup(code: FunctionCode, state: State, map: ArenaMapInfo): void {
  const { w } = code;
  const index = constantKey(state);
  if (index !== undefined && index >= map.maxEntries) {
    w.i64(0n);
    return;
  }
  const pushElement = (at: number | undefined) => {
    if (at === undefined) w.i32(map.data + (index ?? 0) * map.valueStride);
    else {
      w.get(at);
      const shift = Math.log2(map.valueStride);
      if (Number.isInteger(shift)) w.i32(shift).op('i32.shl');
      else w.i32(map.valueStride).op('i32.mul');
      w.i32(map.data).op('i32.add');
    }
    if (map.type === 'PERCPU_ARRAY') w.global(code.module.cpu()).i32(map.cpuStride).op('i32.mul', 'i32.add');
    // The slot holds the inner map's descriptor, which other threads replace: 4 aligned bytes do not tear, and what
    // is read through them comes after by the address.
    if (map.type === 'ARRAY_OF_MAPS') w.memory('i32.load');
  };
  if (index !== undefined) {
    pushElement(undefined);
    w.op('i64.extend_i32_u');
    return;
  }
  const at = code.scratch('i32', 'index');
  for (const source of sourcesOf(ARRAY_KEY, state, code.module.without)) code.pushWord(source, state);
  w.op('i32.wrap_i64').set(at);
  if (map.type === 'ARRAY_OF_MAPS') {
    w.get(at).i32(map.maxEntries).op('i32.lt_u').if('i32');
    pushElement(at);
    w.op('else').i32(0).op('end');
  } else {
    pushElement(at);
    w.i32(0).get(at).i32(map.maxEntries).op('i32.lt_u', 'select');
  }
  w.op('i64.extend_i32_u');
}
