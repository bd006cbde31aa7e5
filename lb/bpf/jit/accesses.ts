import { type ArgumentKind, type HelperPrototype, helperById } from '../helpers/prototypes.js';
import type { Instruction } from '../isa/instruction.js';
import type { ArenaMapInfo } from '../maps/registry.js';
import { type Access, type FactContext, isStackPointer, type State } from './facts.js';
import { trackedResult } from './fold.js';

/** Length of struct bpf_dynptr. */
const DYNPTR_BYTES = 16;

/** Map that a register names, for its layout: the map itself or the template of inner maps. */
function mapIn(
  state: State,
  register: number,
  maps: readonly ArenaMapInfo[],
): Pick<ArenaMapInfo, 'keySize' | 'valueSize'> | undefined {
  const fact = state.registers[register];
  if (fact?.kind === 'map') return maps[fact.map];
  if (fact?.kind === 'inner-map') return maps[fact.map]?.inner;
  return undefined;
}

type Touch = 'read' | 'write' | 'both';
/** Where the length of what an argument points at comes from; bytes, or 'all' that lies behind the pointer. */
type Length = 'key' | 'value' | 'next argument' | 'all' | number;

/** What a helper does to the memory of its arguments; kinds that are not here touch no stack. */
const TOUCHES: Partial<Record<ArgumentKind & string, readonly [Touch, Length]>> = {
  'map-key': ['read', 'key'],
  'map-value': ['read', 'value'],
  'map-value-write': ['write', 'value'],
  memory: ['read', 'next argument'],
  'memory-or-null': ['read', 'next argument'],
  'memory-write': ['write', 'next argument'],
  'memory-write-or-null': ['write', 'next argument'],
  'memory-update': ['both', 'next argument'],
  'stack-or-null': ['both', 'all'],
  dynptr: ['both', DYNPTR_BYTES],
  'dynptr-new-ringbuf': ['write', DYNPTR_BYTES],
  'dynptr-new-local': ['write', DYNPTR_BYTES],
  'dynptr-release-ringbuf': ['both', DYNPTR_BYTES],
};

const touchOf = (kind: ArgumentKind): readonly [Touch, Length] | undefined =>
  typeof kind === 'string' ? TOUCHES[kind] : [kind.access, kind.bytes];

/** Kinds through which no pointer leaves sight, beside the memory of TOUCHES. */
const KEPT: ReadonlySet<string> = new Set([
  'scalar',
  'context',
  'map',
  'size',
  'alloc-size',
  'constant-string',
  'function',
  'spin-lock',
  'timer',
  'record-release',
]);

/** Whether a helper may do with an argument what TOUCHES does not tell: print what it points at, hand it to a callback. */
const losesSight = (kind: ArgumentKind): boolean =>
  kind === 'stack-or-null' || (touchOf(kind) === undefined && !KEPT.has(kind as string));

function lengthOf(length: Length, register: number, state: State, context: FactContext): number {
  if (typeof length === 'number') return length;
  switch (length) {
    case 'all':
      return Infinity;
    case 'next argument': {
      const size = state.registers[register + 1];
      return size?.kind === 'constant' ? Number(size.value) : Infinity;
    }
    // The map is always the first argument.
    case 'key':
      return mapIn(state, 1, context.maps)?.keySize ?? Infinity;
    case 'value':
      return mapIn(state, 1, context.maps)?.valueSize ?? Infinity;
  }
}

function helperAccesses(prototype: HelperPrototype, state: State, context: FactContext): Access[] {
  return prototype.args.flatMap((kind, index): Access[] => {
    const touch = touchOf(kind);
    if (touch === undefined) return [];
    const [how, length] = touch;
    const register = index + 1;
    const base = state.registers[register];
    const range = { base, start: 0, end: lengthOf(length, register, state, context) };
    return [
      ...(how === 'write' ? [] : [{ ...range, write: false }]),
      ...(how === 'read' ? [] : [{ ...range, write: true }]),
    ];
  });
}

/** Memory that an instruction reads or writes. */
export function accesses(instruction: Instruction, state: State, context: FactContext): Access[] {
  const at = (register: number, offset: number, bytes: number, write: boolean): Access => ({
    base: state.registers[register],
    start: offset,
    end: offset + bytes,
    write,
  });
  switch (instruction.kind) {
    case 'load':
    case 'load-acquire':
      return [at(instruction.src, instruction.off, instruction.bytes, false)];
    case 'store':
    case 'store-release':
      return [at(instruction.dst, instruction.off, instruction.bytes, true)];
    case 'atomic':
      return [false, true].map((write) => at(instruction.dst, instruction.off, instruction.bytes, write));
    case 'call-helper': {
      const prototype = helperById(instruction.id);
      return prototype === undefined ? [] : helperAccesses(prototype, state, context);
    }
    case 'call-local':
      return [1, 2, 3, 4, 5].flatMap((register): Access[] => {
        const base = state.registers[register];
        const use = context.uses.get(instruction.target)?.[register];
        if (!isStackPointer(base) || use === undefined) return [];
        return [
          ...use.reads.map((range) => ({ ...range, base, write: false })),
          ...use.writes.map((range) => ({ ...range, base, write: true })),
        ];
      });
    default:
      return [];
  }
}

/** Registers whose value leaves the function's sight here: what is stored, returned, or passed where use is not known. */
export function escapingRegisters(instruction: Instruction, state: State, context: FactContext): number[] {
  switch (instruction.kind) {
    case 'store':
      return instruction.src.kind === 'reg' ? [instruction.src.reg] : [];
    case 'store-release':
      return [instruction.src];
    case 'atomic':
      return [instruction.src, 0];
    case 'call-helper': {
      const args = helperById(instruction.id)?.args;
      if (args === undefined) return [1, 2, 3, 4, 5];
      return args.flatMap((kind, index) => (losesSight(kind) ? [index + 1] : []));
    }
    case 'call-local':
      return [1, 2, 3, 4, 5].filter(
        (register) => context.uses.get(instruction.target)?.[register]?.escapes !== false,
      );
    case 'exit':
      return [0];
    default: {
      // Whatever computes with a pointer and does not keep track of it.
      const after = trackedResult(instruction, state);
      return isStackPointer(after) ? [] : operandRegisters(instruction);
    }
  }
}

function operandRegisters(instruction: Instruction): number[] {
  switch (instruction.kind) {
    case 'alu':
      return [
        ...(instruction.op === 'mov' ? [] : [instruction.dst]),
        ...(instruction.src.kind === 'reg' ? [instruction.src.reg] : []),
      ];
    case 'neg':
    case 'swap':
      return [instruction.dst];
    case 'movsx':
      return [instruction.src];
    default:
      return [];
  }
}
