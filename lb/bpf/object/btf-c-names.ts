import type { Btf, BtfOf, BtfType } from './btf.js';

// Words of C11 that a name cannot be (ISO/IEC 9899:2011 §6.4.1), and those that clang and gcc add in their GNU mode.
const KEYWORDS = new Set(
  (
    'auto break case char const continue default do double else enum extern float for goto if inline int long ' +
    'register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while ' +
    '_Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert _Thread_local asm typeof'
  ).split(' '),
);

// Names of ints that a C compiler knows, with their bytes on a 64-bit target; any other is spelled by its size.
const C_INTS: Readonly<Record<string, number>> = {
  char: 1,
  'signed char': 1,
  'unsigned char': 1,
  _Bool: 1,
  short: 2,
  'short int': 2,
  'unsigned short': 2,
  'short unsigned int': 2,
  int: 4,
  unsigned: 4,
  'unsigned int': 4,
  long: 8,
  'long int': 8,
  'unsigned long': 8,
  'long unsigned int': 8,
  'long long': 8,
  'long long int': 8,
  'unsigned long long': 8,
  'long long unsigned int': 8,
  __int128: 16,
  'unsigned __int128': 16,
  '__int128 unsigned': 16,
};
const INT_BY_SIZE = new Map([
  [1, 'char'],
  [2, 'short'],
  [4, 'int'],
  [8, 'long long'],
  [16, '__int128'],
]);
const FLOAT_BY_SIZE = new Map([
  [2, '_Float16'],
  [4, 'float'],
  [8, 'double'],
  [16, 'long double'],
]);
const INT_SIGNED = 1;
const INT_BOOL = 4;

/** C spelling of an int; undefined for a size that no C type has. */
export function intInC({ name, sizeBytes, encoding }: BtfOf<'int'>): string | undefined {
  if (C_INTS[name] === sizeBytes) return name;
  if ((encoding & INT_BOOL) !== 0 && sizeBytes === 1) return '_Bool';
  const word = INT_BY_SIZE.get(sizeBytes);
  if (word === undefined) return undefined;
  return `${(encoding & INT_SIGNED) !== 0 ? 'signed' : 'unsigned'} ${word}`;
}

/** C spelling of a floating-point type; undefined for a size that no C type has. */
export function floatInC(type: BtfOf<'float'>): string | undefined {
  return FLOAT_BY_SIZE.get(type.sizeBytes);
}

/** A name as C can have it: characters that it cannot have become `_`, a word of the language gets one behind. */
export function identifier(name: string): string {
  const text = name.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=[0-9])/, '_');
  return KEYWORDS.has(text) ? `${text}_` : text;
}

type Tagged = BtfOf<'struct' | 'union' | 'enum' | 'enum64' | 'fwd'>;
const isTagged = (type: BtfType): type is Tagged =>
  type.kind === 'struct' ||
  type.kind === 'union' ||
  type.kind === 'enum' ||
  type.kind === 'enum64' ||
  type.kind === 'fwd';
/** The word before a tag. */
export const tagWord = (type: Tagged): 'struct' | 'union' | 'enum' =>
  type.kind === 'fwd' ? type.of : type.kind === 'enum64' ? 'enum' : type.kind;

/** Names given out in one name space: the second of a name gets `___2` behind, as CO-RE ignores it. */
class NameSpace {
  readonly #taken = new Map<string, number>();

  claim(name: string): string {
    const base = identifier(name);
    for (;;) {
      const count = (this.#taken.get(base) ?? 0) + 1;
      this.#taken.set(base, count);
      if (count === 1) return base;
      const other = `${base}___${count}`;
      if (!this.#taken.has(other)) {
        this.#taken.set(other, 1);
        return other;
      }
    }
  }
}

/**
 * C names of the types of one BTF. Tags are one name space, typedefs and enumerators another (C11 §6.2.3); where types
 * of several compilations were merged, as in the kernel's BTF, a name may be there twice.
 */
export class CNames {
  readonly #tags = new Map<number, string>();
  readonly #definitions = new Map<string, Tagged>();
  readonly #typedefs = new Map<number, string>();
  readonly #enumerators = new Map<number, readonly string[]>();

  constructor(btf: Btf) {
    const tags = new NameSpace();
    const ordinary = new NameSpace();
    const tagged = btf.types.filter(isTagged);
    // A forward declaration is of the first definition of its name, wherever that stands.
    for (const type of [...tagged.filter(({ kind }) => kind !== 'fwd'), ...tagged]) {
      if (type.name === '' || this.#tags.has(type.id)) continue;
      const key = `${tagWord(type)} ${type.name}`;
      const first = this.#definitions.get(key);
      if (type.kind === 'fwd' && first !== undefined) {
        this.#tags.set(type.id, this.tag(first));
        continue;
      }
      this.#tags.set(type.id, tags.claim(type.name));
      if (first === undefined) this.#definitions.set(key, type);
    }
    for (const type of btf.types) {
      if (type.kind === 'typedef') {
        // The compiler has its own, perhaps of another size (__builtin_va_list), and refuses a second one.
        if (type.name.startsWith('__builtin_')) ordinary.claim(type.name);
        this.#typedefs.set(type.id, ordinary.claim(type.name));
      } else if (type.kind === 'enum' || type.kind === 'enum64') {
        this.#enumerators.set(
          type.id,
          type.values.map(({ name }) => ordinary.claim(name)),
        );
      } else if (type.kind === 'func' || type.kind === 'var') {
        this.#typedefs.set(type.id, identifier(type.name));
      }
    }
  }

  /** Tag of a struct, union, enum or forward declaration; '' where it has none. */
  tag(type: Tagged): string {
    return this.#tags.get(type.id) ?? '';
  }

  /** The type that a forward declaration stands for; itself where the BTF has no definition. */
  definition(type: BtfOf<'fwd'>): Tagged {
    return this.#definitions.get(`${type.of} ${type.name}`) ?? type;
  }

  /** Name of a typedef, function or variable. */
  ordinary(id: number): string {
    return this.#typedefs.get(id) ?? '';
  }

  /** Names of an enum's constants, in its order. */
  enumerators(id: number): readonly string[] {
    return this.#enumerators.get(id) ?? [];
  }
}
