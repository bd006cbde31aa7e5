import { encodeProgram } from '../../lb/bpf/isa/codec.js';
import type { Instruction } from '../../lb/bpf/isa/instruction.js';
import type { MapSpec } from '../../lb/bpf/maps/map.js';
import type { Btf } from '../../lb/bpf/object/btf.js';
import { ATTACH_TYPES, type AttachType, type FunctionSpec } from '../../lb/bpf/object/spec.js';
import { type VerifyOptions, verifierMapOf } from '../../lb/bpf/verifier/input.js';
import { assemble } from '../support/assembler.js';
import { mapSpecOf } from '../support/kernel-verdict.js';
import { ARGUMENT_TYPES, type ArgumentType, type Signature, typesOf } from './types.js';

/** A program, what is to be known of it, and what the kernel says of it. */
export interface Case {
  readonly name: string;
  readonly type: 'xdp' | 'tc';
  readonly flags: number;
  readonly attach: AttachType | undefined;
  readonly unprivileged: boolean;
  readonly license: string;
  readonly maps: readonly MapSpec[];
  /** 8 bytes a slot, maps by index. */
  readonly code: Uint8Array;
  readonly functions: readonly FunctionSpec[];
  readonly btf: Btf | undefined;
  /** Undefined: accepted. Otherwise the kernel's lines, joined by ' | '. */
  readonly message: string | undefined;
}

/** Fields in front of a program, by name, in the order of the file. */
type Fields = ReadonlyMap<string, readonly string[]>;

/**
 * Cases of a file. A case is a line `case NAME`, then fields, the program (lines that are indented, and labels), and the verdict:
 *
 *     case r0 is 2
 *     type tc                              xdp unless given
 *     maps array,4,8,4 hash,4,16,1 lock=8  type, key and value bytes, entries, flags, inner map; then options
 *     flags 1                              of BPF_PROG_LOAD
 *     attach XDP_DEVMAP
 *     licence none                         GPL unless given
 *     unprivileged                         a loader without CAP_PERFMON
 *     function static f(long, memory) long with one of these, all functions have types; entry is `main`
 *       r0 = 2
 *       exit
 *     accept
 *
 * or, in the place of `accept`, `refuse MESSAGE`. A line `.slot HEX` of a program is the 8 bytes of a slot;
 * `.repeat N` and `.end` repeat what is between them, with `%` for the number of the round; for `.lookup` and the like
 * see MACROS. `#` starts a comment.
 * @throws Error naming the case that cannot be read
 */
export function readCases(text: string): Case[] {
  const plain = text.replace(/^#.*\n/gm, '');
  return plain
    .split(/^case /m)
    .slice(1)
    .map((block) => {
      const [name = '', ...lines] = block.split('\n');
      try {
        return caseOf(name, lines);
      } catch (error) {
        throw new Error(`case ${name}`, { cause: error });
      }
    });
}

const isOfProgram = (line: string) => line.startsWith(' ') || /^\w+:$/.test(line);
const KNOWN = ['type', 'maps', 'flags', 'attach', 'licence', 'unprivileged', 'function', 'accept', 'refuse'];

function caseOf(name: string, lines: readonly string[]): Case {
  const fields = new Map<string, string[]>();
  for (const line of lines) {
    if (line === '' || isOfProgram(line)) continue;
    const space = line.indexOf(' ');
    const key = space < 0 ? line : line.slice(0, space);
    if (!KNOWN.includes(key)) throw new Error(`no field ${key}`);
    fields.set(key, [...(fields.get(key) ?? []), space < 0 ? '' : line.slice(space + 1)]);
  }
  const program = lines.filter(isOfProgram).map((line) => line.trim());
  const { code, functions } = assembleCase(program);
  const signatures = (fields.get('function') ?? []).map(signatureOf);
  const types = signatures.length === 0 ? undefined : typesOf([MAIN, ...signatures]);
  const one = (key: string) => fields.get(key)?.[0];
  const attach = one('attach');
  if (attach !== undefined && !Object.hasOwn(ATTACH_TYPES, attach))
    throw new Error(`no attach type ${attach}`);
  if (fields.has('accept') === fields.has('refuse')) throw new Error('neither accepted nor refused');
  return {
    name,
    type: one('type') === 'tc' ? 'tc' : 'xdp',
    flags: Number(one('flags') ?? 0),
    attach: attach as AttachType | undefined,
    unprivileged: fields.has('unprivileged'),
    license: one('licence') ?? 'GPL',
    maps: mapsOf(fields),
    code,
    functions: functions.map((each) => ({ ...each, ...idOf(each.name, types?.ids) })),
    btf: types?.btf,
    message: one('refuse'),
  };
}

const MAIN: Signature = { linkage: 'global', name: 'main', arguments: ['xdp_md'], result: 'u32' };

function idOf(name: string, ids: ReadonlyMap<string, number> | undefined) {
  if (ids === undefined) return {};
  const typeId = ids.get(name);
  if (typeId === undefined) throw new Error(`function ${name} is not declared`);
  return { typeId };
}

const isArgument = (name: string): name is ArgumentType => Object.hasOwn(ARGUMENT_TYPES, name);

/** A declaration: "static f(long, memory) long". */
function signatureOf(text: string): Signature {
  const [, linkage, name, list, result] = /^(static|global) (\w+)\((.*)\) (\w+)$/.exec(text) ?? [];
  const taken = (list ?? '').split(',').flatMap((each) => (each.trim() === '' ? [] : [each.trim()]));
  if (name === undefined || result === undefined || ![...taken, result].every(isArgument))
    throw new Error(`no declaration: ${text}`);
  return {
    linkage: linkage === 'static' ? 'static' : 'global',
    name,
    arguments: taken.filter(isArgument),
    result: isArgument(result) ? result : 'long',
  };
}

/** Maps, with options: `lock=OFFSET` of a spin lock in the value, `frozen=HEX` for a value that is constant. */
function mapsOf(fields: Fields): MapSpec[] {
  const maps: MapSpec[] = [];
  for (const word of (fields.get('maps') ?? []).flatMap((line) => line.split(' '))) {
    const [option, value] = word.split('=');
    if (value === undefined) {
      maps.push(mapSpecOf(word, `map${maps.length}`));
      continue;
    }
    const last = maps.pop();
    if (last === undefined) throw new Error(`no map for ${word}`);
    if (option === 'lock') maps.push({ ...last, lockOffset: Number(value) });
    else if (option === 'frozen') maps.push({ ...last, initial: Buffer.from(value, 'hex'), frozen: true });
    else throw new Error(`no option of maps: ${word}`);
  }
  return maps;
}

/** Slots of `.slot` stand as this until the others are assembled. */
const PLACEHOLDER = 'r0 = 0';
const SLOT_BYTES = 8;

function assembleCase(program: readonly string[]): { code: Uint8Array; functions: FunctionSpec[] } {
  const raw = new Map<number, string>();
  const lines = expand(program);
  const assembled = lines.map((line) => (line.startsWith('.slot ') ? PLACEHOLDER : line));
  const instructions = assemble(assembled.join('\n'));
  // Labels take no slot: what is left is an instruction each.
  const places = lines.filter((line) => !/^\w+:$/.test(line) && line.replace(/;.*/, '').trim() !== '');
  for (const [index, line] of places.entries())
    if (line.startsWith('.slot ')) raw.set(instructions[index]!.slot, line.slice(6));
  const code = encodeProgram(instructions);
  for (const [slot, hex] of raw) {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    if (bytes.length !== SLOT_BYTES) throw new Error(`no slot: ${hex}`);
    code.set(bytes, slot * SLOT_BYTES);
  }
  return { code, functions: functionsOf(instructions, labelsOf(lines, instructions)) };
}

/** What many programs begin with; `%` is the word behind the name. */
const MACROS: Readonly<Record<string, string>> = {
  // r0: value of map %, key 0, or null where the map is no array.
  '.lookup': '*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = map[%]; call 1',
  // r0: the same, null led out.
  '.value': '*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = map[%]; call 1; if r0 == 0 goto out',
  // r2: data, r3: data_end; packets of less than % bytes are led out.
  '.packet': 'r2 = *(u32 *)(r1 + 0); r3 = *(u32 *)(r1 + 4); r4 = r2; r4 += %; if r4 > r3 goto out',
  // r0: a record of % bytes in the ring buffer that is map 0, or null.
  '.reserve': 'r1 = map[0]; r2 = %; r3 = 0; call 131',
};

/** Lines with repetitions and macros written out. */
function expand(lines: readonly string[]): string[] {
  return repeat(lines).flatMap((line) => {
    const [name = '', word = ''] = line.split(' ');
    const macro = MACROS[name];
    return macro === undefined ? [line] : macro.replaceAll('%', word).split('; ');
  });
}

function repeat(lines: readonly string[]): string[] {
  const found: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    const times = /^\.repeat (\d+)$/.exec(line)?.[1];
    if (times === undefined) {
      found.push(line);
      continue;
    }
    const end = lines.indexOf('.end', at);
    if (end < 0) throw new Error('.repeat without .end');
    for (let round = 0; round < Number(times); round++)
      for (const each of lines.slice(at + 1, end)) found.push(each.replaceAll('%', String(round)));
    at = end;
  }
  return found;
}

/** Names by the slot that they stand in front of. */
function labelsOf(lines: readonly string[], instructions: readonly Instruction[]): Map<number, string> {
  const labels = new Map<number, string>();
  let index = 0;
  for (const line of lines) {
    const label = /^(\w+):$/.exec(line)?.[1];
    if (label === undefined) index += Number(line.replace(/;.*/, '').trim() !== '');
    else {
      const slot = instructions[index]?.slot;
      if (slot !== undefined && !labels.has(slot)) labels.set(slot, label);
    }
  }
  return labels;
}

/** The entry, and each function that is called or pointed to. */
function functionsOf(
  instructions: readonly Instruction[],
  labels: ReadonlyMap<number, string>,
): FunctionSpec[] {
  const starts = new Set<number>();
  for (const each of instructions) {
    if (each.kind === 'call-local') starts.add(each.target);
    if (each.kind === 'imm64' && each.imm.kind === 'function') starts.add(each.imm.target);
  }
  starts.delete(0);
  const others = [...starts].sort((a, b) => a - b);
  return [
    { name: 'main', start: 0 },
    ...others.map((start) => ({ name: labels.get(start) ?? `at_${start}`, start })),
  ];
}

/** The same, as the verifier wants it. */
export function optionsOf(given: Case): VerifyOptions {
  const { type, attach, maps, functions, btf, license, flags, unprivileged } = given;
  return {
    type: type === 'tc' ? 'sched_cls' : 'xdp',
    ...(attach !== undefined && { attachType: attach }),
    maps: maps.map(verifierMapOf),
    functions,
    ...(btf !== undefined && { btf }),
    gpl: license === 'GPL',
    flags,
    unprivileged,
  };
}
