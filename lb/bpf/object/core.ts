import type { Btf } from './btf.js';
import type { CoreInfo } from './btf-ext.js';
import { type Access, describeAccess, matchAccess, parseAccess } from './core-access.js';
import { applyPatch, type CorePatch, poison } from './core-apply.js';
import {
  CORE_KINDS,
  CoreBudget,
  type CoreKind,
  type CorePlace,
  coreFail,
  coreKindRow,
  isCoreKind,
} from './core-kinds.js';
import { candidates } from './core-names.js';
import { type CoreValue, coreValue, mayResize } from './core-value.js';
import { runtimeTypes } from './runtime-types.js';

/**
 * CO-RE: code compiled against one set of types is fitted to another ("compile once, run everywhere").
 *
 * With a target, each relocation looks for the type of the same name there (flavours, `___x`, left out), and for field
 * or enumerator in it by name. Without one the types are the runtime's own: those of its contexts and the numbers of
 * its helpers (runtime-types.ts); every other type is what the object says it is, since memory that the program lays
 * out itself has no other layout.
 */
export class CoreRelocator {
  readonly #local: Btf;
  readonly #target: Btf | undefined;

  constructor(local: Btf, target?: Btf) {
    this.#local = local;
    this.#target = target;
  }

  /**
   * Make one relocation in a function.
   * @param code the function, 8 bytes a slot; changed in place
   * @param at offset of the instruction in it, bytes
   * @returns undefined, or why there is no answer: then `slots` of the code are poisoned
   * @throws CoreError, BtfError
   */
  apply(
    info: CoreInfo,
    code: DataView,
    at: number,
    place: CorePlace,
  ): { readonly why: string; readonly slots: number } | undefined {
    if (!isCoreKind(info.kind)) return coreFail('CORE_RECORD', place, `relocation of kind ${info.kind}`);
    const { kind } = info;
    const text = this.#local.string(info.access);
    const local = parseAccess(this.#local, info.typeId, text, kind, place);
    const found = this.#resolve(info.typeId, local, kind, place);
    if (!('refused' in found)) {
      applyPatch(code, at, found, place);
      return undefined;
    }
    const what = describeAccess(this.#local, info.typeId, text, local, kind);
    return { why: `${what}: ${found.refused}`, slots: poison(code, at) };
  }

  #resolve(
    typeId: number,
    local: Access,
    kind: CoreKind,
    place: CorePlace,
  ): CorePatch | { readonly refused: string } {
    const before = coreValue(this.#local, local, kind, place);
    if (kind === LOCAL_ID) return { value: before.value };
    const original = before.isChecked ? { original: before.value } : {};
    const { name, kind: typeKind } = this.#local.type(typeId);
    const target = this.#target ?? runtimeTypes();
    const ids = name === '' ? [] : candidates(target, name, typeKind);
    // Not a type that the runtime has an opinion of.
    if (ids.length === 0 && this.#target === undefined) return { ...original, value: before.value };
    if (name === '' && this.#target !== undefined)
      return coreFail('CORE_RECORD', place, `a ${typeKind} without a name cannot be looked for`);

    const after = this.#search(target, ids, local, kind, place);
    if (after === undefined) {
      const { absent } = coreKindRow(kind);
      return absent === undefined
        ? { refused: ids.length === 0 ? 'the target has no such type' : 'the target has no such field' }
        : { ...original, value: absent };
    }
    if (
      before.loaded === undefined ||
      after.loaded === undefined ||
      before.loaded.bytes === after.loaded.bytes
    )
      return { ...original, value: after.value };
    if (!mayResize(before.loaded.type, after.loaded.type))
      return { refused: `of ${before.loaded.bytes} bytes here and ${after.loaded.bytes} in the target` };
    const resize = { fromBytes: before.loaded.bytes, toBytes: after.loaded.bytes };
    return { ...original, value: after.value, resize };
  }

  /** The one answer of all types that match; several must agree. */
  #search(
    target: Btf,
    ids: readonly number[],
    local: Access,
    kind: CoreKind,
    place: CorePlace,
  ): CoreValue | undefined {
    const budget = new CoreBudget(place);
    const sides = { local: this.#local, target, budget };
    let first: { readonly id: number; readonly access: Access; readonly value: CoreValue } | undefined;
    for (const id of ids) {
      budget.spend();
      const access = matchAccess(sides, local, id, kind);
      if (access === undefined) continue;
      const value = coreValue(target, access, kind, place);
      if (first === undefined) {
        first = { id, access, value };
      } else if (first.access.bitOffset !== access.bitOffset || first.value.value !== value.value) {
        return coreFail(
          'CORE_AMBIGUOUS',
          place,
          `${CORE_KINDS[kind].name} of ${target.nameOf(id)}: types ${first.id} and ${id} of the target differ (${first.value.value} and ${value.value})`,
        );
      }
    }
    return first?.value;
  }
}

/** Kind of the id of a type in the object's own BTF, which no target changes. */
const LOCAL_ID = 6;
