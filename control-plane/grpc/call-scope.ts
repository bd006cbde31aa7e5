import type { ChangeOptions } from '../reconcile/reconciler.js';
import type { Caller, ResourceChange } from '../security/caller.js';

/** A call under way: who makes it, and what is to be said of it afterwards. */
export interface CallScope extends Caller {
  /** Of the client, or ours; the answer carries it, and so do the log and the audit log. */
  readonly requestId: string;
  /** Options of the change that the call asks for: its author, and that it is given up when the caller is gone. */
  changing(validateOnly: boolean): ChangeOptions;
  /** For the audit log: what a call changed that is not configuration. */
  changed(change: ResourceChange): void;
}
