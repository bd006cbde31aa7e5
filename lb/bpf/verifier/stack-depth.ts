import { calledFunction } from '../isa/instruction.js';
import { LIMITS } from './environment.js';
import { type Program, subprogramAt } from './program.js';
import { refuse } from './refusal.js';

/** A frame is rounded up to so much where code is compiled. */
const FRAME_ALIGN = 16;
/** What frames above one that makes tail calls may need, so that 33 of them in a row fit the kernel's stack. */
const ABOVE_TAIL_CALL = 256;

/**
 * That no chain of calls needs more stack, or frames, than there is.
 * @returns bytes of the deepest chain
 * @throws Refusal
 */
export function checkStackDepth(program: Program): number {
  const calls = callsOf(program);
  let deepest = 0;
  // What was followed with as much above it needs not be followed again.
  const done = new Set<string>();
  const follow = (index: number, above: number, frames: number): void => {
    const key = `${index} ${above} ${frames}`;
    if (done.has(key)) return;
    done.add(key);
    const subprogram = program.subprograms[index]!;
    if (index > 0 && subprogram.hasTailCall && above >= ABOVE_TAIL_CALL) {
      refuse(
        'VERIFY_STACK_DEPTH',
        'EACCES',
        `tail_calls are not allowed when call stack of previous frames is ${above} bytes. Too large`,
      );
    }
    const depth = above + Math.ceil(subprogram.stackDepth / FRAME_ALIGN) * FRAME_ALIGN;
    if (depth > LIMITS.stackBytes) {
      refuse('VERIFY_STACK_DEPTH', 'EACCES', `combined stack size of ${frames} calls is ${depth}. Too large`);
    }
    deepest = Math.max(deepest, depth);
    for (const callee of calls[index]!) {
      if (frames >= LIMITS.frames)
        refuse('VERIFY_CALL_DEPTH', 'E2BIG', `the call stack of ${frames} frames is too deep !`);
      follow(callee, depth, frames + 1);
    }
  };
  follow(0, 0, 1);
  return deepest;
}

/** Functions that each calls or hands on, in the order of the code. */
function callsOf({ steps, subprograms }: Program): number[][] {
  const calls: number[][] = subprograms.map(() => []);
  for (const step of steps) {
    if (step === undefined) continue;
    const target = calledFunction(step);
    if (target === undefined) continue;
    const callee = subprogramAt(subprograms, target);
    const from = calls[subprogramAt(subprograms, step.slot)]!;
    if (!from.includes(callee)) from.push(callee);
  }
  return calls;
}
