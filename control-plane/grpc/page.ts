import { fieldError } from '../state/faults.js';

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1000;

/** A page of a list (AIP-158). */
export interface Page<T> {
  readonly items: readonly T[];
  /** '' on the last page. */
  readonly nextPageToken: string;
}

/** A token is the name after which the next page begins: pages stay right when resources come and go. */
export const encodeToken = (scope: string, name: string) =>
  Buffer.from(JSON.stringify([scope, name])).toString('base64url');

/** @throws StateError STATE_FIELDS for a token of another list */
export function decodeToken(scope: string, token: string): string {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    value = undefined;
  }
  if (Array.isArray(value) && value.length === 2 && value[0] === scope && typeof value[1] === 'string') {
    return value[1];
  }
  throw fieldError('page_token', `"${token}" was not given by this list: begin without one`);
}

/** Items of a page. @throws StateError STATE_FIELDS */
export function pageSize(asked: number): number {
  if (asked < 0) throw fieldError('page_size', `${asked} is negative`);
  return Math.min(asked === 0 ? DEFAULT_PAGE_SIZE : asked, MAX_PAGE_SIZE);
}

/**
 * Cut a page out of resources, in the order of their names.
 * @param scope what is listed: a token of another list is refused
 * @param size 0: the default
 * @throws StateError STATE_FIELDS
 */
export function pageOf<T extends { readonly name: string }>(
  resources: Iterable<T>,
  { scope, size, token }: { readonly scope: string; readonly size: number; readonly token: string },
): Page<T> {
  const count = pageSize(size);
  const after = token === '' ? '' : decodeToken(scope, token);
  const rest = [...resources]
    .filter(({ name }) => name > after)
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const items = rest.slice(0, count);
  const last = items.at(-1);
  return { items, nextPageToken: last && rest.length > count ? encodeToken(scope, last.name) : '' };
}
