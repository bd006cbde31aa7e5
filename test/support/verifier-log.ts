import { BpfAttr, bpfCall } from '../../lb/sys/bpf-call.js';
import { closeFd } from '../../lb/sys/syscall.js';

const XDP = 6;
const LOG_BYTES = 4 << 20;
const log = new Uint8Array(LOG_BYTES);

/** What the live kernel's verifier said of a program. */
export interface KernelVerdict {
  /** 0, or the negative errno. */
  readonly result: number;
  readonly log: string;
}

/**
 * Have the live kernel verify an XDP program, GPL, with no maps.
 * @param level 1: the failing path; 2: every instruction with the state after it
 */
export function askKernel(code: Uint8Array, level: 1 | 2 = 2): KernelVerdict {
  const attr = new BpfAttr(128)
    .u32(0, XDP)
    .u32(4, code.length / 8)
    .pointer(8, code)
    .pointer(16, new TextEncoder().encode('GPL\0'))
    .u32(24, level)
    .u32(28, log.length)
    .pointer(32, log);
  const fd = bpfCall('PROG_LOAD', attr);
  if (fd >= 0) closeFd(fd);
  const text = new TextDecoder().decode(log.subarray(0, log.indexOf(0)));
  return { result: Math.min(fd, 0), log: text };
}

const REGISTER_TEXT = /\bR(\d+)(?:_\w+)?=P?(\w*\((?:[^()]|\([^()]*\))*\)|[^\s]+)/g;

/** Registers in a line of the log, as text, without ids and marks of precision. */
export function registersIn(text: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const [, reg, state] of text.matchAll(REGISTER_TEXT)) {
    const plain = state!.replace(/^P/, '').replace(/id=\d+(?:[+-]\d+)?,?/, '');
    found.set(Number(reg), plain);
  }
  return found;
}

/**
 * A line of the log that tells of registers: after an instruction (the number of its slot), or at the start of an
 * arm that leaves the branch at `from`.
 */
export type StateLine =
  | { readonly kind: 'after'; readonly slot: number; readonly registers: ReadonlyMap<number, string> }
  | {
      readonly kind: 'arm';
      readonly from: number;
      readonly to: number;
      readonly registers: ReadonlyMap<number, string>;
    };

/** Those lines, in order. */
export function stateLines(text: string): StateLine[] {
  const found: StateLine[] = [];
  // Where an instruction logs something of its own, the state is on a later line, with the number of the next.
  let pending: number | undefined;
  for (const line of text.split('\n')) {
    const step = /^(\d+): \([0-9a-f]{2}\)[^;]*(?:; (R\d.*))?$/.exec(line);
    const late = /^\d+: (R\d.*)$/.exec(line);
    const arm = /^from (\d+) to (\d+): (R\d.*)$/.exec(line);
    if (step) {
      const slot = Number(step[1]);
      const state = step[2];
      if (state !== undefined) found.push({ kind: 'after', slot, registers: registersIn(state) });
      pending = state === undefined ? slot : undefined;
    } else if (late && pending !== undefined) {
      found.push({ kind: 'after', slot: pending, registers: registersIn(late[1]!) });
      pending = undefined;
    } else if (arm) {
      found.push({ kind: 'arm', from: Number(arm[1]), to: Number(arm[2]), registers: registersIn(arm[3]!) });
      pending = undefined;
    }
  }
  return found;
}
