import { encodeProgram } from '../isa/codec.js';
import type { Instruction } from '../isa/instruction.js';
import { BtfError } from '../object/btf-types.js';
import { findEdges, findLiveRegisters, walkGraph } from './cfg.js';
import { Environment, LIMITS } from './environment.js';
import { explain } from './explain.js';
import { formatFrame } from './format-state.js';
import type { Accepted, Refused, VerifyInput, VerifyOptions, VerifyResult } from './input.js';
import { lineAt } from './lines.js';
import { ALL_TOUCHED, Log } from './log.js';
import { findLoops } from './loops.js';
import { checkMapReferences } from './map-references.js';
import type { Program, Step } from './program.js';
import { Refusal } from './refusal.js';
import { checkStackDepth } from './stack-depth.js';
import { findSubprograms } from './subprograms.js';
import { walkProgram } from './walk.js';

const SLOT_BYTES = 8;

/**
 * Prove that a program is safe, as the kernel does before it runs one: that it ends, and reads, writes and calls
 * nothing that it may not (Linux 6.18, kernel/bpf/verifier.c; Documentation/bpf/verifier.rst). Nothing is thrown for a
 * program that is refused.
 */
export function verifyProgram(input: VerifyInput): VerifyResult {
  const { instructions, wrong = new Map<number, string>(), ...options } = input;
  const log = new Log(options.log ?? 0);
  let env: Environment | undefined;
  try {
    env = new Environment(prepare(instructions, wrong, options), log);
    walkProgram(env);
    const stackDepth = checkStackDepth(env.program);
    return accepted(env, stackDepth);
  } catch (error) {
    if (error instanceof Refusal) return refused(error, options, log, env);
    // Types that refer to what is not there: a loader finds that out only where it asks for them, and so does a proof.
    if (!(error instanceof BtfError)) throw error;
    return refused(new Refusal('VERIFY_TYPES', 'EINVAL', [error.message]), options, log, env);
  }
}

function prepare(
  instructions: readonly Instruction[],
  wrong: ReadonlyMap<number, string>,
  options: VerifyOptions,
): Program {
  const code = encodeProgram(instructions);
  const slots = code.length / SLOT_BYTES;
  const steps = new Array<Step | undefined>(slots).fill(undefined);
  for (const instruction of instructions) steps[instruction.slot] = instruction;
  const subprograms = findSubprograms(steps, options);
  checkMapReferences(instructions, options.maps ?? []);
  const marks = walkGraph(steps, options.unprivileged !== true);
  const graph = findEdges(steps);
  return {
    options,
    steps,
    wrong,
    opcodes: Uint8Array.from({ length: slots }, (_, slot) => code[slot * SLOT_BYTES]!),
    subprograms,
    marks,
    liveRegisters: findLiveRegisters(steps, graph),
    graph,
    loops: findLoops(steps, graph),
  };
}

function writeCounts(log: Log, env: Environment): void {
  const { processed, statesPerSlot, states, peakStates } = env;
  log.write(
    `processed ${processed} insns (limit ${LIMITS.processed}) max_states_per_insn ${statesPerSlot} total_states ${states} peak_states ${peakStates} mark_read 0`,
  );
}

function accepted(env: Environment, stackDepth: number): Accepted {
  const { log, processed, states, peakStates, statesPerSlot, facts, program, seen } = env;
  if (log.level === 1) log.reset(0);
  writeCounts(log, env);
  const dead = program.steps.flatMap((step) =>
    step === undefined || seen[step.slot] === 1 ? [] : [step.slot],
  );
  return {
    accepted: true,
    processed,
    states,
    peakStates,
    statesPerInstruction: statesPerSlot,
    stackDepth,
    log: log.text(),
    facts: facts.bySlot(),
    dead,
  };
}

function refused(refusal: Refusal, options: VerifyOptions, log: Log, env: Environment | undefined): Refused {
  const { code, slot, lines, register, errno } = refusal;
  const line = slot < 0 ? undefined : lineAt(options.lines ?? [], slot);
  const shown = refusal.states.map(
    ([prefix, state]) => `${prefix}${formatFrame(state.frame, state.references, ALL_TOUCHED)}`,
  );
  const message = [...lines, ...shown].join(' | ');
  for (const each of [...lines, ...shown]) log.write(each);
  if (env !== undefined) writeCounts(log, env);
  return {
    accepted: false,
    fault: { code, slot, ...(register !== undefined && { register }) },
    message,
    errno,
    explanation: explain(code, slot, line),
    ...(line !== undefined && { line }),
    log: log.text(),
    processed: env?.processed ?? 0,
    states: env?.states ?? 0,
  };
}
