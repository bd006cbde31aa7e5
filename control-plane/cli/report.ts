import { Option } from 'commander';
import type { GlobalOptions, Session } from './session.js';

/** Options of every command that changes something. */
export interface ChangeOptions extends GlobalOptions {
  readonly dryRun: boolean;
  /** Of the resource, where the command takes one. */
  readonly etag?: string;
}

export const dryRunOption = () => new Option('--dry-run', 'check, and change nothing').default(false);

export const etagOption = () =>
  new Option('--etag <etag>', 'refuse when the resource has changed: its etag is another one');

/** Say what was done; with `-o json` or `yaml` show the resource as it is now. */
export function report(session: Session, { dryRun }: ChangeOptions, resource: unknown, done: string): void {
  session.print(resource, () => (dryRun ? `${done} (dry run: nothing was changed)` : done));
}
