import type { Btf, BtfOf, BtfType } from './btf.js';
import { fieldsFit, type Sides, typesFit, typesMatch } from './core-compat.js';
import { CORE_KINDS, type CoreKind, type CorePlace, coreFail } from './core-kinds.js';
import { essentialName } from './core-names.js';

/** The kernel's bound on the indices of an access (BPF_CORE_SPEC_MAX_LEN). */
const MAX_INDICES = 64;
/** Bound on a place in a type, bits; what is beyond cannot be encoded. */
const MAX_BITS = 2 ** 40;

/** One step of an access: into a member of `typeId`, or to an element of that type. */
export interface AccessStep {
  readonly typeId: number;
  readonly index: number;
  /** Name of the member or enumerator; absent for an element of an array. */
  readonly name?: string;
}

/** What a relocation is about, in one BTF: the type alone, an enumerator, or a field by its steps. */
export interface Access {
  readonly root: number;
  readonly steps: readonly AccessStep[];
  /** Place of the field from the start of the root, bits. */
  readonly bitOffset: number;
}

/** Collects the steps of one access. */
class Path {
  readonly root: number;
  readonly steps: AccessStep[] = [];
  bitOffset = 0;

  constructor(root: number) {
    this.root = root;
  }

  /** Forget what came after a state that was kept. */
  rewind(steps: number, bitOffset: number): void {
    this.steps.length = steps;
    this.bitOffset = bitOffset;
  }
}

function parseIndices(text: string, place: CorePlace): readonly number[] {
  if (!/^\d{1,9}(:\d{1,9})*$/.test(text)) coreFail('CORE_RECORD', place, `access "${text}" is not indices`);
  const indices = text.split(':').map(Number);
  if (indices.length > MAX_INDICES) coreFail('CORE_RECORD', place, `access of ${indices.length} indices`);
  return indices;
}

/** Whether the last step led to an array without a length at the end of its struct: any index is in it. */
function isFlexible(btf: Btf, steps: readonly AccessStep[], array: BtfOf<'array'>): boolean {
  const last = steps.at(-1);
  if (array.count !== 0 || last?.name === undefined) return false;
  const owner = btf.type(last.typeId);
  return (owner.kind === 'struct' || owner.kind === 'union') && last.index === owner.members.length - 1;
}

/**
 * Read the access of a relocation against the object's own types: what clang saw.
 * @param text indices with `:` between them: the first counts elements behind the pointer, each other one is a member
 *   of a struct or an element of an array; an enumerator's index; "0" for a type
 * @throws CoreError CORE_RECORD; BtfError
 */
export function parseAccess(btf: Btf, root: number, text: string, kind: CoreKind, place: CorePlace): Access {
  const path = new Path(root);
  const [first = 0, ...rest] = parseIndices(text, place);
  const { subject } = CORE_KINDS[kind];
  if (subject === 'type') {
    if (first !== 0 || rest.length > 0) coreFail('CORE_RECORD', place, `access "${text}" of a type`);
    return path;
  }
  let type = btf.resolve(root);
  if (subject === 'enumerator') {
    const value = type.kind === 'enum' || type.kind === 'enum64' ? type.values[first] : undefined;
    if (value === undefined || rest.length > 0)
      return coreFail('CORE_RECORD', place, `access "${text}" is not an enumerator of ${describe(type)}`);
    path.steps.push({ typeId: type.id, index: first, name: value.name });
    return path;
  }
  path.steps.push({ typeId: type.id, index: first });
  path.bitOffset = first * btf.sizeOf(type.id) * 8;
  for (const index of rest) {
    if (type.kind === 'struct' || type.kind === 'union') {
      const member = type.members[index];
      if (member === undefined)
        return coreFail('CORE_RECORD', place, `${describe(type)} has no member ${index}`);
      path.bitOffset += member.bitOffset;
      // An anonymous struct is stepped through unnamed: the target may have its fields elsewhere.
      if (member.name !== '') path.steps.push({ typeId: type.id, index, name: member.name });
      type = btf.resolve(member.type);
    } else if (type.kind === 'array') {
      if (index >= type.count && !isFlexible(btf, path.steps, type))
        return coreFail('CORE_RECORD', place, `element ${index} of an array of ${type.count}`);
      type = btf.resolve(type.type);
      path.steps.push({ typeId: type.id, index });
      path.bitOffset += index * btf.sizeOf(type.id) * 8;
    } else {
      return coreFail('CORE_RECORD', place, `access "${text}" steps into ${describe(type)}`);
    }
  }
  if (path.bitOffset > MAX_BITS) coreFail('CORE_RECORD', place, `access "${text}" is too far away`);
  return path;
}

/** "struct name", "int", for messages. */
function describe({ kind, name }: BtfType): string {
  return name === '' ? kind : `${kind} ${name}`;
}

/**
 * Find in a type of the target what a local access is about: fields by name wherever they stand, also in anonymous
 * structs; enumerators by name.
 * @returns undefined where the target's type has no such thing, or one that cannot stand for it
 */
export function matchAccess(
  sides: Sides,
  local: Access,
  targetId: number,
  kind: CoreKind,
): Access | undefined {
  const path = new Path(targetId);
  const { subject } = CORE_KINDS[kind];
  if (subject === 'type') {
    const measure = kind === 12 ? typesMatch : typesFit;
    return measure(sides, local.root, targetId) ? path : undefined;
  }
  if (subject === 'enumerator') return matchEnumerator(sides, local, path);
  return matchField(sides, local, path) ? path : undefined;
}

function matchEnumerator(sides: Sides, local: Access, path: Path): Access | undefined {
  const type = sides.target.resolve(path.root);
  if (type.kind !== 'enum' && type.kind !== 'enum64') return undefined;
  const wanted = essentialName(local.steps[0]?.name ?? '');
  const index = type.values.findIndex(({ name }) => essentialName(name) === wanted);
  const found = type.values[index];
  if (found === undefined) return undefined;
  path.steps.push({ typeId: type.id, index, name: found.name });
  return path;
}

function matchField(sides: Sides, local: Access, path: Path): boolean {
  const { target } = sides;
  let id = path.root;
  for (const [position, step] of local.steps.entries()) {
    if (step.name !== undefined) {
      const next = matchMember(sides, step, step.name, id, path, 0);
      if (next === undefined) return false;
      id = next;
      continue;
    }
    // The first index counts elements of the root itself; any other is one of an array.
    if (position > 0) {
      const array = target.resolve(id);
      if (array.kind !== 'array') return false;
      if (step.index >= array.count && !isFlexible(target, path.steps, array)) return false;
      id = array.type;
    }
    const element = target.resolve(id);
    path.steps.push({ typeId: element.id, index: step.index });
    path.bitOffset += step.index * target.sizeOf(element.id) * 8;
    if (path.bitOffset > MAX_BITS) return false;
  }
  return true;
}

/** Anonymous structs are stepped into this deep. */
const MAX_ANONYMOUS = 32;

/** Step to a member by name, through anonymous structs and unions. @returns id of the member's type */
function matchMember(
  sides: Sides,
  local: AccessStep,
  name: string,
  id: number,
  path: Path,
  depth: number,
): number | undefined {
  const { target, budget } = sides;
  const type = target.resolve(id);
  if ((type.kind !== 'struct' && type.kind !== 'union') || depth > MAX_ANONYMOUS) return undefined;
  const before = { steps: path.steps.length, bitOffset: path.bitOffset };
  budget.spend(type.members.length);
  for (const [index, member] of type.members.entries()) {
    path.bitOffset = before.bitOffset + member.bitOffset;
    if (member.name === '') {
      const found = matchMember(sides, local, name, member.type, path, depth + 1);
      if (found !== undefined) return found;
    } else if (member.name === name) {
      path.steps.push({ typeId: type.id, index, name });
      if (fieldsFit(sides, memberType(sides.local, local), member.type)) return member.type;
      path.steps.pop();
      break;
    }
  }
  path.rewind(before.steps, before.bitOffset);
  return undefined;
}

function memberType(btf: Btf, { typeId, index }: AccessStep): number {
  const owner = btf.type(typeId);
  return (owner.kind === 'struct' || owner.kind === 'union' ? owner.members[index]?.type : undefined) ?? 0;
}

/** An access as text: `struct sk_buff.len (0:3)`. */
export function describeAccess(btf: Btf, root: number, text: string, access: Access, kind: CoreKind): string {
  const type = btf.type(root);
  const parts = access.steps.map(({ name, index }, position) =>
    name === undefined ? (position === 0 && index === 0 ? '' : `[${index}]`) : `.${name}`,
  );
  return `${CORE_KINDS[kind].name} of ${describe(type)}${parts.join('')} (${text})`;
}
