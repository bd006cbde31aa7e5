import { getSystemErrorName } from 'node:util';

/**
 * Where Node has another name, or none: errno 95 is both ENOTSUP and EOPNOTSUPP, and manual pages say the
 * latter; the kernel's own ENOTSUPP leaks out of some paths of bpf().
 */
const SPECIAL_NAMES: Readonly<Record<number, string>> = { 95: 'EOPNOTSUPP', 524: 'ENOTSUPP' };

/** Name of an errno, such as ENOENT; the number where it has none. */
export function errnoName(errno: number): string {
  const special = SPECIAL_NAMES[errno];
  if (special !== undefined) return special;
  try {
    return getSystemErrorName(-errno);
  } catch {
    return String(errno);
  }
}
