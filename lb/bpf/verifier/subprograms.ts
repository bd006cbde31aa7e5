import { helperById } from '../helpers/prototypes.js';
import { TAIL_CALL } from '../isa/builtins.js';
import { calledFunction } from '../isa/instruction.js';
import type { VerifyOptions } from './input.js';
import { type Step, type Subprogram, subprogramAt } from './program.js';
import { refuse } from './refusal.js';

const MAX_SUBPROGRAMS = 256;
/** BTF_FUNC_GLOBAL (uapi/linux/btf.h). */
const LINKAGE_GLOBAL = 1;

/**
 * Find the functions, and check that each is one: calls go to places in the program, jumps stay inside, control
 * does not run past an end.
 * @throws Refusal
 */
export function findSubprograms(
  steps: readonly (Step | undefined)[],
  options: VerifyOptions,
): readonly Subprogram[] {
  const starts = startsOf(steps);
  const named = new Map(options.functions?.map((each) => [each.start, each]));
  const subprograms = starts.map((start, index): Subprogram => {
    const known = named.get(start);
    return {
      start,
      end: starts[index + 1] ?? steps.length,
      name: known?.name ?? (index === 0 ? 'main' : `func#${index}`),
      linkage: index > 0 && isGlobal(options, known?.typeId) ? 'global' : 'static',
      typeId: known?.typeId,
      hasTailCall: false,
      hasPacketLoad: false,
      movesPacket: false,
      stackDepth: 0,
      isCalled: index === 0,
    };
  });
  for (const subprogram of subprograms) checkSubprogram(subprogram, steps);
  checkWithoutTypes(subprograms);
  spreadMoves(subprograms, steps);
  return subprograms;
}

function startsOf(steps: readonly (Step | undefined)[]): number[] {
  const starts = new Set([0]);
  for (const step of steps) {
    const target = step === undefined ? undefined : calledFunction(step);
    if (target === undefined) continue;
    if (target < 0 || target >= steps.length) refuse('VERIFY_JUMP', 'EINVAL', 'call to invalid destination');
    starts.add(target);
    if (starts.size > MAX_SUBPROGRAMS) refuse('VERIFY_TOO_LARGE', 'E2BIG', 'too many subprograms');
  }
  return [...starts].sort((a, b) => a - b);
}

function isGlobal({ btf }: VerifyOptions, typeId: number | undefined): boolean {
  if (btf === undefined || typeId === undefined) return false;
  const type = btf.type(typeId);
  return type.kind === 'func' && type.linkage === LINKAGE_GLOBAL;
}

function checkSubprogram(subprogram: Subprogram, steps: readonly (Step | undefined)[]): void {
  const { start, end } = subprogram;
  for (let slot = start; slot < end; slot++) {
    const step = steps[slot];
    if (step?.kind === 'call-helper') {
      if (step.id === TAIL_CALL) subprogram.hasTailCall = true;
      if (step.id === TAIL_CALL || helperById(step.id)?.movesPacket) subprogram.movesPacket = true;
    }
    if (step?.kind === 'packet-load') subprogram.hasPacketLoad = true;
    if ((step?.kind === 'jump' || step?.kind === 'branch') && (step.target < start || step.target >= end))
      refuse('VERIFY_JUMP', 'EINVAL', `jump out of range from insn ${slot} to ${step.target}`);
    if (slot === end - 1 && step?.kind !== 'exit' && step?.kind !== 'jump')
      refuse('VERIFY_JUMP', 'EINVAL', 'last insn is not an exit or jmp');
  }
}

/** What only functions may do of which it is known that they return a number. */
function checkWithoutTypes(subprograms: readonly Subprogram[]): void {
  for (const { typeId, hasPacketLoad, hasTailCall } of subprograms.slice(1)) {
    if (typeId !== undefined) continue;
    if (hasPacketLoad) refuse('VERIFY_TYPES', 'EINVAL', 'LD_ABS is not allowed in subprogs without BTF');
    if (hasTailCall) refuse('VERIFY_TYPES', 'EINVAL', 'tail_call is not allowed in subprogs without BTF');
  }
}

/** Who calls a function that may move the packet may move it. */
function spreadMoves(subprograms: readonly Subprogram[], steps: readonly (Step | undefined)[]): void {
  for (let again = true; again; ) {
    again = false;
    for (const subprogram of subprograms) {
      if (subprogram.movesPacket) continue;
      for (let slot = subprogram.start; slot < subprogram.end && !subprogram.movesPacket; slot++) {
        const step = steps[slot];
        const target = step === undefined ? undefined : calledFunction(step);
        if (target === undefined) continue;
        subprogram.movesPacket = subprograms[subprogramAt(subprograms, target)]!.movesPacket;
        again ||= subprogram.movesPacket;
      }
    }
  }
}
