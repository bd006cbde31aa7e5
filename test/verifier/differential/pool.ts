import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { decodeProgram } from '../../../lb/bpf/isa/codec.js';
import { loadObject } from '../../../lb/bpf/object/load.js';
import type { ObjectSpec } from '../../../lb/bpf/object/spec.js';
import { corpus } from '../../support/capabilities.js';
import { mapSpecOf } from '../../support/kernel-verdict.js';
import type { Candidate, Scene } from './scene.js';

const FOLDERS = ['../../../programs/build/', '../../objects/', '../../samples/build/'] as const;
/** Programs that others are made from: short ones have more that matters in each instruction. */
const MAX_BYTES = 8 * 600;

interface Case {
  readonly name: string;
  readonly type: string;
  readonly hex: string;
  readonly maps: readonly string[];
  readonly flags: number;
  readonly processed: number;
}

/** XDP and TC programs of the repository's objects, and the corpus's cases where it is there. */
export function programPool(maxBytes = MAX_BYTES): Candidate[] {
  return [...objects().flatMap(({ name, object }) => programsOf(name, object, maxBytes)), ...cases()].filter(
    isDecodable,
  );
}

function isDecodable({ code }: Candidate): boolean {
  try {
    return decodeProgram(code).length > 0;
  } catch {
    return false;
  }
}

/** The repository's objects that can be loaded. */
export function objects(): {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly object: ObjectSpec;
}[] {
  return FOLDERS.flatMap((folder) => {
    const url = new URL(folder, import.meta.url);
    if (!existsSync(url)) return [];
    return readdirSync(url)
      .filter((file) => file.endsWith('.o'))
      .sort()
      .flatMap((name) => {
        const bytes = new Uint8Array(readFileSync(new URL(name, url)));
        try {
          return [{ name, bytes, object: loadObject(bytes) }];
        } catch {
          // Objects that are to be refused have tests of their own.
          return [];
        }
      });
  });
}

function programsOf(name: string, object: ObjectSpec, maxBytes: number): Candidate[] {
  const { maps, btf, license } = object;
  const scene: Scene = { name, maps, license, ...(btf !== undefined && { btf }) };
  return object.programs.flatMap((program) => {
    const { type, code, functions, expectedAttachType: attachType, poisoned } = program;
    if ((type !== 'xdp' && type !== 'sched_cls') || code.length > maxBytes || poisoned !== undefined)
      return [];
    const origin = `${name}:${program.name}`;
    return [{ origin, scene, type, code, functions, ...(attachType !== undefined && { attachType }) }];
  });
}

function cases(): Candidate[] {
  const file = corpus === undefined ? undefined : `${corpus}/verifier/cases.json`;
  if (file === undefined || !existsSync(file)) return [];
  const scenes = new Map<string, Scene>();
  return (JSON.parse(readFileSync(file, 'utf8')) as Case[]).flatMap((each) => {
    // Those that run into a limit take seconds, mutated or not.
    if (
      each.flags !== 0 ||
      each.hex === '' ||
      each.processed > 5000 ||
      (each.type !== 'xdp' && each.type !== 'tc')
    )
      return [];
    const key = each.maps.join(' ');
    const scene = scenes.get(key) ?? {
      name: key,
      maps: each.maps.map((text, index) => mapSpecOf(text, `m${index}`)),
      license: 'GPL',
    };
    scenes.set(key, scene);
    const type = each.type === 'tc' ? 'sched_cls' : 'xdp';
    const code = new Uint8Array(Buffer.from(each.hex, 'hex'));
    return [{ origin: each.name, scene, type, code, functions: [{ name: 'entry', start: 0 }] }];
  });
}
