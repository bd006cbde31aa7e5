/**
 * The eBPF runtime's door: object file in, maps and a program that runs out.
 * loadObject → Machine, which is: createMaps (ArenaMaps) → decodeProgram → checkStructure → verifyProgram → compileProgram or interpret.
 */
export { CodedError, type Fault } from '../errors.js';
export { type FieldValue, PacketContext, PacketError } from './context/packet.js';
export * from './engine/context.js';
export { interpret, type StepListener } from './engine/interpreter.js';
export { Fib, FibError, type FibOptions, type Link, type Neighbour, type Route } from './helpers/fib.js';
export {
  describeHelpers,
  HELPERS,
  type HelperDescription,
  type HelperName,
  type HelperPrototype,
} from './helpers/prototypes.js';
export { readTraceLog, type TraceLine } from './helpers/trace-log.js';
export { decodeProgram, encodeProgram, IsaError } from './isa/codec.js';
export type { Instruction, InstructionKind, Of } from './isa/instruction.js';
export { formatInstruction } from './isa/text.js';
export { compileProgram, instantiateProgram } from './jit/compile.js';
export { JitError } from './jit/fault.js';
export { formatWat, type WatOptions } from './jit/wat.js';
export * from './machine/index.js';
export * from './maps/map.js';
export { PerfReader } from './maps/perf-events.js';
export { ProgramNumbers } from './maps/program-numbers.js';
export { ArenaMap, type ArenaMapInfo, ArenaMaps, MapError, mapBytes } from './maps/registry.js';
export { RingBufferReader } from './maps/ring-buffer.js';
export { instantiateRuntime, type Runtime } from './maps/runtime.js';
export { TypedMap, TypedMapError, UPDATE_CONDITIONS, type UpdateCondition } from './maps/typed-map.js';
export { Arena, type ArenaOptions } from './memory/arena.js';
export { Btf, type BtfType, type FieldLayout, parseBtf, type StructLayout } from './object/btf.js';
export { formatC, formatCDeclaration } from './object/btf-c.js';
export { formatTypeScript } from './object/btf-typescript.js';
export { CreateMapsError, createMaps } from './object/create-maps.js';
export { formatLine, formatListing, type ListingOptions, namesOf } from './object/listing.js';
export {
  BtfError,
  CoreError,
  ElfError,
  GlobalError,
  LinkError,
  type LoadOptions,
  loadObject,
  MapDefError,
  ObjectError,
  type ObjectFault,
  type ObjectStage,
  programType,
  sectionType,
} from './object/load.js';
export {
  ATTACH_TYPES,
  type AttachType,
  type FunctionSpec,
  type GlobalSpec,
  type LineSpec,
  type ObjectSpec,
  POISON_HELPER,
  type ProgramSpec,
  type ProgramType,
  type RefusedProgram,
  type SectionType,
} from './object/spec.js';
export {
  type BtfFields,
  type BtfValue,
  decodeValue,
  encodeValue,
  type ValueCodec,
  ValueError,
  type ValueFault,
  type ValueInput,
  valueCodec,
} from './object/values.js';
export { ENGINES, type EngineName, type Outcome, Sandbox, SandboxError } from './sandbox.js';
export { Trace, type TraceOptions, type TraceRegion } from './trace.js';
export { VerifyError, type VerifyErrorFault, verifyOptionsOf } from './verifier/admit.js';
export { VERIFY_ADVICE } from './verifier/explain.js';
export {
  type Accepted,
  type Refused,
  type SlotFacts,
  type VerifierMap,
  type VerifyInput,
  type VerifyOptions,
  type VerifyResult,
  verifierMapOf,
} from './verifier/input.js';
export type { VerifyCode, VerifyFault } from './verifier/refusal.js';
export { checkStructure, StructureError } from './verifier/structural.js';
export { verifyProgram } from './verifier/verify.js';
export { verifyCode } from './verifier/verify-code.js';
