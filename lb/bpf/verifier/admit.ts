import { CodedError } from '../../errors.js';
import type { HelperUser } from '../helpers/prototypes.js';
import { decodeProgram } from '../isa/codec.js';
import type { Instruction } from '../isa/instruction.js';
import type { MapSpec } from '../maps/map.js';
import type { ObjectSpec, ProgramSpec } from '../object/spec.js';
import { type Refused, type VerifyOptions, verifierMapOf } from './input.js';
import { checkStructure } from './structural.js';
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

/** What a program of an object becomes. */
export interface Admission {
  readonly type: HelperUser;
  /** Maps as they are, by the index that map references have. */
  readonly maps: readonly MapSpec[];
  /** Prove it: true unless given. */
  readonly verify?: boolean;
}

/**
 * A program's instructions, once it is known that the engines can run it, and that it is safe.
 * @throws IsaError, StructureError; VerifyError with the kernel's message, and what usually mends it
 */
export function admitProgram(
  spec: ProgramSpec,
  object: Pick<ObjectSpec, 'maps' | 'btf' | 'license'>,
  { type, maps, verify = true }: Admission,
): readonly Instruction[] {
  const instructions = decodeProgram(spec.code);
  const { poisoned = [] } = spec;
  const structure = { programType: type, maps: maps.map(verifierMapOf), poisoned };
  if (!verify) {
    checkStructure(instructions, structure);
    return instructions;
  }
  const options = verifyOptionsOf(spec, object, type, maps);
  const result = verifyProgram({ ...options, instructions });
  if (result.accepted) {
    checkStructure(instructions, { ...structure, dead: new Set(result.dead) });
    return instructions;
  }
  // What is not offered here has a better name than the kernel's.
  checkStructure(instructions, structure);
  // The log is made only for a program that is refused.
  const logged = verifyProgram({ ...options, instructions, log: 1 });
  const refused = logged.accepted ? result : logged;
  throw new VerifyError(
    { code: 'VERIFY_REFUSED', program: spec.name, refused },
    `program ${spec.name} is refused: ${refused.explanation} (${refused.message})`,
  );
}
