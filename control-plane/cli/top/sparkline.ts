const BLOCKS = ' ▁▂▃▄▅▆▇█';

/**
 * Values as blocks, the last one rightmost; the highest fills its cell.
 * @param width cells; older values than these are left out, missing ones are blank
 */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width);
  const most = Math.max(...shown, 0);
  const cells = shown.map((value) => {
    if (!(value > 0)) return BLOCKS[0];
    // What is not zero is to be seen.
    return BLOCKS[Math.max(1, Math.round((value / most) * (BLOCKS.length - 1)))];
  });
  return cells.join('').padStart(width);
}
