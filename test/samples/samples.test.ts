import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { Machine } from '../../lb/bpf/machine/machine.js';
import { loadObject } from '../../lb/bpf/object/load.js';
import type { ProgramSpec } from '../../lb/bpf/object/spec.js';
import { CodedError } from '../../lb/errors.js';
import { missingRoot } from '../support/capabilities.js';
import { caught } from '../support/objects.js';
import { type Outcome, runInKernel, runOnMachine, sampleObject } from './bed.js';
import type { Sample } from './rows.js';
import { SAMPLES } from './table.js';
import { trafficOf } from './traffic.js';

const built = readdirSync(new URL('build', import.meta.url))
  .filter((name) => name.endsWith('.bpf.o'))
  .map((name) => name.replace('.bpf.o', ''))
  .sort();
/** `acl.O1` is what `acl` is, unless it has a row of its own. */
const rowOf = (name: string): Sample | undefined => SAMPLES[name] ?? SAMPLES[name.split('.')[0]!];

/** What each program answered to each packet, and a digest of what it left: reviewed with the samples. */
const GOLDEN = new URL('samples.data', import.meta.url);
const UPDATE = process.env.UPDATE === '1';
const golden = new Map(
  readFileSync(GOLDEN, { encoding: 'utf8', flag: 'a+' })
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => [line.slice(0, line.indexOf(':')), line]),
);
const written: string[] = [];
afterAll(() => {
  if (UPDATE) writeFileSync(GOLDEN, written.map((line) => `${line}\n`).join(''));
});

function lineOf(name: string, { verdicts, packets: left, maps }: Outcome): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([left, maps]))
    .digest('hex')
    .slice(0, 12);
  return `${name}: ${verdicts.join(' ')} ${digest}`;
}

function messageOf(run: () => unknown): string {
  const error = caught(run);
  if (!(error instanceof CodedError)) throw error ?? new Error('it was not refused');
  return error.message;
}

it('every sample is in the table, and every row has its object', () => {
  expect(built.filter((name) => rowOf(name) === undefined)).toEqual([]);
  expect(Object.keys(SAMPLES).filter((name) => !built.includes(name))).toEqual([]);
});

const KERNEL_TYPES = '/sys/kernel/btf/vmlinux';
const missingTypes = existsSync(KERNEL_TYPES) ? '' : ` (needs ${KERNEL_TYPES})`;
describe.skipIf(missingTypes !== '')(`relocated to the types of the running kernel${missingTypes}`, () => {
  it.each([
    ['coretrace', ['on_xmit', 'on_switch', 'on_return'], []],
    ['core', ['moved', 'asks', 'marked'], ['misses']],
  ])('%s: %j find their fields, %j do not', (name, found, not) => {
    const targetBtf = new Uint8Array(readFileSync(KERNEL_TYPES));
    const { programs } = loadObject(sampleObject(name), { targetBtf });
    const isWhole = ({ name: program, poisoned }: ProgramSpec) =>
      poisoned === undefined || (program === 'moved' && poisoned.length === 1);
    expect(programs.filter(isWhole).map((program) => program.name)).toEqual(found);
    expect(programs.filter((program) => !isWhole(program)).map((program) => program.name)).toEqual(not);
  });
});

describe.each(built)('%s', (name) => {
  const row = rowOf(name) ?? {};
  const bytes = sampleObject(name);
  if (row.unloadable !== undefined) {
    const words = row.unloadable;
    it('is refused as a whole', () => expect(messageOf(() => loadObject(bytes, row.load))).toMatch(words));
    return;
  }
  const object = loadObject(bytes, row.load);
  const { runs = [], apart = {}, verifierRefuses = {}, data = [], refused = {} } = row;

  const typeOf = (program: string) => object.programs.find((spec) => spec.name === program)?.type ?? 'xdp';
  const packetsOf = (program: string) => Object.values(trafficOf(typeOf(program)));

  it('has the programs of its row', () => {
    const expected = [
      ...runs,
      ...data,
      ...[apart, verifierRefuses, refused].flatMap((programs) => Object.keys(programs)),
    ];
    const found = [...object.programs, ...(object.refused ?? [])].map((program) => program.name);
    expect(found.sort()).toEqual(expected.sort());
  });

  it.each(runs)('%s: the engines agree, and with what was reviewed', (program) => {
    const [jit, interpreter] = (['jit', 'interpreter'] as const).map((engine) =>
      runOnMachine(object, program, engine, packetsOf(program), row),
    );
    expect(jit).toEqual(interpreter);
    const line = lineOf(`${name} ${program}`, jit!);
    written.push(line);
    if (!UPDATE) expect(line).toBe(golden.get(`${name} ${program}`));
  });

  it.skipIf(missingRoot !== undefined).each(runs)(
    `%s: as in the kernel${missingRoot === undefined ? '' : ` (${missingRoot})`}`,
    (program) => {
      const ours = runOnMachine(object, program, 'jit', packetsOf(program), row);
      const kernel = runInKernel(object, program, packetsOf(program), row);
      const byPacket = (outcome: Outcome) =>
        Object.keys(trafficOf(typeOf(program))).map((kind, index) => [
          kind,
          outcome.verdicts[index],
          outcome.packets[index],
        ]);
      expect(byPacket(ours)).toEqual(byPacket(kernel));
      for (const map of row.mapsApart ?? []) for (const { maps } of [ours, kernel]) delete maps[map];
      expect(ours.maps).toEqual(kernel.maps);
    },
  );

  for (const [program, why] of Object.entries(apart)) {
    it(`${program}: runs (${why})`, () => {
      for (const engine of ['jit', 'interpreter'] as const)
        expect(runOnMachine(object, program, engine, packetsOf(program), row).verdicts).toHaveLength(
          packetsOf(program).length,
        );
    });
    it.skipIf(missingRoot !== undefined)(
      `${program}: the kernel takes it too${missingRoot === undefined ? '' : ` (${missingRoot})`}`,
      () => {
        expect(runInKernel(object, program, [], row).verdicts).toEqual([]);
      },
    );
  }

  for (const [program, words] of Object.entries(verifierRefuses)) {
    it(`${program}: the verifier refuses it`, () => {
      using machine = Machine.create(object);
      expect(messageOf(() => machine.program(program))).toMatch(words);
    });
    it.skipIf(missingRoot !== undefined)(
      `${program}: the kernel refuses it with the same words${missingRoot === undefined ? '' : ` (${missingRoot})`}`,
      () => {
        expect(messageOf(() => runInKernel(object, program, packetsOf(program), row))).toMatch(words);
      },
    );
  }

  it.each(data)('%s: is data only', (program) => {
    using machine = Machine.create(object);
    expect(messageOf(() => machine.program(program))).toMatch(
      /only xdp and sched_cls \(TC\) programs run here/,
    );
  });

  for (const [program, words] of Object.entries(refused)) {
    it(`${program}: is refused`, () => {
      using machine = Machine.create(object);
      expect(messageOf(() => machine.program(program))).toMatch(words);
    });
  }
});
