/** Something that outlives the process unless it is closed: namespaces, and what runs in them. */
interface Closable {
  /** Idempotent, and done when it returns. */
  close(): void;
}

/** Have it closed when the process ends, however that is but by SIGKILL. Who made it closes it before, if all goes well. */
export function closedAtExit<T extends Closable>(system: T): T {
  process.once('exit', () => system.close());
  return system;
}

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
/** A shell's status of who ended by a signal. */
const SIGNAL_STATUS = 128;

/** A signal ends the process as an exit does, with what is to be closed then. */
export function exitOnSignals(): void {
  for (const [signal, number] of Object.entries(SIGNALS))
    process.once(signal, () => process.exit(SIGNAL_STATUS + number));
}
