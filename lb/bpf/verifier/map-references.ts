import type { Instruction } from '../isa/instruction.js';
import type { VerifierMap } from './input.js';
import { Refusal, type VerifyErrno } from './refusal.js';

/**
 * That every map that is named is there, and its one value where a program points right into it (Linux 6.18,
 * kernel/bpf/verifier.c, resolve_pseudo_ldimm64).
 * @throws Refusal
 */
export function checkMapReferences(instructions: readonly Instruction[], maps: readonly VerifierMap[]): void {
  for (const instruction of instructions) {
    if (instruction.kind !== 'imm64') continue;
    const { imm, slot } = instruction;
    if (imm.kind !== 'map' && imm.kind !== 'map-value') continue;
    const map = maps[imm.map];
    if (map === undefined) reject(slot, 'EBADF', `fd ${imm.map} is not pointing to valid bpf_map`);
    else if (imm.kind === 'map-value') checkValue(slot, map, imm.offset);
  }
}

function reject(slot: number, errno: VerifyErrno, line: string): never {
  const refusal = new Refusal('VERIFY_MAP_REFERENCE', errno, [line]);
  refusal.slot = slot;
  throw refusal;
}

const MAX_OFFSET = 1 << 29;

function checkValue(slot: number, { type, valueSize, maxEntries }: VerifierMap, offset: number): void {
  if (offset >= MAX_OFFSET) reject(slot, 'EINVAL', `direct value offset of ${offset} is not allowed`);
  if (type !== 'ARRAY') reject(slot, 'EINVAL', 'no direct value access support for this map type');
  if (maxEntries === 1 && offset < valueSize) return;
  const line = `invalid access to map value pointer, value_size=${valueSize} off=${offset}`;
  reject(slot, maxEntries === 1 ? 'EINVAL' : 'ENOTSUPP', line);
}
