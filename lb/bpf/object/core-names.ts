import type { Btf, BtfType } from './btf.js';

/** What stands between a type's name and its flavour: `task_struct___old` is `task_struct` of some other kernel. */
const FLAVOUR = '___';

/** A name without its flavour. */
export function essentialName(name: string): string {
  // Something must stand in front and behind, or the underscores are the name's own.
  for (let at = name.length - FLAVOUR.length - 1; at > 0; at--) {
    if (name.startsWith(FLAVOUR, at) && name[at - 1] !== '_' && name[at + FLAVOUR.length] !== '_')
      return name.slice(0, at);
  }
  return name;
}

/** An `enum` that became an `enum64`, or the other way round, is the same enum; other kinds are what they are. */
export function sameKind(a: BtfType['kind'], b: BtfType['kind']): boolean {
  return a === b || (isEnum(a) && isEnum(b));
}

function isEnum(kind: BtfType['kind']): boolean {
  return kind === 'enum' || kind === 'enum64';
}

const indices = new WeakMap<Btf, ReadonlyMap<string, readonly number[]>>();

/** Ids of the types that have a name, by the name without its flavour. Made once for each Btf: a kernel's takes a while. */
function namesOf(btf: Btf): ReadonlyMap<string, readonly number[]> {
  const known = indices.get(btf);
  if (known !== undefined) return known;
  const index = new Map<string, number[]>();
  for (let id = 1; id < btf.count; id++) {
    const name = btf.nameOf(id);
    if (name === '') continue;
    const essential = essentialName(name);
    const ids = index.get(essential);
    if (ids === undefined) index.set(essential, [id]);
    else ids.push(id);
  }
  indices.set(btf, index);
  return index;
}

/** Types of the target that a local type may stand for: of its kind, with its name but for the flavour; by rising id. */
export function candidates(target: Btf, name: string, kind: BtfType['kind']): readonly number[] {
  const ids = namesOf(target).get(essentialName(name)) ?? [];
  return ids.filter((id) => sameKind(kind, target.kindOf(id)));
}
