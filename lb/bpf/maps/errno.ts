import * as uapi from './uapi.js';

const NAMES = new Map<number, string>(
  Object.entries(uapi).flatMap(([name, value]) =>
    /^E[A-Z0-9]+$/.test(name) ? [[value, name] as const] : [],
  ),
);

/** Name of an errno that map operations return, such as ENOENT; the number where it has none here. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? String(errno);
}
