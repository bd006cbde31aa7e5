import { CodedError } from '../../errors.js';
import type { Executable, TailTarget } from './context.js';
import type { InterpretedProgram } from './interpreted-program.js';

export type ProgramTableFault =
  | { readonly code: 'PROGRAM_TABLE_NUMBER'; readonly number: number }
  | {
      readonly code: 'PROGRAM_TABLE_ENGINE';
      readonly number: number;
      readonly engine: TailTarget['engine'];
      readonly others: TailTarget['engine'];
    };

/** A program that tail calls of this thread cannot reach. */
export class ProgramTableError extends CodedError<ProgramTableFault> {}

/** Numbers are given once each: far more programs than a process loads. */
const LAST_NUMBER = 1_000_000;

/**
 * The programs that tail calls of one thread can go to, by the numbers that slots of a PROG_ARRAY hold. Functions
 * cannot be shared between threads, so each has a table of its own. A number that it does not know is a tail call
 * that falls through.
 */
export class ProgramTable {
  /** What compiled programs call through: their `tail` functions, or null. Grows with the numbers. */
  readonly table = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
  readonly #targets = new Map<number, TailTarget>();

  /**
   * Make a program reachable; takes the place of one that has the number.
   * @param number from 1; 0 is an empty slot
   * @throws ProgramTableError PROGRAM_TABLE_NUMBER; PROGRAM_TABLE_ENGINE: compiled and interpreted programs do not
   *   call each other
   */
  set(number: number, { target }: Pick<Executable, 'target'>): void {
    if (!Number.isInteger(number) || number < 1 || number > LAST_NUMBER) {
      throw new ProgramTableError(
        { code: 'PROGRAM_TABLE_NUMBER', number },
        `a program cannot have the number ${number}: 1 to ${LAST_NUMBER} are possible`,
      );
    }
    for (const [other, { engine }] of this.#targets) {
      if (engine === target.engine || other === number) continue;
      throw new ProgramTableError(
        { code: 'PROGRAM_TABLE_ENGINE', number, engine: target.engine, others: engine },
        `program ${number} is for the ${target.engine}, those that it could tail-call are for the ${engine}`,
      );
    }
    this.#targets.set(number, target);
    // By half as much again: numbers rise by one at a time.
    if (number >= this.table.length)
      this.table.grow(Math.max(number + 1, this.table.length + (this.table.length >> 1)) - this.table.length);
    this.table.set(number, target.engine === 'jit' ? target.tail : null);
  }

  /** Tail calls to the number fall through from now on. Idempotent. */
  clear(number: number): void {
    if (!this.#targets.delete(number)) return;
    this.table.set(number, null);
  }

  /** The interpreted program of a number. */
  interpreted(number: number): InterpretedProgram | undefined {
    const target = this.#targets.get(number);
    return target?.engine === 'interpreter' ? target.program : undefined;
  }
}
