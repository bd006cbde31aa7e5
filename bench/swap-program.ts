import { XDP_ABORTED, XDP_TX } from '../lb/bpf/engine/context.js';
import { encodeProgram } from '../lb/bpf/isa/codec.js';
import type { Instruction } from '../lb/bpf/isa/instruction.js';

/** An XDP program's code that swaps the two MAC addresses word by word (6 + 6 bytes) and sends the frame back. */
export function swapProgram(): Uint8Array {
  const reg = (r: number) => ({ kind: 'reg', reg: r }) as const;
  const imm = (value: number) => ({ kind: 'imm', value }) as const;
  const load = (slot: number, bytes: 2 | 4, dst: number, src: number, off: number): Instruction => ({
    slot,
    kind: 'load',
    bytes,
    signed: false,
    dst,
    src,
    off,
  });
  const store = (slot: number, bytes: 2 | 4, off: number, src: number): Instruction => ({
    slot,
    kind: 'store',
    bytes,
    dst: 2,
    off,
    src: reg(src),
  });
  const ETHERNET_BYTES = 14;
  return encodeProgram([
    load(0, 4, 2, 1, 0),
    load(1, 4, 3, 1, 4),
    { slot: 2, kind: 'alu', op: 'mov', width: 64, dst: 0, src: imm(XDP_ABORTED) },
    { slot: 3, kind: 'alu', op: 'mov', width: 64, dst: 4, src: reg(2) },
    { slot: 4, kind: 'alu', op: 'add', width: 64, dst: 4, src: imm(ETHERNET_BYTES) },
    { slot: 5, kind: 'branch', op: 'jgt', width: 64, dst: 4, src: reg(3), target: 15 },
    load(6, 4, 4, 2, 0),
    load(7, 2, 5, 2, 4),
    load(8, 4, 6, 2, 6),
    load(9, 2, 7, 2, 10),
    store(10, 4, 0, 6),
    store(11, 2, 4, 7),
    store(12, 4, 6, 4),
    store(13, 2, 10, 5),
    { slot: 14, kind: 'alu', op: 'mov', width: 64, dst: 0, src: imm(XDP_TX) },
    { slot: 15, kind: 'exit' },
  ]);
}
