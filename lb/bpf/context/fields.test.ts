import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { BpfAttr, bpfCall } from '../../sys/bpf-call.js';
import { closeFd } from '../../sys/syscall.js';
import type { HelperUser } from '../helpers/prototypes.js';
import { encodeProgram } from '../isa/codec.js';
import type { Instruction } from '../isa/instruction.js';
import { allowedAccess, CONTEXTS, type ContextBytes, fieldAt, fieldByName, fieldBytes } from './fields.js';

const PROGRAM_TYPES = { xdp: 6, sched_cls: 3 } as const;
const ATTACH_TYPES = { XDP: 37, XDP_DEVMAP: 33 } as const;
const LICENSE = new TextEncoder().encode('GPL\0');

/** Does the kernel take a program of one access to its context? */
function kernelTakes(type: HelperUser, access: Instruction, attachType: keyof typeof ATTACH_TYPES): boolean {
  const code = encodeProgram([
    { slot: 0, kind: 'alu', op: 'mov', width: 64, dst: 2, src: { kind: 'imm', value: 0 } },
    { ...access, slot: 1 },
    { slot: 2, kind: 'alu', op: 'mov', width: 64, dst: 0, src: { kind: 'imm', value: 0 } },
    { slot: 3, kind: 'exit' },
  ]);
  const attr = new BpfAttr(128)
    .u32(0, PROGRAM_TYPES[type])
    .u32(4, code.length / 8)
    .pointer(8, code)
    .pointer(16, LICENSE)
    .u32(68, type === 'xdp' ? ATTACH_TYPES[attachType] : 0);
  const fd = bpfCall('PROG_LOAD', attr);
  if (fd >= 0) closeFd(fd);
  return fd >= 0;
}

const SIZES = [1, 2, 4, 8] as const;

/** Every access that there is, as "read u32 at 4". */
function accessible(takes: (what: string, access: Omit<Access, 'type'>) => boolean, bytes: number): string[] {
  const found: string[] = [];
  for (let offset = 0; offset < bytes + 8; offset++) {
    for (const size of SIZES) {
      for (const how of ['read', 'signed', 'write'] as const) {
        if (how === 'signed' && size === 8) continue;
        const what = `${how} u${size * 8} at ${offset}`;
        if (takes(what, { offset, bytes: size, how })) found.push(what);
      }
    }
  }
  return found;
}

interface Access {
  readonly offset: number;
  readonly bytes: ContextBytes;
  readonly how: 'read' | 'signed' | 'write';
}

const instructionOf = ({ offset: off, bytes, how }: Access): Instruction =>
  how === 'write'
    ? { slot: 1, kind: 'store', bytes, dst: 1, off, src: { kind: 'reg', reg: 2 } }
    : { slot: 1, kind: 'load', bytes, signed: how === 'signed', dst: 0, src: 1, off };

const cases = [
  ['xdp', 'XDP'],
  ['xdp', 'XDP_DEVMAP'],
  ['sched_cls', 'XDP'],
] as const;

describe(`what programs may touch of their context is what the kernel lets them${missingRoot === undefined ? '' : ` (${missingRoot})`}`, () => {
  for (const [type, attachType] of cases) {
    it.skipIf(missingRoot !== undefined)(`${type}, attach type ${attachType}`, () => {
      const { bytes } = CONTEXTS[type];
      const ours = accessible(
        (_, { how, ...access }) =>
          allowedAccess(type, { ...access, write: how === 'write', signed: how === 'signed', attachType }) !==
          undefined,
        bytes,
      );
      const theirs = accessible((_, access) => kernelTakes(type, instructionOf(access), attachType), bytes);
      expect(ours.length).toBeGreaterThan(0);
      expect(ours).toEqual(theirs);
    });
  }
});

describe('the table', () => {
  for (const [type, { bytes, fields }] of Object.entries(CONTEXTS) as [
    HelperUser,
    (typeof CONTEXTS)['xdp'],
  ][]) {
    it(`${type}: fields follow each other, aligned, inside the struct, each under one name`, () => {
      let end = 0;
      for (const field of fields) {
        expect(field.offset).toBeGreaterThanOrEqual(end);
        expect(field.offset % field.bytes).toBe(0);
        end = field.offset + fieldBytes(field);
        expect(fieldByName(type, field.name)).toBe(field);
        expect(fieldAt(type, end - 1)).toBe(field);
      }
      expect(end).toBeLessThanOrEqual(bytes);
    });
  }
});
