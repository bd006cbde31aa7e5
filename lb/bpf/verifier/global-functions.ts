import type { Btf, BtfOf } from '../object/btf.js';
import { checkUnmoved } from './bounds.js';
import type { Environment } from './environment.js';
import { checkHelperMemory } from './helper-memory.js';
import { notNull } from './pointers.js';
import { Refusal, refuse } from './refusal.js';
import { MAYBE_NULL, mayBeNull, Register, TYPE } from './register.js';
import type { Frame } from './state.js';

/** What a global function takes, by its type. */
type Parameter =
  | { readonly kind: 'number' }
  | { readonly kind: 'context' }
  /** Memory of so many bytes; or NULL, unless its type says otherwise. */
  | { readonly kind: 'memory'; readonly bytes: number; readonly nullable: boolean };

const MAX_ARGUMENTS = 5;
/** The program's argument, as C has it. */
const CONTEXTS: Readonly<Record<string, readonly string[]>> = {
  xdp: ['xdp_md'],
  sched_cls: ['__sk_buff'],
};
const MAKES_CONTEXT = 'arg:ctx';
const NEVER_NULL = 'arg:nonnull';

/**
 * What a global function takes (Linux 6.18, kernel/bpf/btf.c, btf_prepare_func_args): only what every caller can be
 * held to without a look at the callers.
 * @throws Refusal
 */
function parametersOf(env: Environment, index: number): readonly Parameter[] {
  const { name, typeId } = env.program.subprograms[index]!;
  const { btf } = env.options;
  const func = btf === undefined || typeId === undefined ? undefined : btf.type(typeId);
  if (btf === undefined || func?.kind !== 'func')
    return refuse('VERIFY_TYPES', 'EINVAL', 'missing btf func_info');
  const proto = btf.type(func.type);
  if (proto.kind !== 'func-proto')
    return refuse('VERIFY_TYPES', 'EINVAL', `Type of ${name}() is not a function`);
  if (proto.params.length > MAX_ARGUMENTS) {
    const line = `Global function ${name}() with ${proto.params.length} > ${MAX_ARGUMENTS} args. Buggy compiler.`;
    return refuse('VERIFY_TYPES', 'EINVAL', line);
  }
  const result = btf.resolve(proto.type);
  if (result.kind !== 'int' && result.kind !== 'enum' && result.kind !== 'enum64') {
    const line = `Global function ${name}() return value not void or scalar. Only those are supported.`;
    return refuse('VERIFY_TYPES', 'EINVAL', line);
  }
  return proto.params.map(({ type }, place) => parameterOf(env, btf, { func, place, type }));
}

interface Place {
  readonly func: BtfOf<'func'>;
  /** Among the parameters. */
  readonly place: number;
  readonly type: number;
}

function parameterOf(env: Environment, btf: Btf, { func, place, type }: Place): Parameter {
  const known = btf.resolve(type);
  if (known.kind === 'int' || known.kind === 'enum' || known.kind === 'enum64') return { kind: 'number' };
  if (known.kind !== 'ptr') {
    return refuse(
      'VERIFY_TYPES',
      'EINVAL',
      `Arg#${place} type ${known.kind} in ${func.name}() is not supported yet.`,
    );
  }
  const tags = tagsOf(btf, func.id, place);
  const pointee = btf.resolve(known.type);
  if (tags.has(MAKES_CONTEXT) || CONTEXTS[env.user ?? '']?.includes(pointee.name) === true)
    return { kind: 'context' };
  if (pointee.kind === 'void' || pointee.kind === 'fwd' || pointee.kind === 'func-proto') {
    return refuse(
      'VERIFY_TYPES',
      'EINVAL',
      `arg#${place} reference type('${kindWord(pointee.kind)} ${pointee.name}') size cannot be determined: -22`,
    );
  }
  return { kind: 'memory', bytes: btf.sizeOf(pointee.id), nullable: !tags.has(NEVER_NULL) };
}

const kindWord = (kind: string) =>
  ({ void: 'UNKNOWN', fwd: 'FWD', 'func-proto': 'FUNC_PROTO' })[kind] ?? kind;

/** __attribute__((btf_decl_tag)) of a parameter. */
function tagsOf(btf: Btf, func: number, place: number): ReadonlySet<string> {
  const tags = new Set<string>();
  for (const type of btf.types) {
    if (type.kind === 'decl-tag' && type.type === func && type.component === place) tags.add(type.name);
  }
  return tags;
}

/** Give the first frame of a global function what its type promises. @throws Refusal */
export function setGlobalArguments(env: Environment, frame: Frame, index: number): void {
  for (const [place, parameter] of parametersOf(env, index).entries())
    frame.registers[place + 1] = argumentOf(env, parameter);
}

function argumentOf(env: Environment, parameter: Parameter): Register {
  if (parameter.kind === 'number') return Register.unknown();
  if (parameter.kind === 'context') return Register.pointer(TYPE.CONTEXT);
  const pointer = Register.pointer(TYPE.MEMORY | (parameter.nullable ? MAYBE_NULL : 0));
  if (parameter.nullable) pointer.id = env.newId();
  pointer.extent = parameter.bytes;
  return pointer;
}

/** That a call gives a global function what its type asks for. @throws Refusal */
export function checkGlobalCall(env: Environment, index: number): void {
  const { name } = env.program.subprograms[index]!;
  const wrong = `Caller passes invalid args into func#${index} ('${name}')`;
  for (const [place, parameter] of parametersOf(env, index).entries()) {
    try {
      checkGiven(env, parameter, place);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      throw new Refusal(error.code, error.errno, [...error.lines, wrong], error.register);
    }
  }
}

function checkGiven(env: Environment, parameter: Parameter, place: number): void {
  const number = place + 1;
  const register = env.frame.registers[number]!;
  const reject = (line: string) => refuse('VERIFY_ARGUMENT', 'EINVAL', line, number);
  switch (parameter.kind) {
    case 'number':
      if (!register.isScalar) reject(`R${number} is not a scalar`);
      return;
    case 'context':
      if (register.type !== TYPE.CONTEXT) reject(`arg#${place} expects pointer to ctx`);
      checkUnmoved(register, number);
      return;
    case 'memory':
      if (mayBeNull(register.type) && !parameter.nullable) reject(`arg#${place} is expected to be non-NULL`);
      if (register.isNull) {
        if (!parameter.nullable) reject(`arg#${place} is expected to be non-NULL`);
        return;
      }
      checkMemory(env, number, parameter.bytes);
  }
}

/** The function may read and write all of it. */
function checkMemory(env: Environment, number: number, size: number): void {
  const { registers } = env.frame;
  const given = registers[number]!;
  // The function looks whether it is NULL.
  if (mayBeNull(given.type)) registers[number] = notNull(given);
  for (const isWrite of [false, true])
    checkHelperMemory(env, { number, size, isWrite, isFilled: false, zeroAllowed: true });
  registers[number] = given;
}
