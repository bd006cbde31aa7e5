import { stringify } from 'yaml';
import { isForPeople, plain } from './format.js';
import type { Session } from './session.js';

/**
 * Print one message of a stream: a line for people, a line of JSON, or a document of YAML.
 * @param asText undefined for a message that says nothing to people
 */
export function printEach(session: Session, value: unknown, asText: () => string | undefined): void {
  if (isForPeople(session.output)) {
    const text = asText();
    if (text !== undefined) console.log(text);
  } else if (session.output === 'json') console.log(JSON.stringify(plain(value)));
  else console.log(`---\n${stringify(plain(value)).trimEnd()}`);
}

/** Run until it ends by itself, or the user has seen enough (Ctrl-C), which is no fault. */
export async function untilStopped(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const end = () => stop.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of signals) process.once(name, end);
  try {
    await run(stop.signal);
  } finally {
    for (const name of signals) process.removeListener(name, end);
  }
}
