import { Btf, parseBtf } from './btf.js';
import { fillDatasecs } from './btf-datasec.js';
import { type BtfExt, parseBtfExt } from './btf-ext.js';
import { makeHiddenStatic } from './btf-hidden.js';
import { CoreRelocator } from './core.js';
import { type ElfObject, type ElfSection, parseElf, SHT_NOBITS } from './elf.js';
import { ObjectError } from './fault.js';
import { type Entry, FunctionTable } from './functions.js';
import { findGlobals, setGlobals } from './globals.js';
import { type Kconfig, type KconfigOptions, layKconfig } from './kconfig.js';
import { tailCallSection } from './legacy-maps.js';
import { Linker } from './link.js';
import { LinkError } from './link-fault.js';
import { findMaps } from './object-maps.js';
import { sectionType } from './section-types.js';
import type { ObjectSpec, ProgramSpec, RefusedProgram } from './spec.js';

export { BtfError } from './btf.js';
export { CoreError } from './core-kinds.js';
export { ElfError } from './elf.js';
export { ObjectError, type ObjectFault, type ObjectStage } from './fault.js';
export { GlobalError } from './globals.js';
export { LinkError } from './link-fault.js';
export { MapDefError } from './map-fault.js';
export { programType, sectionType } from './section-types.js';

export interface LoadOptions extends KconfigOptions {
  /**
   * Types that CO-RE relocations are made for: the bytes of /sys/kernel/btf/vmlinux, or of another BTF file. Without it
   * they are made for the runtime's own contexts and helpers, and other types stay as the object has them.
   */
  readonly targetBtf?: Uint8Array | Btf;
  /** What `targetBtf` is split from: vmlinux, where it is that of a module. */
  readonly baseBtf?: Uint8Array | Btf;
  /** Initial values of global variables, by name. */
  readonly globals?: Readonly<Record<string, unknown>>;
  /** Names of the programs to link; the others are left out. All without it. */
  readonly programs?: readonly string[];
}

function contentOf(elf: ElfObject, name: string): ElfSection | undefined {
  return elf.sections.find((section) => section.name === name && section.type !== SHT_NOBITS);
}

function licenseOf(elf: ElfObject): string {
  const data = contentOf(elf, 'license')?.data ?? new Uint8Array(0);
  const end = data.indexOf(0);
  return new TextDecoder().decode(end < 0 ? data : data.subarray(0, end));
}

// Made once for each array of bytes: the types of a kernel are large, and many objects may be loaded for them.
const targets = new WeakMap<Uint8Array, Btf>();

function targetOf(bytes: Uint8Array | Btf | undefined, base?: Btf): Btf | undefined {
  if (bytes === undefined || bytes instanceof Btf) return bytes;
  const known = targets.get(bytes);
  if (known !== undefined && known.base === base) return known;
  const btf = parseBtf(bytes, { isLazy: true, ...(base === undefined ? {} : { base }) });
  targets.set(bytes, btf);
  return btf;
}

interface ObjectTypes {
  readonly btf?: Btf;
  readonly ext?: BtfExt;
  readonly kconfig?: Kconfig;
}

/** The object's types, with places of variables and externs. */
function typesOf(elf: ElfObject, options: LoadOptions): ObjectTypes {
  const raw = contentOf(elf, '.BTF');
  if (raw === undefined || raw.sizeBytes === 0) return {};
  const parsed = parseBtf(raw.data);
  const kconfig: Kconfig | undefined = layKconfig(parsed, elf, options);
  const btf = makeHiddenStatic(fillDatasecs(parsed, elf, kconfig), elf);
  const rawExt = contentOf(elf, '.BTF.ext');
  const ext: BtfExt | undefined =
    rawExt === undefined || rawExt.sizeBytes === 0 ? undefined : parseBtfExt(rawExt.data, btf);
  return { btf, ...(ext === undefined ? {} : { ext }), ...(kconfig === undefined ? {} : { kconfig }) };
}

/**
 * Read a BPF object file (ELF, little endian) as clang writes it: programs linked and relocated, CO-RE included; maps
 * by BTF or legacy, data sections as maps; global variables; source lines. Bytes in, plain data out; the same bytes
 * and options give the same spec.
 *
 * A program that cannot be linked is listed in `refused` and the others load. Only when none can be, its error is thrown.
 * @throws ObjectError (ElfError, BtfError, MapDefError, LinkError, CoreError, GlobalError) with stage, section and offset
 */
export function loadObject(bytes: Uint8Array, options: LoadOptions = {}): ObjectSpec {
  // A copy: the spec must not change with the caller's buffer (a Buffer's own slice() would not copy).
  const elf = parseElf(new Uint8Array(bytes));
  const { btf, ext, kconfig } = typesOf(elf, options);
  const functions = new FunctionTable(elf);
  const maps = findMaps(elf, functions, btf, kconfig);
  const globals = findGlobals(elf, maps, btf);
  const target = targetOf(options.targetBtf, targetOf(options.baseBtf));
  const linker = new Linker({
    elf,
    functions,
    maps,
    ...(btf === undefined ? {} : { btf, core: new CoreRelocator(btf, target) }),
    ...(ext === undefined ? {} : { ext }),
    ...(kconfig === undefined ? {} : { unresolved: kconfig.unresolved }),
  });
  const { programs, refused } = linkAll(linker, entriesOf(functions, options));
  return {
    license: licenseOf(elf),
    programs,
    ...(refused.length === 0 ? {} : { refused }),
    maps: setGlobals(maps.specs, globals, options.globals ?? {}, btf),
    globals,
    ...(btf === undefined ? {} : { btf }),
  };
}

/** @throws LinkError LINK_PROGRAM when a program that is asked for is not there */
function entriesOf(functions: FunctionTable, { programs }: LoadOptions): readonly Entry[] {
  if (programs === undefined) return functions.entries;
  return programs.map((name) => {
    const found = functions.entries.find((entry) => entry.name === name);
    if (found !== undefined) return found;
    const names = functions.entries.map((entry) => entry.name).join(', ') || 'none';
    const fault = { code: 'LINK_PROGRAM', stage: 'link', section: '', offset: 0 } as const;
    throw new LinkError(fault, `there is no program ${name}; there are: ${names}`);
  });
}

function linkAll(linker: Linker, entries: readonly Entry[]) {
  const programs: ProgramSpec[] = [];
  const refused: RefusedProgram[] = [];
  for (const entry of entries) {
    const { name, section } = entry;
    try {
      programs.push({ name, section, ...sectionType(section), ...linker.link(entry) });
    } catch (error) {
      if (!(error instanceof ObjectError)) throw error;
      refused.push({ name, section, error });
    }
  }
  if (programs.length === 0 && refused[0] !== undefined) throw refused[0].error;
  return { programs: programs.map((program) => typeTailCalled(program, programs)), refused };
}

/** iproute2's `id/slot` sections hold what the other programs call: they are of the type that all of those have. */
function typeTailCalled(program: ProgramSpec, all: readonly ProgramSpec[]): ProgramSpec {
  if (tailCallSection(program.section) === undefined) return program;
  const types = new Set(all.map(({ type }) => type).filter((type) => type !== 'unspec'));
  const [type] = types;
  return type === undefined || types.size > 1 ? program : { ...program, type };
}
