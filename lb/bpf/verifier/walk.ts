import { assertNever } from '../../errors.js';
import { TAIL_CALL } from '../isa/builtins.js';
import type { Of } from '../isa/instruction.js';
import type { LineSpec } from '../object/spec.js';
import { followAtomic, followLoad, followStore } from './access.js';
import { followArithmetic } from './alu.js';
import { checkUnmoved } from './bounds.js';
import { followBranch } from './branches.js';
import { nextSlot } from './cfg.js';
import type { Environment } from './environment.js';
import { afterPacketLoad, afterTailCall, followCall, followExit } from './function-call.js';
import { setGlobalArguments } from './global-functions.js';
import { clobber, followHelper } from './helper-call.js';
import { KeptStates } from './kept-states.js';
import { lineAt } from './lines.js';
import { opcodeText } from './log-step.js';
import { checkTarget, readRegister, setRegister, setUnknown } from './operands.js';
import { MARK, type Step } from './program.js';
import { endPath, isVisited } from './prune.js';
import { checkNothingHeld } from './references.js';
import { Refusal, refuse } from './refusal.js';
import { Register, TYPE } from './register.js';
import { SlotUses } from './stack-liveness.js';
import { Frame, State } from './state.js';

const SKB_REGISTER = 6;

/**
 * Follow every path through the program, and through each global function that one of them calls (Linux 6.18,
 * kernel/bpf/verifier.c, do_check).
 * @throws Refusal with its slot
 */
export function walkProgram(env: Environment): void {
  walkFunction(env, 0);
  const { subprograms } = env.program;
  const proved = new Set<number>();
  for (let again = true; again; ) {
    again = false;
    for (const [index, subprogram] of subprograms.entries()) {
      if (subprogram.linkage !== 'global' || !subprogram.isCalled || proved.has(index)) continue;
      walkFunction(env, index);
      env.log.write(`Func#${index} ('${subprogram.name}') is safe for any args that match its prototype`);
      proved.add(index);
      again = true;
    }
  }
}

function walkFunction(env: Environment, index: number): void {
  const { steps, subprograms, graph } = env.program;
  const frame = Frame.entry(0, -1, index, new SlotUses(graph, subprograms, index));
  env.state = new State([frame], undefined);
  env.kept = new KeptStates(steps.length);
  env.statesNow = 0;
  env.slot = subprograms[index]!.start;
  env.previous = -1;
  env.state.first = env.slot;
  env.log.touchAll();
  if (index === 0) frame.registers[1] = Register.pointer(TYPE.CONTEXT);
  else {
    env.log.write(`Validating ${subprograms[index]!.name}() func#${index}...`);
    setGlobalArguments(env, frame, index);
  }
  try {
    walk(env);
  } catch (error) {
    if (error instanceof Refusal) error.slot = env.slot;
    throw error;
  }
  if (env.log.level === 1) env.log.reset(0);
}

function walk(env: Environment): void {
  const { program, log } = env;
  let isOtherPath = true;
  let previous = -1;
  for (;;) {
    env.enter();
    env.previous = previous;
    const { slot, state } = env;
    const step = program.steps[slot];
    if (step === undefined) {
      refuse('VERIFY_JUMP', 'EFAULT', `invalid insn idx ${slot} insn_cnt ${program.steps.length}`);
      return;
    }
    env.processed += 1;
    if (env.processed > env.limit) {
      refuse('VERIFY_TOO_LARGE', 'E2BIG', `BPF program is too large. Processed ${env.processed} insn`);
    }
    state.last = previous;
    state.slot = slot;
    const marks = program.marks[slot]!;
    let next: number | undefined;
    if ((marks & MARK.PRUNE) !== 0 && isVisited(env)) {
      if (log.isOn) log.write(isOtherPath ? `\nfrom ${previous} to ${slot}: safe` : `${slot}: safe`);
    } else {
      if ((marks & MARK.JUMP) !== 0) env.note();
      if (log.isOn) writeStep(env, step, previous, isOtherPath);
      isOtherPath = false;
      env.seen[slot] = 1;
      previous = slot;
      next = follow(env, step);
      if (step.kind === 'exit' && next !== undefined) isOtherPath = true;
    }
    if (next !== undefined) {
      env.slot = next;
      continue;
    }
    log.touchAll();
    endPath(env);
    const pending = env.pending.pop();
    if (pending === undefined) return;
    env.state = pending.state;
    env.slot = pending.slot;
    previous = pending.previous;
    if (log.level === 1) log.reset(pending.logPosition);
    isOtherPath = true;
  }
}

function writeStep(env: Environment, step: Step, previous: number, isOtherPath: boolean): void {
  const { log, state, slot } = env;
  if (log.level === 2 && isOtherPath) {
    const from = slot === 0 && previous < 0 ? `${slot}:` : `\nfrom ${previous} to ${slot}:`;
    if (previous >= 0) log.writeFrame(from, state, state.frame);
  }
  if (log.isTouched) log.writeChanges(state, slot);
  writeSource(env);
  log.writeStep(`${slot}: ${opcodeText(env, step)}`);
}

/** The source line, where one begins. */
function writeSource({ options, slot, log }: Environment): void {
  const line = lineAt(options.lines ?? [], slot);
  if (line === undefined || isSameLine(line, log.lastLine)) return;
  log.lastLine = line;
  log.write(`; ${line.text.trim()} @ ${line.file.split('/').at(-1) ?? ''}:${line.line}`);
}

/** Entries for columns of one line are one line of the log. */
const isSameLine = (line: LineSpec, last: LineSpec | undefined) =>
  last !== undefined && line.line === last.line && line.fileOffset === last.fileOffset;

/** @returns the slot to go on from; undefined where the path is at its end */
function follow(env: Environment, step: Step): number | undefined {
  const wrong = env.program.wrong.get(step.slot);
  if (wrong !== undefined) refuse('VERIFY_ENCODING', 'EINVAL', wrong);
  switch (step.kind) {
    case 'alu':
    case 'neg':
    case 'movsx':
    case 'swap':
      followArithmetic(env, step);
      return step.slot + 1;
    case 'imm64':
      followImmediate(env, step);
      return nextSlot(step);
    case 'load':
    case 'load-acquire':
      followLoad(env, step);
      return step.slot + 1;
    case 'store':
    case 'store-release':
      followStore(env, step);
      return step.slot + 1;
    case 'atomic':
      followAtomic(env, step);
      return step.slot + 1;
    case 'packet-load':
      followPacketLoad(env, step);
      return afterPacketLoad(env, step.slot);
    case 'jump':
      env.jumps += 1;
      return step.target;
    case 'branch':
      env.jumps += 1;
      return followBranch(env, step);
    case 'call-helper':
      env.jumps += 1;
      followHelper(env, step);
      return step.id === TAIL_CALL ? afterTailCall(env, step.slot) : step.slot + 1;
    case 'call-local':
      env.jumps += 1;
      return followCall(env, step);
    case 'exit':
      env.jumps += 1;
      return followExit(env);
    default:
      return assertNever(step);
  }
}

function followImmediate(env: Environment, { dst, imm }: Of<'imm64'>): void {
  checkTarget(env, dst);
  switch (imm.kind) {
    case 'value':
      setRegister(
        env,
        dst,
        Register.constant(Number(BigInt.asIntN(32, imm.value >> 32n)), Number(BigInt.asIntN(32, imm.value))),
      );
      return;
    case 'map':
    case 'map-value': {
      const pointer = Register.pointer(imm.kind === 'map' ? TYPE.MAP : TYPE.MAP_VALUE);
      pointer.map = env.maps[imm.map];
      if (imm.kind === 'map-value') pointer.off = imm.offset;
      setRegister(env, dst, pointer);
      return;
    }
    case 'function':
      setRegister(env, dst, functionPointer(env, imm.target));
      return;
    case 'variable':
      refuse('VERIFY_MAP_REFERENCE', 'EINVAL', `invalid btf_id ${imm.id}`);
  }
}

function functionPointer({ program, options }: Environment, target: number): Register {
  const index = program.subprograms.findIndex(({ start }) => start === target);
  if (options.btf === undefined || options.functions?.some(({ typeId }) => typeId === undefined) !== false)
    refuse('VERIFY_TYPES', 'EINVAL', 'missing btf func_info');
  if (program.subprograms[index]?.linkage !== 'static')
    refuse('VERIFY_CALLBACK', 'EINVAL', 'callback function not static');
  const pointer = Register.pointer(TYPE.FUNCTION);
  pointer.place = index;
  return pointer;
}

/** LD_ABS and LD_IND, which only programs with a socket buffer have. */
function followPacketLoad(env: Environment, step: Of<'packet-load'>): void {
  if (env.user !== 'sched_cls') {
    refuse('VERIFY_PACKET_LOAD', 'EINVAL', 'BPF_LD_[ABS|IND] instructions not allowed for this program type');
  }
  const context = readRegister(env, SKB_REGISTER);
  checkNothingHeld(env, 'BPF_LD_[ABS|IND]', true);
  if (context.type !== TYPE.CONTEXT)
    refuse('VERIFY_PACKET_LOAD', 'EINVAL', 'at the time of BPF_LD_ABS|IND R6 != pointer to skb');
  if (step.mode === 'ind') readRegister(env, step.src);
  checkUnmoved(context, SKB_REGISTER);
  clobber(env);
  setUnknown(env, 0);
}
