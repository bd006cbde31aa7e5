import { fieldError } from '../state/faults.js';

/** Fields of a resource that an update may name, as the API spells them. */
export interface MaskRules {
  readonly changeable: readonly string[];
  /** May be named when the value is the present one. */
  readonly immutable: readonly string[];
}

/**
 * The fields that an update sets (AIP-134). No mask: those that are set in the request. "*": all that can be
 * changed, and those that cannot where they are set.
 * @param populated fields that are set in the request
 * @throws StateError STATE_FIELDS
 */
export function maskedFields(
  paths: readonly string[] | undefined,
  populated: ReadonlySet<string>,
  { changeable, immutable }: MaskRules,
): Set<string> {
  if (paths === undefined || paths.length === 0) return new Set(populated);
  if (paths.includes('*')) {
    if (paths.length > 1) throw fieldError('update_mask', '"*" stands alone');
    return new Set([...changeable, ...immutable.filter((field) => populated.has(field))]);
  }
  const unknown = paths.find((path) => !changeable.includes(path) && !immutable.includes(path));
  if (unknown !== undefined) {
    throw fieldError(
      'update_mask',
      `"${unknown}" is not a field that can be changed: ${changeable.join(', ')}`,
    );
  }
  return new Set(paths);
}
