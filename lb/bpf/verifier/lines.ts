import type { LineSpec } from '../object/spec.js';

/** The source line that an instruction comes from. @param lines ascending by slot */
export function lineAt(lines: readonly LineSpec[], slot: number): LineSpec | undefined {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle]!.slot <= slot) low = middle + 1;
    else high = middle;
  }
  return lines[low - 1];
}
