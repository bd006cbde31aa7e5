import type { Environment } from './environment.js';
import { constantString } from './helper-memory.js';
import { refuse } from './refusal.js';

const FORMAT = 3;
const DATA_BYTES = 5;
const WORD_BYTES = 8;

// What may follow a conversion that other letters would change: the end, a blank, punctuation.
const END = '(?=$|[\\s!-/:-@[-`{-~])';
/** A conversion behind its `%`, flags and width included (bpf-helpers(7), bpf_trace_printk, bpf_snprintf). */
const CONVERSION = new RegExp(
  `[0+\\- ]*\\d*(?:p(?:${END}|[ku]s${END}|[KxsSB]|[iI][46])|s${END}|c|l{0,2}[iduxX])`,
  'y',
);

/**
 * Whether a format is one, and takes so many arguments at most (Linux 6.18, kernel/trace/bpf_trace.c,
 * bpf_bprintf_prepare).
 * @param format text without its NUL
 */
export function isFormat(format: Uint8Array, count: number): boolean {
  const text = String.fromCharCode(...format);
  if (!/^[\t-\r -~]*$/.test(text)) return false;
  let taken = 0;
  for (let at = text.indexOf('%'); at >= 0; at = text.indexOf('%', at)) {
    if (text[at + 1] === '%') {
      at += 2;
      continue;
    }
    taken += 1;
    CONVERSION.lastIndex = at + 1;
    const found = CONVERSION.exec(text);
    if (found === null || taken > count) return false;
    at = CONVERSION.lastIndex;
  }
  return true;
}

/** The format of bpf_snprintf, against the arguments that are there for it. @throws Refusal */
export function checkFormat(env: Environment): void {
  const bytes = env.frame.registers[DATA_BYTES]!.constNumber();
  if (bytes % WORD_BYTES !== 0 || !isFormat(constantString(env, FORMAT), bytes / WORD_BYTES))
    refuse('VERIFY_STRING', 'EINVAL', 'Invalid format string', FORMAT);
}
