import { CliError, EXIT } from '../faults.js';

/** Bytes of hexadecimal digits; white space between them does not count. */
export function bytesOf(what: string, hex: string): Uint8Array {
  const digits = hex.replace(/\s/g, '');
  if (digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) {
    const start = `${digits.slice(0, 32)}${digits.length > 32 ? '…' : ''}`;
    throw new CliError(EXIT.refused, `${what}: "${start}" is not an even number of hexadecimal digits`);
  }
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
