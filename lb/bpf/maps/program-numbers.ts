/**
 * Numbers of the programs that maps name: the slots of a PROG_ARRAY, the programs of a DEVMAP's or CPUMAP's entries.
 * They stand where bpf() has the ids of loaded programs. A number is never given twice: a slot that still holds the
 * number of a program that is gone names nothing, and a tail call through it falls through.
 */
export class ProgramNumbers {
  readonly #names = new Map<number, string>();
  #last = 0;

  /** A number, from 1, for a program that can be run from now on. */
  allocate(name: string): number {
    this.#last++;
    this.#names.set(this.#last, name);
    return this.#last;
  }

  /** The program cannot be run any more. Idempotent. */
  release(number: number): void {
    this.#names.delete(number);
  }

  isLive(number: number): boolean {
    return this.#names.has(number);
  }

  /** Name of a live program. */
  nameOf(number: number): string | undefined {
    return this.#names.get(number);
  }
}
