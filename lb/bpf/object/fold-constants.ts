import { decodeProgram, encodeProgram, slotsOf } from '../isa/codec.js';
import type { Instruction, Of } from '../isa/instruction.js';
import type { MapSpec } from '../maps/map.js';
import type { ProgramSpec } from './spec.js';

/** Largest value that an instruction has room for, and that a move of 32 bits leaves as it is. */
const LARGEST = 0x7fffffffn;

/**
 * A program with the constants that it reads out of .rodata in its code, as the compiler would have put them there: what
 * an option rules out is then no code at all, in the kernel as well, which drops code that a known branch skips but
 * keeps the load of what the branch asks. Slots stay where they are.
 * @param maps of the object, with `initial` as it will be when the program is loaded
 * @returns the same program where there is nothing to fold
 */
export function foldConstants(program: ProgramSpec, maps: readonly MapSpec[]): ProgramSpec {
  const instructions = decodeProgram(program.code);
  const targets = new Set(instructions.flatMap((each) => ('target' in each ? [each.target] : [])));
  let isChanged = false;
  const folded: Instruction[] = [];
  for (let at = 0; at < instructions.length; at++) {
    const [address, load] = [instructions[at]!, instructions[at + 1]];
    const value =
      address.kind === 'imm64' && load?.kind === 'load' && !targets.has(load.slot)
        ? constantOf(address, load, maps)
        : undefined;
    if (value === undefined || address.kind !== 'imm64') {
      folded.push(address);
      continue;
    }
    const { slot, dst } = address;
    const src = { kind: 'imm', value: Number(value) } as const;
    folded.push({ kind: 'alu', op: 'mov', width: 32, dst, src, slot });
    for (let skipped = slot + 1; skipped < slot + slotsOf(address) + 1; skipped++)
      folded.push({ kind: 'jump', slot: skipped, target: skipped + 1 });
    isChanged = true;
    at++;
  }
  return isChanged ? { ...program, code: encodeProgram(folded) } : program;
}

/** What a load gives of a map that nobody can write to, through the register that it goes to itself. */
function constantOf(
  { dst, imm }: Of<'imm64'>,
  load: Of<'load'>,
  maps: readonly MapSpec[],
): bigint | undefined {
  if (imm.kind !== 'map-value' || load.src !== dst || load.dst !== dst || load.signed) return undefined;
  const { frozen, initial } = maps[imm.map] ?? {};
  const start = imm.offset + load.off;
  if (frozen !== true || initial === undefined || start < 0 || start + load.bytes > initial.length)
    return undefined;
  let value = 0n;
  for (let byte = load.bytes - 1; byte >= 0; byte--) value = (value << 8n) | BigInt(initial[start + byte]!);
  return value <= LARGEST ? value : undefined;
}
