import { fieldError } from '../state/faults.js';
import { filterOf } from './filter.js';
import { orderOf } from './order-by.js';
import { decodeToken, encodeToken, pageOf, pageSize } from './page.js';

/** What a List asks for (AIP-132, AIP-158, AIP-160). */
export interface ListRequest {
  readonly pageSize: number;
  readonly pageToken: string;
  readonly filter: string;
  readonly orderBy: string;
}

export interface Listed<M> {
  readonly items: readonly M[];
  /** '' on the last page. */
  readonly nextPageToken: string;
  /** Resources that the filter lets through, on all pages. */
  readonly totalSize: number;
}

/**
 * A page of resources as the API shows them.
 * @param scope   what is listed: a token of another list is refused
 * @param message of the API that a resource becomes, as `Vip`
 * @throws StateError STATE_FIELDS
 */
export function listOf<T extends { readonly name: string }, M extends object>(
  resources: ReadonlyMap<string, T> | readonly T[],
  { scope, message }: { readonly scope: string; readonly message: string },
  request: ListRequest,
  toProto: (resource: T) => M,
): Listed<M> {
  const { filter, orderBy, pageToken: token } = request;
  const all = Array.isArray(resources) ? resources : [...resources.values()];
  if (filter === '' && orderBy === '') {
    // Only what is on the page has to be turned into messages.
    const page = pageOf(all, { scope, size: request.pageSize, token });
    return { items: page.items.map(toProto), nextPageToken: page.nextPageToken, totalSize: all.length };
  }
  const order = orderOf(message, orderBy);
  const messages = all.map(toProto).filter(filterOf(message, filter)).sort(order);
  // An order of what changes has no place that lasts: a token is a number of messages, of the same question.
  const asked = `${scope}?${filter}&${orderBy}`;
  const start = token === '' ? 0 : Number(decodeToken(asked, token));
  if (!Number.isInteger(start) || start < 0) throw fieldError('page_token', 'was not given by this list');
  const end = start + pageSize(request.pageSize);
  return {
    items: messages.slice(start, end),
    nextPageToken: end < messages.length ? encodeToken(asked, String(end)) : '',
    totalSize: messages.length,
  };
}
