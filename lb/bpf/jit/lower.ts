import { assert, assertNever } from '../../errors.js';
import { bodyName, type HelperUser, helperById } from '../helpers/prototypes.js';
import type { Instruction, Of, Operand } from '../isa/instruction.js';
import type { AtomicName, JumpName } from '../isa/opcodes.js';
import type { ArenaMapInfo } from '../maps/registry.js';
import { STACK_FRAME_BYTES } from '../memory/layout.js';
import type { AnalysedFunction } from './analyse.js';
import { cloneState, type Place, type State, slotAround } from './facts.js';
import { JitError } from './fault.js';
import { lowerHelper } from './inline-helpers.js';
import { lowerArithmetic, SIGN_EXTEND } from './lower-alu.js';
import { lowerBuiltin, lowerPacketLoad } from './lower-control.js';
import { ACQUIRE, RELEASE, SIGNED_LOAD, STORE, UNSIGNED_LOAD } from './memory-ops.js';
import type { LeftOut } from './optimisations.js';
import { type FrameSlots, type Piece, pieceAt, placeName, type WordSource } from './slots.js';
import { frozenLoad, step } from './step.js';
import type { Shape } from './structure.js';
import type { CodeWriter, FunctionRef, GlobalRef, Signature, TableRef, TypeRef } from './wasm-code.js';
import type { ValueType } from './wasm-opcodes.js';

/** What the functions of one module share. */
export interface ModuleContext {
  readonly maps: readonly ArenaMapInfo[];
  readonly without: LeftOut;
  /** The program's. */
  readonly type: HelperUser;
  /** The function that starts at a slot. */
  functionAt(slot: number): FunctionRef;
  /** An export of the runtime, imported on demand. */
  runtime(name: string, signature: Signature): FunctionRef;
  /** env.cpu and env.block. */
  readonly cpu: () => GlobalRef;
  readonly block: () => GlobalRef;
  /** env.programs, and the type of the functions in it: MAIN. */
  readonly programs: () => TableRef;
  readonly mainType: () => TypeRef;
  /** Calls the function whose address is its last argument: DISPATCH. */
  readonly dispatch: () => FunctionRef;
}

/** Locals of one wasm function: r0 to r10, and the lowest address of its stack frame (i32). */
export interface FrameLocals {
  readonly registers: readonly number[];
  readonly frame: number;
}

/** Deepest nesting of wasm blocks. V8 takes 85 MB to compile a switch of 500 cases, and 2.5 GB for one of 4,000. */
const MAX_NESTING = 1000;

/** A function that is ready to be written out. */
export interface PlannedFunction {
  readonly fn: AnalysedFunction;
  /** New nodes of the graph → the number that each sets for the switch behind it. */
  readonly sets: ReadonlyMap<number, number>;
  readonly slots: FrameSlots;
  readonly shapes: readonly Shape[];
}

type Comparison = 'eq' | 'ne' | 'gt_u' | 'ge_u' | 'lt_u' | 'le_u' | 'gt_s' | 'ge_s' | 'lt_s' | 'le_s';
/** Conditions and their opposites; jset has no wasm instruction of its own. */
const COMPARISON: Record<Exclude<JumpName, 'jset'>, readonly [yes: Comparison, no: Comparison]> = {
  jeq: ['eq', 'ne'],
  jne: ['ne', 'eq'],
  jgt: ['gt_u', 'le_u'],
  jge: ['ge_u', 'lt_u'],
  jlt: ['lt_u', 'ge_u'],
  jle: ['le_u', 'gt_u'],
  jsgt: ['gt_s', 'le_s'],
  jsge: ['ge_s', 'lt_s'],
  jslt: ['lt_s', 'ge_s'],
  jsle: ['le_s', 'gt_s'],
};

/** Translates the blocks of one BPF function into one wasm body. */
export class FunctionCode {
  readonly w: CodeWriter;
  readonly module: ModuleContext;
  readonly locals: FrameLocals;
  readonly #fn: AnalysedFunction;
  readonly #sets: ReadonlyMap<number, number>;
  readonly #slots: FrameSlots;
  readonly #shapes: readonly Shape[];
  readonly #placeLocals = new Map<string, number>();
  readonly #scratch = new Map<string, number>();
  /** Writes the end of the function: r0 into what the wasm function returns. */
  readonly #leave: (code: FunctionCode) => void;
  /** Set for each switch, read by its br_table. */
  #next: number | undefined;

  constructor(
    writer: CodeWriter,
    module: ModuleContext,
    locals: FrameLocals,
    { fn, sets, slots, shapes }: PlannedFunction,
    leave: (code: FunctionCode) => void,
  ) {
    this.w = writer;
    this.module = module;
    this.locals = locals;
    this.#fn = fn;
    this.#sets = sets;
    this.#slots = slots;
    this.#shapes = shapes;
    this.#leave = leave;
  }

  /** The end of the function, from wherever in it. */
  leave(): void {
    this.#leave(this);
    this.w.op('return');
  }

  /** A local for use within one instruction. */
  scratch(type: ValueType, name: string): number {
    const key = `${type}:${name}`;
    const known = this.#scratch.get(key);
    if (known !== undefined) return known;
    const local = this.w.local(type, name);
    this.#scratch.set(key, local);
    return local;
  }

  /** Registers above r10 are the compiler's own: see `mergeAccesses`. */
  #local(register: number): number {
    return this.locals.registers[register] ?? this.scratch('i64', `x${register}`);
  }

  pushRegister(register: number): void {
    this.w.get(this.#local(register));
  }

  /** The low 32 bits. */
  pushRegister32(register: number): void {
    this.pushRegister(register);
    this.w.op('i32.wrap_i64');
  }

  setRegister(register: number): void {
    this.w.set(this.#local(register));
  }

  setRegister32(register: number): void {
    this.w.op('i64.extend_i32_u');
    this.setRegister(register);
  }

  pushOperand(operand: Operand, width: 32 | 64): void {
    if (operand.kind === 'imm') {
      if (width === 64) this.w.i64(BigInt(operand.value));
      else this.w.i32(operand.value);
    } else if (width === 64) this.pushRegister(operand.reg);
    else this.pushRegister32(operand.reg);
  }

  /** The value on the stack, of the width, becomes the register: 32 bits are zero-extended (RFC 9669 §4.1). */
  setResult(register: number, width: 32 | 64): void {
    if (width === 64) this.setRegister(register);
    else this.setRegister32(register);
  }

  /** Bytes of the frame that locals hold, as an i64 that is zero above them. */
  pushPieces(pieces: readonly Piece[]): void {
    let at = 0;
    for (const { origin, from, bytes, fact } of pieces) {
      if (fact?.kind === 'constant') this.w.i64(fact.value << BigInt(8 * at));
      else {
        this.w.get(this.#placeLocal(origin));
        if (from > 0) this.w.i64(BigInt(8 * from)).op('i64.shr_u');
        // What the local has above the bytes that were stored was never in the frame.
        if (bytes === 4) this.w.op('i32.wrap_i64', 'i64.extend_i32_u');
        else if (bytes < 8 && from + bytes < 8) this.w.i64((1n << BigInt(8 * bytes)) - 1n).op('i64.and');
        if (at > 0) this.w.i64(BigInt(8 * at)).op('i64.shl');
      }
      if (at > 0) this.w.op('i64.or');
      at += bytes;
    }
  }

  /** A word behind an argument, an i64 that is zero above it. */
  pushWord({ register, offset, bytes, pieces }: WordSource, state: State): void {
    if (pieces) this.pushPieces(pieces);
    else this.w.memory(UNSIGNED_LOAD[bytes], this.pushAddress(register, offset, state));
  }

  /** Puts an address on the stack, less the static offset that is returned. */
  pushAddress(register: number, offset: number, state: State): number {
    const base = this.module.without.has('known-addresses') ? undefined : state.registers[register];
    const { w } = this;
    if (base?.kind === 'constant') {
      w.i32(Number(BigInt.asIntN(32, base.value + BigInt(offset))));
      return 0;
    }
    const inFrame = base?.kind === 'frame' ? STACK_FRAME_BYTES + base.offset + offset : -1;
    if (inFrame >= 0) {
      w.get(this.locals.frame);
      return inFrame;
    }
    this.pushRegister32(register);
    if (offset >= 0) return offset;
    // A static offset does not wrap: a negative one is added first.
    w.i32(offset).op('i32.add');
    return 0;
  }

  #placeLocal(place: Place): number {
    const name = placeName(place);
    assert(this.#slots.needed.has(name), `the local of ${name} is planned`);
    const known = this.#placeLocals.get(name);
    if (known !== undefined) return known;
    const local = this.w.local('i64', `fp${name}`);
    this.#placeLocals.set(name, local);
    return local;
  }

  /** The whole body. No path runs past its end. */
  write(): void {
    const { w } = this;
    // Lists of shapes that are open, innermost last: nesting can be deeper than a stack of calls.
    const open: { readonly shapes: readonly Shape[]; at: number; readonly label?: number }[] = [
      { shapes: this.#shapes, at: 0 },
    ];
    /** Label → depth at which it was opened. A label is open once at a time. */
    const labels = new Map<number, number>();
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      if (open.length > MAX_NESTING) throw this.#tooDeep();
      const shape = top.shapes[top.at++];
      if (shape === undefined) {
        open.pop();
        if (top.label !== undefined) labels.delete(top.label);
        if (open.length > 0) w.op('end');
        continue;
      }
      switch (shape.kind) {
        case 'block':
        case 'loop':
          labels.set(shape.label, w.depth);
          if (shape.kind === 'block') w.block();
          else w.loop();
          open.push({ shapes: shape.body, at: 0, label: shape.label });
          break;
        case 'if':
          this.#condition(shape.node, false);
          w.if();
          open.push({ shapes: shape.body, at: 0 });
          break;
        default:
          this.#shape(shape, labels);
      }
    }
    w.op('unreachable');
  }

  #tooDeep(): JitError {
    const { slot } = this.#fn;
    return new JitError(
      { code: 'JIT_NESTING', slot, max: MAX_NESTING },
      `slot ${slot}: the function's branches nest more than ${MAX_NESTING} deep, which only the interpreter can run`,
    );
  }

  #shape(
    shape: Exclude<Shape, { kind: 'block' | 'loop' | 'if' }>,
    labels: ReadonlyMap<number, number>,
  ): void {
    const { w } = this;
    /** Levels to leave to get to a label: it was opened at that depth. */
    const levels = (label: number): number => {
      const opened = labels.get(label);
      assert(opened !== undefined, `label ${label} is open`);
      return w.depth - 1 - opened;
    };
    switch (shape.kind) {
      case 'code':
        this.#code(shape.node);
        break;
      case 'br':
        w.br(levels(shape.label));
        break;
      case 'br-if':
        this.#condition(shape.node, shape.negate);
        w.brIf(levels(shape.label));
        break;
      case 'br-table':
        w.get(this.#nextLocal()).brTable(shape.labels.map(levels));
        break;
      case 'return':
        this.leave();
        break;
      default:
        assertNever(shape);
    }
  }

  #nextLocal(): number {
    this.#next ??= this.w.local('i32', 'next');
    return this.#next;
  }

  #code(node: number): void {
    const block = this.#fn.blocks[node];
    if (block === undefined) {
      const number = this.#sets.get(node);
      if (number !== undefined) this.w.i32(number).set(this.#nextLocal());
      return;
    }
    const state = cloneState(this.#fn.states[node]!);
    for (const instruction of block.instructions) {
      this.#instruction(instruction, state);
      step(state, instruction, this.#fn.context, this.#fn.isEscaped);
    }
  }

  #condition(node: number, negate: boolean): void {
    const branch = this.#fn.blocks[node]?.branch;
    assert(branch !== undefined, `node ${node} ends in a branch`);
    const { op, width, dst, src } = branch;
    const type = width === 64 ? 'i64' : 'i32';
    this.pushOperand({ kind: 'reg', reg: dst }, width);
    if (op !== 'jset' && src.kind === 'imm' && src.value === 0 && (op === 'jeq' || op === 'jne')) {
      if ((op === 'jeq') !== negate) this.w.op(`${type}.eqz`);
      else if (width === 64) this.w.i64(0n).op('i64.ne');
      return;
    }
    this.pushOperand(src, width);
    if (op === 'jset') {
      this.w.op(`${type}.and`, `${type}.eqz`);
      if (!negate) this.w.op('i32.eqz');
      return;
    }
    this.w.op(`${type}.${COMPARISON[op][negate ? 1 : 0]}`);
  }

  #instruction(instruction: Instruction, state: State): void {
    const { w } = this;
    switch (instruction.kind) {
      case 'alu':
      case 'neg':
      case 'movsx':
      case 'swap':
        lowerArithmetic(this, instruction);
        break;
      case 'imm64':
        w.i64(this.#immediate(instruction));
        this.setRegister(instruction.dst);
        break;
      case 'load':
        this.#load(instruction, state);
        break;
      case 'store':
        this.#store(instruction, state);
        break;
      case 'atomic':
        this.#atomic(instruction, state);
        break;
      case 'load-acquire':
        w.memory(ACQUIRE[instruction.bytes], this.pushAddress(instruction.src, instruction.off, state));
        this.setRegister(instruction.dst);
        break;
      case 'store-release': {
        const offset = this.pushAddress(instruction.dst, instruction.off, state);
        this.pushRegister(instruction.src);
        w.memory(RELEASE[instruction.bytes], offset);
        break;
      }
      case 'call-helper':
        this.#helper(instruction, state);
        break;
      case 'call-local':
        for (let register = 1; register <= 5; register++) this.pushRegister(register);
        w.get(this.locals.frame).i32(STACK_FRAME_BYTES).op('i32.sub');
        w.call(this.module.functionAt(instruction.target));
        this.setRegister(0);
        break;
      case 'packet-load':
        lowerPacketLoad(this, instruction);
        break;
      case 'jump':
      case 'branch':
      case 'exit':
        assert(false, 'control flow is not inside a block');
        break;
      default:
        assertNever(instruction);
    }
  }

  #immediate({ imm, slot }: Of<'imm64'>): bigint {
    switch (imm.kind) {
      case 'value':
        return imm.value;
      case 'map':
        return BigInt(this.#map(imm.map, slot).descriptor);
      case 'map-value':
        return BigInt(this.#map(imm.map, slot).data + imm.offset);
      case 'function':
        return BigInt(imm.target);
      case 'variable':
        throw new JitError(
          { code: 'JIT_UNSUPPORTED', slot, what: imm.kind },
          `slot ${slot}: there is no kernel here whose variable it could be`,
        );
      default:
        return assertNever(imm);
    }
  }

  #map(map: number, slot: number): ArenaMapInfo {
    const info = this.module.maps[map];
    if (info !== undefined) return info;
    const maps = this.module.maps.length;
    throw new JitError({ code: 'JIT_MAP', slot, map, maps }, `slot ${slot}: map ${map} of ${maps}`);
  }

  #load(instruction: Of<'load'>, state: State): void {
    const { bytes, signed, dst, src, off } = instruction;
    const { w } = this;
    const base = state.registers[src];
    const constant = frozenLoad(instruction, state, this.#fn.context);
    if (constant !== undefined) {
      w.i64(constant);
      this.setRegister(dst);
      return;
    }
    const offset = base?.kind === 'frame' ? base.offset + off : 0;
    const slot =
      base?.kind === 'frame' && this.#slots.inLocals ? slotAround(state, offset, bytes) : undefined;
    if (slot !== undefined) {
      this.pushPieces([pieceAt(slot, offset, bytes)]);
      const extend = bytes === 8 ? undefined : SIGN_EXTEND[64][(8 * bytes) as 8 | 16 | 32];
      if (signed && extend !== undefined) w.op(extend);
    } else w.memory((signed ? SIGNED_LOAD : UNSIGNED_LOAD)[bytes], this.pushAddress(src, off, state));
    this.setRegister(dst);
  }

  #store(instruction: Of<'store'>, state: State): void {
    const { bytes, dst, off, src } = instruction;
    const { w } = this;
    const base = state.registers[dst];
    const place = base?.kind === 'frame' ? { offset: base.offset + off, bytes } : undefined;
    if (place !== undefined && this.#slots.needed.has(placeName(place))) {
      this.pushOperand(src, 64);
      w.set(this.#placeLocal(place));
    }
    if (this.#slots.deadStores.has(instruction)) return;
    const offset = this.pushAddress(dst, off, state);
    this.pushOperand(src, 64);
    w.memory(STORE[bytes], offset);
  }

  /** RFC 9669 §5.3. 32-bit forms work on i32: the narrow forms of i64 compare all 64 bits of what is expected. */
  #atomic({ op, fetch, bytes, dst, src, off }: Of<'atomic'>, state: State): void {
    const { w } = this;
    const type = bytes === 8 ? 'i64' : 'i32';
    const push = (register: number) =>
      bytes === 8 ? this.pushRegister(register) : this.pushRegister32(register);
    const offset = this.pushAddress(dst, off, state);
    if (op === 'cmpxchg') push(0);
    push(src);
    w.memory(`${type}.atomic.rmw.${op satisfies AtomicName}`, offset);
    if (op === 'cmpxchg') this.setResult(0, bytes === 8 ? 64 : 32);
    else if (op === 'xchg' || fetch) this.setResult(src, bytes === 8 ? 64 : 32);
    else w.op('drop');
  }

  #helper(instruction: Of<'call-helper'>, state: State): void {
    const { id, slot } = instruction;
    const prototype = helperById(id);
    if (prototype === undefined)
      throw new JitError({ code: 'JIT_HELPER', slot, helper: id }, `slot ${slot}: helper ${id} is not known`);
    if (prototype.notOffered !== undefined) {
      throw new JitError(
        { code: 'JIT_HELPER', slot, helper: id },
        `slot ${slot}: helper ${prototype.name} is not offered: ${prototype.notOffered}`,
      );
    }
    if (lowerBuiltin(this, id, state)) {
      this.setRegister(0);
      return;
    }
    if (!lowerHelper(this, prototype.name, state)) {
      for (let register = 1; register <= prototype.args.length; register++) this.pushRegister(register);
      const params = prototype.args.map(() => 'i64' as const);
      const body = bodyName(prototype, this.module.type);
      this.w.call(this.module.runtime(body, { params, results: ['i64'] }));
    }
    this.setRegister(0);
  }
}
