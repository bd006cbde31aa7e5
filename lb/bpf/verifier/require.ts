import { CodedError } from '../../errors.js';
import type { HelperUser } from '../helpers/prototypes.js';
import type { Instruction } from '../isa/instruction.js';
import type { MapSpec } from '../maps/map.js';
import type { ObjectSpec, ProgramSpec } from '../object/spec.js';
import { type Accepted, type Refused, type VerifyOptions, verifierMapOf } from './input.js';
import { verifyProgram } from './verify.js';

export interface VerifyErrorFault {
  readonly code: 'VERIFY_REFUSED';
  readonly program: string;
  /** The rule, the instruction, the kernel's message and its log. */
  readonly refused: Refused;
}

/** A program is not safe, and does not run. */
export class VerifyError extends CodedError<VerifyErrorFault> {}

/** Licences under which the kernel lets programs have all helpers (include/linux/license.h). */
const GPL: ReadonlySet<string> = new Set([
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
]);

/**
 * What is to be known of a program of an object for its proof.
 * @param type the program's, where its section does not say one
 * @param maps as they are, where they are not as the object says
 */
export function verifyOptionsOf(
  spec: ProgramSpec,
  object: Pick<ObjectSpec, 'maps' | 'btf' | 'license'>,
  type = spec.type,
  maps: readonly MapSpec[] = object.maps,
): VerifyOptions {
  const { expectedAttachType, functions, lines } = spec;
  const { btf, license } = object;
  return {
    type,
    ...(expectedAttachType !== undefined && { attachType: expectedAttachType }),
    maps: maps.map(verifierMapOf),
    functions,
    lines,
    ...(btf !== undefined && { btf }),
    gpl: GPL.has(license),
  };
}

/**
 * That a program is safe, before anything runs it.
 * @throws VerifyError with the kernel's message, and what usually mends it
 */
export function requireVerified(
  spec: ProgramSpec,
  object: Pick<ObjectSpec, 'maps' | 'btf' | 'license'>,
  {
    instructions,
    type,
    maps,
  }: {
    readonly instructions: readonly Instruction[];
    readonly type: HelperUser;
    readonly maps: readonly MapSpec[];
  },
): Accepted {
  const options = verifyOptionsOf(spec, object, type, maps);
  const result = verifyProgram({ ...options, instructions });
  if (result.accepted) return result;
  // The log is made only for a program that is refused.
  const refused = verifyProgram({ ...options, instructions, log: 1 }) as Refused;
  throw new VerifyError(
    { code: 'VERIFY_REFUSED', program: spec.name, refused },
    `program ${spec.name} is refused: ${refused.explanation} (${refused.message})`,
  );
}
