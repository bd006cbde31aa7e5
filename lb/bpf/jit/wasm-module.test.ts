import { describe, expect, it } from 'vitest';
import { ModuleBuilder } from './wasm-module.js';
import { PLAIN, type PlainOp } from './wasm-opcodes.js';

const I64 = { params: ['i64'], results: ['i64'] } as const;
const BINARY = { params: ['i64', 'i64'], results: ['i64'] } as const;

type Call = (...args: (number | bigint)[]) => number | bigint;
const exportsOf = (module: ModuleBuilder, imports: WebAssembly.Imports = {}): Record<string, Call> =>
  new WebAssembly.Instance(new WebAssembly.Module(module.finish()), imports).exports as Record<string, Call>;

describe('constants (LEB128)', () => {
  const values = [
    0n,
    1n,
    -1n,
    63n,
    64n,
    -64n,
    -65n,
    127n,
    128n,
    2n ** 31n - 1n,
    2n ** 31n,
    2n ** 32n,
    2n ** 63n - 1n,
    -(2n ** 63n),
  ];
  for (const value of values) {
    it(`i64.const ${value}`, () => {
      const module = new ModuleBuilder();
      const { ref, code } = module.declare({ params: [], results: ['i64'] }, 'f');
      code.i64(value);
      module.exportFunction('f', ref);
      expect(exportsOf(module).f?.()).toBe(value);
    });
  }
  for (const value of [0, -1, 63, 64, -64, -65, 0x7fffffff, -0x80000000]) {
    it(`i32.const ${value}`, () => {
      const module = new ModuleBuilder();
      const { ref, code } = module.declare({ params: [], results: ['i32'] }, 'f');
      code.i32(value);
      module.exportFunction('f', ref);
      expect(exportsOf(module).f?.()).toBe(value);
    });
  }
});

it('a u64 constant is the i64 of its bits', () => {
  const module = new ModuleBuilder();
  const { ref, code } = module.declare({ params: [], results: ['i64'] }, 'f');
  code.i64(0xffffffffffffffffn);
  module.exportFunction('f', ref);
  expect(exportsOf(module).f?.()).toBe(-1n);
});

describe('the opcode of an operation is that of its name', () => {
  const rows: readonly [PlainOp, bigint, bigint, bigint][] = [
    ['i64.add', 7n, 5n, 12n],
    ['i64.sub', 7n, 5n, 2n],
    ['i64.mul', 7n, 5n, 35n],
    ['i64.div_u', -1n, 2n, 2n ** 63n - 1n],
    ['i64.div_s', -7n, 2n, -3n],
    ['i64.rem_u', -1n, 10n, 5n],
    ['i64.rem_s', -7n, 2n, -1n],
    ['i64.and', 12n, 10n, 8n],
    ['i64.or', 12n, 10n, 14n],
    ['i64.xor', 12n, 10n, 6n],
    ['i64.shl', 1n, 65n, 2n],
    ['i64.shr_u', -1n, 63n, 1n],
    ['i64.shr_s', -8n, 1n, -4n],
    ['i64.rotl', 2n ** 62n, 3n, 2n],
  ];
  for (const [op, left, right, result] of rows) {
    it(op, () => {
      const module = new ModuleBuilder();
      const { ref, code } = module.declare(BINARY, 'f');
      code.get(0).get(1).op(op);
      module.exportFunction('f', ref);
      expect(exportsOf(module).f?.(left, right)).toBe(result);
    });
  }
  it('and no two names share one', () => {
    expect(new Set(Object.values(PLAIN)).size).toBe(Object.keys(PLAIN).length);
  });
});

it('locals come after parameters, by type in the order of their declaration', () => {
  const module = new ModuleBuilder();
  const { ref, code } = module.declare(I64, 'f');
  const a = code.local('i64', 'x');
  const b = code.local('i32', 'x');
  const c = code.local('i64', 'x');
  expect([a, b, c]).toEqual([1, 2, 3]);
  code.get(0).i64(1n).op('i64.add').set(a);
  code.i32(5).set(b);
  code.get(a).get(b).op('i64.extend_i32_u', 'i64.add').tee(c);
  module.exportFunction('f', ref);
  expect(exportsOf(module).f?.(10n)).toBe(16n);
});

it('a branch leaves as many blocks as it says, and repeats a loop', () => {
  const module = new ModuleBuilder();
  const { ref, code } = module.declare(I64, 'f');
  const sum = code.local('i64', 'x');
  // for (; n != 0; n--) sum += n
  code.block();
  code.loop();
  expect(code.depth).toBe(2);
  code.get(0).op('i64.eqz').brIf(1);
  code.get(sum).get(0).op('i64.add').set(sum);
  code.get(0).i64(1n).op('i64.sub').set(0);
  code.br(0).op('end', 'end');
  code.get(sum);
  module.exportFunction('f', ref);
  expect(exportsOf(module).f?.(100n)).toBe(5050n);
});

it('br_table takes the last target for every index beyond', () => {
  const module = new ModuleBuilder();
  const { ref, code } = module.declare({ params: ['i32'], results: ['i32'] }, 'f');
  code.block().block().get(0).brTable([0, 1]).op('end');
  code.i32(10).op('return', 'end').i32(20);
  module.exportFunction('f', ref);
  const { f } = exportsOf(module);
  expect([0, 1, 2, -1].map((index) => f?.(index))).toEqual([10, 20, 20, 20]);
});

it('functions call imports and each other, whatever the order of their declaration', () => {
  const module = new ModuleBuilder();
  const outer = module.declare(I64, 'f');
  const inner = module.declare(I64, 'f');
  const twice = module.importFunction('host', 'twice', I64);
  expect(module.importFunction('host', 'twice', I64)).toBe(twice);
  outer.code.get(0).call(inner.ref).i64(1n).op('i64.add');
  inner.code.get(0).call(twice);
  module.exportFunction('f', outer.ref);
  expect(exportsOf(module, { host: { twice: (value: bigint) => value * 2n } }).f?.(21n)).toBe(43n);
});

it('imports are those that were asked for, once each', () => {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', 2, 65536);
  const first = module.importGlobal('env', 'cpu', 'i32');
  expect(module.importGlobal('env', 'cpu', 'i32')).toBe(first);
  const { ref, code } = module.declare({ params: [], results: ['i32'] }, 'f');
  code.global(first);
  module.exportFunction('f', ref);
  const compiled = new WebAssembly.Module(module.finish());
  expect(WebAssembly.Module.imports(compiled).map(({ module, name, kind }) => [module, name, kind])).toEqual([
    ['env', 'cpu', 'global'],
    ['env', 'memory', 'memory'],
  ]);
});

it('atomics carry their natural alignment, plain accesses may be unaligned', () => {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', 1, 2);
  const load = module.declare({ params: ['i32'], results: ['i64'] }, 'f');
  load.code.get(0).memory('i64.load', 1);
  const add = module.declare({ params: ['i32', 'i64'], results: ['i64'] }, 'f');
  add.code.get(0).get(1).memory('i64.atomic.rmw.add', 8);
  module.exportFunction('load', load.ref);
  module.exportFunction('add', add.ref);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
  new DataView(memory.buffer).setBigUint64(8, 0x1122334455667788n, true);
  const wasm = exportsOf(module, { env: { memory } });
  expect(wasm.load?.(8)).toBe(0x11223344556677n);
  expect(wasm.add?.(0, 1n)).toBe(0x1122334455667788n);
  expect(wasm.add?.(0, 0n)).toBe(0x1122334455667789n);
  expect(() => wasm.add?.(4, 1n)).toThrow(WebAssembly.RuntimeError);
});

it('a body with an open block is a bug of the compiler', () => {
  const module = new ModuleBuilder();
  module.declare({ params: [], results: [] }, 'f').code.block();
  expect(() => module.finish()).toThrow(/blocks are left open/);
});
