import { assert } from '../../errors.js';
import type { Signature } from './wasm-code.js';
import {
  CONTROL,
  EMPTY_BLOCK,
  MEMORY,
  type MemoryOp,
  PLAIN,
  type PlainOp,
  TABLE_SIZE,
  VALUE_TYPES,
  type ValueType,
} from './wasm-opcodes.js';
import {
  type ModuleContent,
  type ModuleFunction,
  type ModuleImport,
  readModule,
  WasmReader,
} from './wasm-reader.js';

const PLAIN_NAMES: ReadonlyMap<number, PlainOp> = new Map(
  (Object.entries(PLAIN) as [PlainOp, number][]).map(([name, code]) => [code, name]),
);
const CONTROL_NAMES: ReadonlyMap<number, keyof typeof CONTROL> = new Map(
  (Object.entries(CONTROL) as [keyof typeof CONTROL, number][]).map(([name, code]) => [code, name]),
);
const MEMORY_NAMES: ReadonlyMap<string, MemoryOp> = new Map(
  (Object.entries(MEMORY) as [MemoryOp, { readonly code: readonly number[] }][]).map(([name, { code }]) => [
    code.join(),
    name,
  ]),
);
const TYPE_NAMES: ReadonlyMap<number, ValueType> = new Map(
  (Object.entries(VALUE_TYPES) as [ValueType, number][]).map(([name, code]) => [code, name]),
);
const ATOMIC_PREFIX = 0xfe;
const OPENING: ReadonlySet<string> = new Set(['block', 'loop', 'if']);

const identifier = (name: string) => `$${name.replaceAll(/[^\w!#$%&'*+\-./:<=>?@\\^`|~]/g, '-')}`;

/** Names by index, each once: one that is taken gets its index behind it. */
function identifiers(count: number, nameOf: (index: number) => string): string[] {
  const taken = new Set<string>();
  return Array.from({ length: count }, (_, index) => {
    const plain = identifier(nameOf(index));
    const name = taken.has(plain) ? `${plain}.${index}` : plain;
    taken.add(name);
    return name;
  });
}

/** Names of what instructions give by index. */
interface Scope {
  readonly types: readonly Signature[];
  readonly functions: readonly string[];
  readonly globals: readonly string[];
  readonly tables: readonly string[];
}

const signatureText = ({ params, results }: Signature): string =>
  [
    ...(params.length > 0 ? [`(param ${params.join(' ')})`] : []),
    ...(results.length > 0 ? [`(result ${results.join(' ')})`] : []),
  ].join(' ');

/** The instructions of one body as lines, two spaces further in for each block. */
class BodyText {
  readonly #reader: WasmReader;
  readonly #scope: Scope;
  readonly #locals: readonly string[];
  readonly lines: string[] = [];
  /** Labels of the open blocks, innermost last. */
  readonly #labels: string[] = [];
  #opened = 0;

  constructor(code: Uint8Array, scope: Scope, locals: readonly string[]) {
    this.#reader = new WasmReader(code);
    this.#scope = scope;
    this.#locals = locals;
    while (!this.#reader.isAtEnd) this.#instruction();
    // The last `end` is the function's own, which the parenthesis stands for.
    this.lines.pop();
  }

  #line(text: string, depth = this.#labels.length): void {
    this.lines.push(`${'  '.repeat(depth)}${text}`);
  }

  #instruction(): void {
    const code = this.#reader.byte();
    const plain = PLAIN_NAMES.get(code);
    if (plain !== undefined) this.#plain(plain);
    else if (code === ATOMIC_PREFIX) this.#memory([code, this.#reader.byte()]);
    else {
      const control = CONTROL_NAMES.get(code);
      if (control === undefined) this.#memory([code]);
      else {
        const text = this.#control(control);
        this.#line(text, this.#labels.length - (OPENING.has(control) ? 1 : 0));
      }
    }
  }

  #plain(op: PlainOp): void {
    if (op === 'end') this.#labels.pop();
    this.#line(op, op === 'else' ? this.#labels.length - 1 : this.#labels.length);
  }

  #memory(code: readonly number[]): void {
    const op = MEMORY_NAMES.get(code.join());
    assert(op !== undefined, `opcode ${code.map((each) => each.toString(16)).join(' ')} is one of ours`);
    const log2 = this.#reader.u32();
    const offset = this.#reader.u32();
    const align = log2 === MEMORY[op].log2 ? '' : ` align=${1 << log2}`;
    this.#line(`${op}${offset === 0 ? '' : ` offset=${offset}`}${align}`);
  }

  #block(op: 'block' | 'loop' | 'if'): string {
    const type = this.#reader.byte();
    const result = type === EMPTY_BLOCK ? '' : ` (result ${TYPE_NAMES.get(type)})`;
    const label = `$${op[0]}${this.#opened++}`;
    this.#labels.push(label);
    return `${op} ${label}${result}`;
  }

  #label(): string {
    const label = this.#labels.at(-1 - this.#reader.u32());
    assert(label !== undefined, 'a branch goes to a block that is open');
    return label;
  }

  /** An instruction with immediates, or the line of a block that it opens. */
  #control(op: keyof typeof CONTROL): string {
    const reader = this.#reader;
    const local = () => this.#locals[reader.u32()];
    switch (op) {
      case 'block':
      case 'loop':
      case 'if':
        return this.#block(op);
      case 'br':
        return `br ${this.#label()}`;
      case 'brIf':
        return `br_if ${this.#label()}`;
      case 'brTable': {
        const count = reader.u32() + 1;
        return `br_table ${Array.from({ length: count }, () => this.#label()).join(' ')}`;
      }
      case 'call':
        return `call ${this.#scope.functions[reader.u32()]}`;
      case 'returnCallIndirect': {
        const type = this.#scope.types[reader.u32()]!;
        return `return_call_indirect ${this.#scope.tables[reader.u32()]} ${signatureText(type)}`;
      }
      case 'localGet':
        return `local.get ${local()}`;
      case 'localSet':
        return `local.set ${local()}`;
      case 'localTee':
        return `local.tee ${local()}`;
      case 'globalGet':
        return `global.get ${this.#scope.globals[reader.u32()]}`;
      case 'tableGet':
        return `table.get ${this.#scope.tables[reader.u32()]}`;
      case 'i32Const':
        return `i32.const ${reader.signed()}`;
      case 'i64Const':
        return `i64.const ${reader.signed()}`;
      case 'misc': {
        const operation = reader.u32();
        assert(operation === TABLE_SIZE, 'the compiler uses table.size alone');
        return `table.size ${this.#scope.tables[reader.u32()]}`;
      }
    }
  }
}

function importText(each: ModuleImport, name: string, types: readonly Signature[]): string {
  const from = `(import "${each.module}" "${each.name}"`;
  switch (each.kind) {
    case 'function': {
      const signature = signatureText(types[each.type]!);
      return `${from} (func ${name}${signature === '' ? '' : ` ${signature}`}))`;
    }
    case 'table':
      return `${from} (table ${name} ${each.min} funcref))`;
    case 'memory':
      return `${from} (memory ${each.min}${each.max === undefined ? '' : ` ${each.max}`}${each.shared ? ' shared' : ''}))`;
    case 'global':
      return `${from} (global ${name} ${each.mutable ? `(mut ${each.type})` : each.type}))`;
  }
}

function functionText(module: ModuleContent, fn: ModuleFunction, index: number, scope: Scope): string[] {
  const { params, results } = scope.types[fn.type]!;
  const names = module.localNames.get(index);
  const locals = identifiers(params.length + fn.locals.length, (local) => names?.get(local) ?? `${local}`);
  const exported = module.exports.get(index);
  const head = [
    `(func ${scope.functions[index]}`,
    ...(exported === undefined ? [] : [`(export "${exported}")`]),
    ...params.map((type, local) => `(param ${locals[local]} ${type})`),
    ...(results.length > 0 ? [`(result ${results.join(' ')})`] : []),
  ].join(' ');
  const body = new BodyText(fn.code, scope, locals);
  const used = new Set(
    body.lines
      .join('\n')
      .match(/local\.\w+ \S+/g)
      ?.map((each) => each.split(' ')[1]),
  );
  const declared = fn.locals.flatMap((type, local) => {
    const name = locals[params.length + local]!;
    // What is not used is left out: its absence changes nothing.
    return used.has(name) ? [`(local ${name} ${type})`] : [];
  });
  return [
    head,
    ...(declared.length > 0 ? [`  ${declared.join(' ')}`] : []),
    ...body.lines.map((line) => `  ${line}`),
    ')',
  ];
}

export interface WatOptions {
  /** Names of the exports whose functions are wanted, without the rest of the module; the whole module unless given. */
  readonly only?: readonly string[];
}

/**
 * A compiled program as text (Core Specification §6, the flat form). With `names` from compileProgram registers are
 * r0 to r10; else functions and locals are numbers.
 * @param wasm what compileProgram gave
 */
export function formatWat(wasm: Uint8Array, { only }: WatOptions = {}): string {
  const module = readModule(wasm);
  const of = (kind: ModuleImport['kind']) => module.imports.filter((each) => each.kind === kind);
  const imported = of('function');
  const scope: Scope = {
    types: module.types,
    functions: identifiers(
      imported.length + module.functions.length,
      (index) =>
        module.functionNames.get(index) ?? imported[index]?.name ?? module.exports.get(index) ?? `${index}`,
    ),
    globals: identifiers(of('global').length, (index) => of('global')[index]!.name),
    tables: identifiers(of('table').length, (index) => of('table')[index]!.name),
  };
  const functions = module.functions.map((fn, i) => ({ fn, index: imported.length + i }));
  const text = ({ fn, index }: { readonly fn: ModuleFunction; readonly index: number }) =>
    functionText(module, fn, index, scope);
  if (only !== undefined) {
    const wanted = functions.filter(({ index }) => only.includes(module.exports.get(index) ?? ''));
    return wanted.flatMap(text).join('\n');
  }
  const imports = module.imports.map((each) => {
    const names =
      each.kind === 'function' ? scope.functions : each.kind === 'global' ? scope.globals : scope.tables;
    return importText(each, names[of(each.kind).indexOf(each)] ?? '', module.types);
  });
  return [`(module`, ...[...imports, ...functions.flatMap(text)].map((line) => `  ${line}`), ')'].join('\n');
}
