import { readFileSync } from 'node:fs';
import { parseElf } from '../../lb/bpf/object/elf.js';

/** Objects that test/objects/Makefile builds, by the name of the source. */
export type TestObject =
  | 'programs'
  | 'nested'
  | 'loops'
  | 'callback'
  | 'core'
  | 'extern'
  | 'features'
  | 'legacy'
  | 'pointer'
  | 'unequal-map'
  | 'unknown-map';

/** Bytes of a built test object. */
export function testObject(name: TestObject): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../objects/${name}.bpf.o`, import.meta.url)));
}

/** A copy of an ELF object with bytes of one section replaced. */
export function editSection(
  object: Uint8Array,
  section: string,
  offset: number,
  replacement: readonly number[],
): Uint8Array {
  const copy = new Uint8Array(object);
  const found = parseElf(copy).sections.find(({ name }) => name === section);
  if (found === undefined) throw new Error(`no section ${section}`);
  copy.set(replacement, found.data.byteOffset + offset);
  return copy;
}

/** A copy with bytes replaced at offsets of the file. */
export function editBytes(object: Uint8Array, edits: Readonly<Record<number, number>>): Uint8Array {
  const copy = new Uint8Array(object);
  for (const [offset, byte] of Object.entries(edits)) copy[Number(offset)] = byte;
  return copy;
}

/** What a call throws, undefined when it throws nothing. */
export function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
