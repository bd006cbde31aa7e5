import { field } from '../security/permissions.js';

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/**
 * The name of the resource that a request is about, whatever its type: its `name`, that of the resource in it, or what
 * it will be called (`parent` and an `…_id`); '' where there is none.
 */
export function resourceOf(request: unknown): string {
  const own = textOf(field(request, 'name')) ?? textOf(field(request, 'map'));
  if (own !== undefined || typeof request !== 'object' || request === null) return own ?? '';
  const entries = Object.entries(request);
  for (const [, value] of entries) {
    const inner = textOf(field(value, 'name'));
    if (inner !== undefined) return inner;
  }
  const id = entries.find(([key, value]) => /^[a-z]\w*Id$/.test(key) && key !== 'requestId' && textOf(value));
  const parent = textOf(field(request, 'parent'));
  return [parent, textOf(id?.[1])].filter((part) => part !== undefined).join('/');
}
