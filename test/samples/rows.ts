import type { LoadOptions } from '../../lb/bpf/object/load.js';
import type { Preparation } from './bed.js';

/** What is known of a sample: each program of it is in one of the lists. */
export interface Sample extends Preparation {
  /** Programs that run, and as in the kernel. */
  readonly runs?: readonly string[];
  /** Programs that run, but whose outcome is not the kernel's to compare (time, chance, routes): why. */
  readonly apart?: Readonly<Record<string, string>>;
  /** Maps whose content is not the kernel's to compare (time). */
  readonly mapsApart?: readonly string[];
  /** Programs that the verifier refuses, and the kernel's with the same words. */
  readonly verifierRefuses?: Readonly<Record<string, RegExp>>;
  /** Programs of other types: data only, refused when they shall run. */
  readonly data?: readonly string[];
  /** Programs that are refused: what is said. */
  readonly refused?: Readonly<Record<string, RegExp>>;
  /** The whole object is refused: what is said. */
  readonly unloadable?: RegExp;
  readonly load?: LoadOptions;
}
