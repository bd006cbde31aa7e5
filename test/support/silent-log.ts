import { createLog, type LevelledLog } from '../../control-plane/log.js';

/** A log that nobody reads. */
export const silentLog = (): LevelledLog => createLog('error', { write: () => undefined });
