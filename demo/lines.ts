import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Hand each JSON line that a child prints to `onValue`; other lines are passed to `onText`. */
export function readJsonLines<T>(
  child: ChildProcess,
  onValue: (value: T) => void,
  onText: (line: string) => void,
): void {
  if (!child.stdout) throw new Error('the child has no standard output to read');
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (!line.startsWith('{')) {
      onText(line);
      return;
    }
    onValue(JSON.parse(line) as T);
  });
}

/** The end of what a child wrote to standard error, for a message when it fails. */
export function tailOfErrors(child: ChildProcess, lines = 12): () => string {
  const kept: string[] = [];
  if (child.stderr) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      kept.push(line);
      if (kept.length > lines) kept.shift();
    });
  }
  return () => kept.join('\n');
}

/** Poll until `ready` gives a value; fails with `what` after the deadline. */
export async function until<T>(
  what: string,
  ready: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 15_000,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const value = await ready();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`waited ${deadlineMs / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
