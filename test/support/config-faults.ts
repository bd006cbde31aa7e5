import { ConfigError, formatFault } from '../../control-plane/config/faults.js';
import { loadConfig } from '../../control-plane/config/load.js';

/** What is wrong with a file, a line each: `line:column: path: value: rule`. */
export function faultsOf(text: string): readonly string[] {
  try {
    loadConfig(text, 'f');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults.map((fault) => `${fault.code} ${formatFault('f', fault).replace(/^f:/, '')}`);
  }
  return [];
}
