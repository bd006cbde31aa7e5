import type { Btf, BtfOf, BtfType } from './btf.js';
import type { CoreBudget } from './core-kinds.js';
import { essentialName, sameKind } from './core-names.js';

// Which types of the target can stand for which of the object. Three measures, from loose to strict: fieldsFit (the
// type of an accessed field), typesFit (type exists, size, id) and typesMatch (bpf_core_type_matches).

/** Types are followed this deep and no further: the kernel's bound for the same comparison. */
const MAX_DEPTH = 32;

/** The two sides of a comparison. */
export interface Sides {
  readonly local: Btf;
  readonly target: Btf;
  readonly budget: CoreBudget;
}

const isComposite = (type: BtfType): type is BtfOf<'struct' | 'union'> =>
  type.kind === 'struct' || type.kind === 'union';
const nameFits = (a: string, b: string) => essentialName(a) === essentialName(b);

/**
 * Whether an accessed field of the target can stand for the local one: structs and unions always (their fields are
 * looked up by name), integers whatever their size and sign, pointers whatever they point at, enums and forward
 * declarations of one name, arrays by their elements.
 */
export function fieldsFit(sides: Sides, localId: number, targetId: number): boolean {
  let local = sides.local.resolve(localId);
  let target = sides.target.resolve(targetId);
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    sides.budget.spend();
    if (isComposite(local) && isComposite(target)) return true;
    if (!sameKind(local.kind, target.kind)) return false;
    switch (local.kind) {
      case 'ptr':
      case 'float':
        return true;
      case 'fwd':
      case 'enum':
      case 'enum64':
        return local.name === '' || target.name === '' || nameFits(local.name, target.name);
      case 'int':
        return wholeInts(local, target);
      case 'array':
        if (target.kind !== 'array') return false;
        local = sides.local.resolve(local.type);
        target = sides.target.resolve(target.type);
        break;
      default:
        return false;
    }
  }
  return false;
}

/** Integers that are bit fields by themselves (BTF of before clang 8) are not compared. */
function wholeInts(local: BtfOf<'int'>, target: BtfType): boolean {
  return target.kind === 'int' && local.bitOffset === 0 && target.bitOffset === 0;
}

/** Whether a type of the target is of the same shape: kinds along pointers, arrays and parameters; fields do not count. */
export function typesFit(sides: Sides, localId: number, targetId: number, depth = 0): boolean {
  let local = sides.local.resolve(localId);
  let target = sides.target.resolve(targetId);
  for (let level = depth; level < MAX_DEPTH; level++) {
    sides.budget.spend();
    if (!sameKind(local.kind, target.kind)) return false;
    switch (local.kind) {
      case 'void':
      case 'struct':
      case 'union':
      case 'enum':
      case 'enum64':
      case 'fwd':
        return true;
      case 'int':
        return wholeInts(local, target);
      case 'ptr':
      case 'array':
        if (target.kind !== local.kind) return false;
        break;
      case 'func-proto': {
        if (target.kind !== 'func-proto' || local.params.length !== target.params.length) return false;
        const { params } = target;
        const fit = (param: { readonly type: number }, index: number) =>
          typesFit(sides, param.type, params[index]?.type ?? 0, level + 1);
        if (!local.params.every(fit)) return false;
        break;
      }
      default:
        return false;
    }
    local = sides.local.resolve(local.type);
    target = sides.target.resolve(target.type);
  }
  return false;
}

/**
 * Whether every part of the local type stands in the target's under the same name with a type that matches as well:
 * members of structs, enumerators, integers of equal size and sign, arrays of equal length. Behind a pointer structs
 * and unions match by name and kind alone, or by a forward declaration.
 */
export function typesMatch(
  sides: Sides,
  localId: number,
  targetId: number,
  isBehindPointer = false,
  depth = 0,
): boolean {
  let local = sides.local.resolve(localId);
  let target = sides.target.resolve(targetId);
  let behind = isBehindPointer;
  for (let level = depth; level < MAX_DEPTH; level++) {
    sides.budget.spend();
    if (!nameFits(local.name, target.name)) return false;
    switch (local.kind) {
      case 'void':
        return target.kind === 'void';
      case 'fwd':
        return target.kind === 'fwd' ? local.of === target.of : local.of === target.kind;
      case 'enum':
      case 'enum64':
        return (target.kind === 'enum' || target.kind === 'enum64') && enumsMatch(sides, local, target);
      case 'struct':
      case 'union':
        if (behind && target.kind === 'fwd') return target.of === local.kind;
        if (!isComposite(target) || target.kind !== local.kind) return false;
        return behind || membersMatch(sides, local, target, level);
      case 'int':
        return (
          target.kind === 'int' &&
          local.sizeBytes === target.sizeBytes &&
          (local.encoding & INT_SIGNED) === (target.encoding & INT_SIGNED)
        );
      case 'ptr':
        if (target.kind !== 'ptr') return false;
        behind = true;
        break;
      case 'array':
        if (target.kind !== 'array' || local.count !== target.count) return false;
        break;
      case 'func-proto': {
        if (target.kind !== 'func-proto' || local.params.length !== target.params.length) return false;
        const { params } = target;
        const match = (param: { readonly type: number }, index: number) =>
          typesMatch(sides, param.type, params[index]?.type ?? 0, behind, level + 1);
        if (!local.params.every(match)) return false;
        break;
      }
      default:
        return false;
    }
    local = sides.local.resolve(local.type);
    target = sides.target.resolve(target.type);
  }
  return false;
}

/** `signed` in the encoding of an integer (BTF_INT_SIGNED). */
export const INT_SIGNED = 1;

function enumsMatch(
  { budget }: Sides,
  local: BtfOf<'enum' | 'enum64'>,
  target: BtfOf<'enum' | 'enum64'>,
): boolean {
  budget.spend(local.values.length + target.values.length);
  const names = new Set(target.values.map(({ name }) => essentialName(name)));
  return (
    local.values.length <= target.values.length &&
    local.values.every(({ name }) => names.has(essentialName(name)))
  );
}

function membersMatch(
  sides: Sides,
  local: BtfOf<'struct' | 'union'>,
  target: BtfOf<'struct' | 'union'>,
  depth: number,
): boolean {
  if (local.members.length > target.members.length) return false;
  return local.members.every((member) =>
    target.members.some((other) => {
      sides.budget.spend();
      return (
        nameFits(member.name, other.name) && typesMatch(sides, member.type, other.type, false, depth + 1)
      );
    }),
  );
}
