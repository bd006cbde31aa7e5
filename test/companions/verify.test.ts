import { describe, expect, it } from 'vitest';
import {
  decapProgramObject,
  type HealthcheckOptions,
  healthcheckObject,
  rootObject,
  sourceMatchObject,
} from '../../lb/balancer/companions/object.js';
import { decodeProgram } from '../../lb/bpf/isa/codec.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import type { ObjectSpec } from '../../lb/bpf/object/spec.js';
import { verifyOptionsOf } from '../../lb/bpf/verifier/admit.js';
import { verifyProgram } from '../../lb/bpf/verifier/verify.js';
import { KernelMaps, loadKernelProgram } from '../../lb/sys/bpf.js';
import { missingRoot } from '../support/capabilities.js';
import { titleOf } from './bed.js';

/** Every combination of options that are on or off. */
function combinations(names: readonly string[]): Readonly<Record<string, boolean>>[] {
  return Array.from({ length: 2 ** names.length }, (_, bits) =>
    Object.fromEntries(names.map((name, i) => [name, ((bits >> i) & 1) === 1])),
  );
}
const healthchecks = combinations(['gue', 'matchDestinations', 'matchSources', 'maxFrameBytes']).map(
  ({ maxFrameBytes, ...options }): HealthcheckOptions => ({
    ...options,
    maxFrameBytes: maxFrameBytes ? 1500 : 0,
  }),
);
const decaps = combinations(['anyDestination', 'checkServerId', 'gue']).map(({ gue, ...options }) => ({
  ...options,
  guePort: gue ? 6080 : 0,
}));

const OBJECTS: readonly (readonly [string, () => ObjectSpec])[] = [
  ...healthchecks.map(
    (options) => [`healthcheck ${JSON.stringify(options)}`, () => healthcheckObject(options)] as const,
  ),
  ...decaps.map(
    (options) => [`decap ${JSON.stringify(options)}`, () => decapProgramObject(options)] as const,
  ),
  ['root', rootObject],
  ['srcmatch', () => sourceMatchObject()],
];

/** Instructions that the verifier walks: more than the program has only where it walks some twice. */
function processedOf(object: ObjectSpec): number[] {
  return object.programs.map((spec) => {
    const result = verifyProgram({
      ...verifyOptionsOf(spec, object),
      instructions: decodeProgram(spec.code),
    });
    expect(result.accepted ? '' : result.message).toBe('');
    return result.processed;
  });
}

describe.each(OBJECTS)('%s', (_name, make) => {
  it('is proved here', () => {
    for (const processed of processedOf(make())) expect(processed).toBeLessThan(20_000);
  });

  it.skipIf(missingRoot)(titleOf('is taken by the kernel', missingRoot), () => {
    const object = make();
    const maps = createMaps(object, new KernelMaps());
    try {
      for (const spec of object.programs)
        loadKernelProgram(spec, [...maps.values()], object.license, object.btf).close();
    } finally {
      for (const map of maps.values()) map.close();
    }
  });
});

it('options that are off are no code', () => {
  const most = processedOf(healthcheckObject({ gue: true, matchDestinations: true, matchSources: true }))[0]!;
  const least = processedOf(healthcheckObject())[0]!;
  expect(least).toBeLessThan(most * 0.8);
  const checked = processedOf(decapProgramObject({ checkServerId: true }))[0]!;
  const plain = processedOf(decapProgramObject({ guePort: 0 }))[0]!;
  expect(plain).toBeLessThan(checked * 0.8);
});
