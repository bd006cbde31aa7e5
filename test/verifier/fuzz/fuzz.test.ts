import { describe, expect, it } from 'vitest';
import { loadObject, ObjectError } from '../../../lb/bpf/object/load.js';
import type { ObjectSpec } from '../../../lb/bpf/object/spec.js';
import { verifyOptionsOf } from '../../../lb/bpf/verifier/admit.js';
import { verifyCode } from '../../../lb/bpf/verifier/verify-code.js';
import { Random } from '../../conformance/generate.js';
import { judgeHere } from '../differential/matrix.js';
import { objects, programPool } from '../differential/pool.js';
import { type Candidate, GENERATED_MAPS } from '../differential/scene.js';

/** The job runs 20,000 and more: `npm run differential`. */
const ROUNDS = Number(process.env.WAGGLE_FUZZ ?? 600);
/** WAGGLE_SEED repeats a run. */
const seed = Number(process.env.WAGGLE_SEED ?? Date.now() % 2 ** 31);
const TIMEOUT_MS = 60_000 + ROUNDS * 100;
/** The kernel's limit of a million instructions takes longest. */
const SLOWEST_MS = 8000;
const MAX_SLOTS = 48;
/** Opcodes that are instructions, so that bytes get beyond the decoder. */
const OPCODES = [
  0x05, 0x07, 0x0f, 0x15, 0x16, 0x18, 0x1d, 0x25, 0x2d, 0x35, 0x47, 0x55, 0x57, 0x5d, 0x61, 0x62, 0x63, 0x69,
  0x6a, 0x6b, 0x71, 0x72, 0x73, 0x77, 0x79, 0x7a, 0x7b, 0x85, 0x87, 0x95, 0xa5, 0xb4, 0xb7, 0xbc, 0xbf, 0xc3,
  0xc5, 0xc7, 0xcd, 0xd4, 0xdb, 0xdc, 0x20, 0x30, 0x40, 0x81, 0x91,
] as const;

const scene = { name: 'fuzz', maps: GENERATED_MAPS, license: 'GPL' };
const bytesOf = (random: Random, length: number) => Uint8Array.from({ length }, () => random.below(256));

/** Slots whose registers exist and whose numbers are small, here and there with something else. */
function likelyCode(random: Random): Uint8Array {
  const slots = 1 + random.below(MAX_SLOTS);
  const code = new Uint8Array(slots * 8);
  const view = new DataView(code.buffer);
  for (let slot = 0; slot < slots; slot++) {
    const at = slot * 8;
    code[at] = random.pick(OPCODES);
    code[at + 1] = random.below(11) | (random.below(6) === 0 ? random.below(11) << 4 : 0);
    view.setInt16(at + 2, random.below(3) > 0 ? 0 : random.below(24) - 12, true);
    view.setInt32(at + 4, random.below(2) === 0 ? random.below(9) : random.u32() | 0, true);
  }
  code[(slots - 1) * 8] = 0x95;
  return code;
}

const candidate = (code: Uint8Array, random: Random): Candidate => ({
  origin: 'fuzz',
  scene,
  type: random.pick(['xdp', 'sched_cls'] as const),
  code,
  functions: [{ name: 'entry', start: 0 }],
});

/** Bytes changed, anywhere. */
function damage(bytes: Uint8Array, random: Random): Uint8Array {
  const out = Uint8Array.from(bytes);
  for (let left = 1 + random.below(4); left > 0; left--) {
    out[random.below(out.length)] = random.pick([random.below(256), 0, 0xff, 1, 0x80]);
  }
  return out;
}

/** Undefined where the loader refuses it, by an error with a code; anything else it throws is a defect. */
function loaded(bytes: Uint8Array): ObjectSpec | undefined {
  try {
    return loadObject(bytes);
  } catch (error) {
    if (error instanceof ObjectError) return undefined;
    throw error;
  }
}

/** How many programs were judged. */
function verifyObject(object: ObjectSpec): number {
  let judged = 0;
  for (const program of object.programs) {
    if (program.type !== 'xdp' && program.type !== 'sched_cls') continue;
    verifyCode(program.code, verifyOptionsOf(program, object));
    judged += 1;
  }
  return judged;
}

/** Milliseconds that a call takes. */
function timed(run: () => void): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

describe(`bytes that nobody has looked at, WAGGLE_SEED=${seed}`, () => {
  const pool = programPool();
  const kinds: Readonly<Record<string, (random: Random) => Candidate>> = {
    'random bytes': (random) => candidate(bytesOf(random, random.below(8 * MAX_SLOTS)), random),
    'random instructions': (random) => candidate(likelyCode(random), random),
    'programs with bytes changed': (random) => {
      const base = random.pick(pool);
      return { ...base, code: damage(base.code, random) };
    },
    'a piece of a program': (random) => {
      const base = random.pick(pool);
      const from = random.below(base.code.length / 8) * 8;
      return { ...base, code: base.code.subarray(from, from + 8 * (1 + random.below(64))) };
    },
    'programs behind each other': (random) => {
      const [base, other] = [random.pick(pool), random.pick(pool)];
      return { ...base, code: Uint8Array.from([...base.code, ...other.code]) };
    },
  };

  it.each(Object.entries(kinds))(
    '%s: a verdict in time, and nothing thrown',
    { timeout: TIMEOUT_MS },
    (_, make) => {
      for (let round = 0; round < ROUNDS; round++) {
        const random = new Random(seed + round);
        const made = make(random);
        const ms = timed(() => {
          const { accepted, message } = judgeHere(made);
          expect(accepted || message !== '', Buffer.from(made.code).toString('hex')).toBe(true);
        });
        expect(ms, `WAGGLE_SEED=${seed + round} ${made.origin}`).toBeLessThan(SLOWEST_MS);
      }
    },
  );

  it('objects with bytes changed: what is thrown is coded', { timeout: TIMEOUT_MS }, () => {
    const files = objects();
    let judged = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const random = new Random(seed + round);
      const { name, bytes } = random.pick(files);
      const ms = timed(() => {
        const object = loaded(damage(bytes, random));
        if (object !== undefined) judged += verifyObject(object);
      });
      expect(ms, `WAGGLE_SEED=${seed + round} ${name}`).toBeLessThan(SLOWEST_MS);
    }
    // Most bytes of an object are names and debugging: programs are still there.
    expect(judged).toBeGreaterThan(ROUNDS / 4);
  });
});
