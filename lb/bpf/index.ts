/**
 * The eBPF runtime's door: object file in, maps and a program that runs out.
 * loadObject → createMaps (ArenaMaps) → decodeProgram → checkStructure → compileProgram or interpret.
 */
export * from './engine/context.js';
export { interpret } from './engine/interpreter.js';
export { HELPERS, type HelperName, type HelperPrototype } from './helpers/prototypes.js';
export { decodeProgram, encodeProgram } from './isa/codec.js';
export type { Instruction, InstructionKind, Of } from './isa/instruction.js';
export { formatInstruction } from './isa/text.js';
export { compileProgram, instantiateProgram } from './jit/compile.js';
export * from './maps/map.js';
export { ArenaMap, type ArenaMapInfo, ArenaMaps, mapBytes } from './maps/registry.js';
export { instantiateRuntime, type Runtime } from './maps/runtime.js';
export { Arena, type ArenaOptions } from './memory/arena.js';
export { Btf, type BtfType, type FieldLayout, type StructLayout } from './object/btf.js';
export { CreateMapsError, createMaps } from './object/create-maps.js';
export {
  BtfError,
  ElfError,
  LinkError,
  loadObject,
  MapDefError,
  ObjectError,
  type ObjectFault,
  type ObjectStage,
  programType,
} from './object/load.js';
export type { FunctionSpec, LineSpec, ObjectSpec, ProgramSpec, ProgramType } from './object/spec.js';
export { ENGINES, type EngineName, type Outcome, Sandbox, SandboxError } from './sandbox.js';
export { checkStructure } from './verifier/structural.js';
