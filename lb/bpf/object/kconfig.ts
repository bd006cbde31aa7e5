import { MAP_FLAGS, type MapSpec } from '../maps/map.js';
import type { Btf, BtfType } from './btf.js';
import { type ElfObject, SHN_UNDEF, STB_WEAK } from './elf.js';

// `extern … __kconfig`: values of the kernel's configuration, which libbpf puts into a read-only map of their own.

/** Name of the DATASEC and of the map. */
export const KCONFIG_SECTION = '.kconfig';
const MAX_EXTERN_BYTES = 4096;
const MAX_MAP_BYTES = 1 << 20;

/** Linux version of `LINUX_KERNEL_VERSION` unless another is given: the one that the runtime is compared with, 6.18. */
export const DEFAULT_KERNEL_VERSION = (6 << 16) | (18 << 8);

/** What the target's configuration is. */
export interface KconfigOptions {
  /** `CONFIG_…` to value, or the text of a .config file. */
  readonly kconfig?: ReadonlyMap<string, string> | string;
  /** KERNEL_VERSION(a, b, c): a << 16 | b << 8 | c. */
  readonly kernelVersion?: number;
}

/** The map of the externs, and where each stands. */
export interface Kconfig {
  readonly spec: MapSpec;
  /** Offset in the map's value by the extern's name. */
  readonly places: ReadonlyMap<string, number>;
  /** Externs without a value, and why: programs that use them are refused. */
  readonly unresolved: ReadonlyMap<string, string>;
}

/** `CONFIG_A=y` lines of a .config; others are comments. */
export function parseKconfig(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (line.startsWith('CONFIG_') && equals > 0)
      found.set(line.slice(0, equals).trim(), line.slice(equals + 1).trim());
  }
  return found;
}

/** What the runtime itself answers; all of them numbers. The features are those of a kernel's tracing, which it has not. */
function ownValues(kernelVersion: number): ReadonlyMap<string, string> {
  return new Map([
    ['LINUX_KERNEL_VERSION', `${kernelVersion}`],
    ['LINUX_HAS_BPF_COOKIE', '0'],
    ['LINUX_HAS_SYSCALL_WRAPPER', '0'],
  ]);
}

/**
 * Lay out the `.kconfig` externs of an object and give them their values. Weak ones without a value are 0.
 * @returns undefined where the object has none
 * @throws BtfError for damaged types
 */
export function layKconfig(btf: Btf, elf: ElfObject, options: KconfigOptions): Kconfig | undefined {
  const datasec = btf.find('datasec', KCONFIG_SECTION);
  if (datasec === undefined || datasec.vars.length === 0) return undefined;
  const weak = new Set(
    elf.symbols
      .filter(({ section, binding }) => section === SHN_UNDEF && binding === STB_WEAK)
      .map(({ name }) => name),
  );
  const config = typeof options.kconfig === 'string' ? parseKconfig(options.kconfig) : options.kconfig;
  const own = ownValues(options.kernelVersion ?? DEFAULT_KERNEL_VERSION);
  const places = new Map<string, number>();
  const values: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  const unresolved = new Map<string, string>();
  let end = 0;
  for (const { type: id } of datasec.vars) {
    const variable = btf.type(id);
    if (variable.kind !== 'var') continue;
    const { name } = variable;
    const sizeBytes = btf.sizeOf(variable.type);
    // Natural alignment; arrays are of char.
    const alignment = sizeBytes <= 8 && btf.resolve(variable.type).kind !== 'array' ? sizeBytes || 1 : 1;
    const offset = Math.ceil(end / alignment) * alignment;
    if (sizeBytes > MAX_EXTERN_BYTES || offset + sizeBytes > MAX_MAP_BYTES) {
      unresolved.set(name, `${name} of ${sizeBytes} bytes is too large`);
      continue;
    }
    places.set(name, offset);
    end = offset + sizeBytes;
    const text = own.get(name) ?? config?.get(name);
    if (text === undefined) {
      if (!weak.has(name))
        unresolved.set(name, `${name} is not in the configuration that was given (option kconfig)`);
      continue;
    }
    const bytes = encode(btf, variable.type, sizeBytes, text);
    if (bytes === undefined) unresolved.set(name, `${name}=${text} does not fit its type`);
    else values.push({ offset, bytes });
  }
  const initial = new Uint8Array(Math.max(end, 1));
  for (const { offset, bytes } of values) initial.set(bytes, offset);
  const spec: MapSpec = {
    name: KCONFIG_SECTION,
    type: 'ARRAY',
    keySize: 4,
    valueSize: initial.length,
    maxEntries: 1,
    flags: MAP_FLAGS.BPF_F_RDONLY_PROG,
    initial,
    frozen: true,
    valueTypeId: datasec.id,
  };
  return { spec, places, unresolved };
}

/** Bits of an integer's encoding: BTF_INT_SIGNED, BTF_INT_BOOL. */
const SIGNED = 1;
const BOOL = 4;
/** enum libbpf_tristate. */
const TRISTATE: Readonly<Record<string, number>> = { n: 0, y: 1, m: 2 };

/** A value of the configuration as bytes of a type; undefined where it does not fit. */
function encode(btf: Btf, typeId: number, sizeBytes: number, text: string): Uint8Array | undefined {
  const type = btf.resolve(typeId);
  if (type.kind === 'array') return encodeString(btf, type.type, sizeBytes, text);
  const number = numberOf(type, text);
  if (number === undefined) return undefined;
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at++) bytes[at] = Number(BigInt.asUintN(8, number >> BigInt(at * 8)));
  return bytes;
}

/** `y`, `m` and `n` are values of bool, tristate and char; numbers those of integers that can hold them. */
function numberOf(type: BtfType, text: string): bigint | undefined {
  if (type.kind === 'enum' || type.kind === 'enum64') {
    const state = type.name === 'libbpf_tristate' ? TRISTATE[text] : undefined;
    return state === undefined ? undefined : BigInt(state);
  }
  if (type.kind !== 'int') return undefined;
  if ((type.encoding & BOOL) !== 0) return text === 'y' ? 1n : text === 'n' || text === '0' ? 0n : undefined;
  if (text in TRISTATE) return type.sizeBytes === 1 ? BigInt(text.charCodeAt(0)) : undefined;
  if (!/^-?(0[xX][0-9a-fA-F]+|\d+)$/.test(text)) return undefined;
  const number = text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
  const bits = BigInt(type.sizeBytes * 8);
  const isSigned = (type.encoding & SIGNED) !== 0;
  const low = isSigned ? -(1n << (bits - 1n)) : 0n;
  const high = isSigned ? 1n << (bits - 1n) : 1n << bits;
  return number >= low && number < high ? number : undefined;
}

/** A quoted string in an array of char, cut to leave room for its NUL. */
function encodeString(btf: Btf, elementId: number, sizeBytes: number, text: string): Uint8Array | undefined {
  const element = btf.resolve(elementId);
  if (element.kind !== 'int' || element.sizeBytes !== 1 || !/^".*"$/.test(text)) return undefined;
  const bytes = new Uint8Array(sizeBytes);
  bytes.set(new TextEncoder().encode(text.slice(1, -1)).subarray(0, Math.max(sizeBytes - 1, 0)));
  return bytes;
}
