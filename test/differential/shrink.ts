/**
 * A program that still fails with as many lines taken out as can be: what is left shows why.
 * @param isFailing true where the shorter program assembles, is taken by all, and still gives different results
 */
export function shrink(text: string, isFailing: (text: string) => boolean): string {
  let lines = text.split('\n');
  for (let chunk = Math.ceil(lines.length / 4); chunk >= 1; chunk = chunk > 1 ? Math.ceil(chunk / 2) : 0) {
    for (let at = 0; at < lines.length; ) {
      const removed = lines.slice(at, at + chunk);
      const rest = [...lines.slice(0, at), ...lines.slice(at + chunk)];
      // Without what is stored there, a frame holds what the last program left, and results differ for that.
      const isStore = removed.some((line) => /^\*\(u\d+ \*\)\(r10/.test(line));
      if (!isStore && isFailing(rest.join('\n'))) lines = rest;
      else at += chunk;
    }
    if (chunk === 1) break;
  }
  return lines.join('\n');
}
