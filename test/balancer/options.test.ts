/** The object with each option turned over, all off and all on: both verifiers accept it, and the kernel loads it. */
import { expect, it } from 'vitest';
import { balancerObject, optionOf, sizedObject, withOptions } from '../../lb/balancer/object.js';
import { type BalancerOptions, OPTION_CONSTANTS, OPTION_NAMES } from '../../lb/balancer/options.js';
import { RING_SIZE } from '../../lb/balancer/schema.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import { verifyOptionsOf } from '../../lb/bpf/verifier/admit.js';
import { verifyCode } from '../../lb/bpf/verifier/verify-code.js';
import { KernelMaps, loadKernelProgram } from '../../lb/sys/bpf.js';
import { missingRoot } from '../support/capabilities.js';

const shipped = balancerObject();
const switches = OPTION_NAMES.filter((option) =>
  shipped.globals.some(({ name, bytes }) => name === OPTION_CONSTANTS[option] && bytes === 1),
);
const all = (isOn: boolean): BalancerOptions => Object.fromEntries(switches.map((name) => [name, isOn]));
const variants: readonly (readonly [string, BalancerOptions])[] = [
  ['as it is shipped', {}],
  ['all off', all(false)],
  // What `simulate` rules out is to be proved as well.
  ['all on', { ...all(true), simulate: false, dropSampleRate: 100 }],
  ['all on, to simulate', all(true)],
  ...switches.map((name): [string, BalancerOptions] => {
    const isOn = optionOf(shipped, name) !== 0;
    return [`${name} ${isOn ? 'off' : 'on'}`, { [name]: !isOn }];
  }),
];
const sizes = { ch_rings: RING_SIZE, server_id_map: 16, lpm_src_v4: 16, lpm_src_v6: 16 } as const;

it('there are options', () => expect(switches.length).toBeGreaterThan(15));

it.each(variants)('%s: proved', (_, options) => {
  const object = withOptions(shipped, options);
  const [program] = object.programs;
  const result = verifyCode(program!.code, verifyOptionsOf(program!, object));
  expect(result.accepted ? 'proved' : result.message).toBe('proved');
});

const title = missingRoot === undefined ? '' : ` (skipped: ${missingRoot})`;
it.skipIf(missingRoot !== undefined).each(variants)(`%s: loaded by the kernel${title}`, (_, options) => {
  const object = sizedObject(withOptions(shipped, options), sizes);
  const maps = [...createMaps(object, new KernelMaps()).values()];
  try {
    // Throws with the kernel's log where it is refused.
    const program = loadKernelProgram(object.programs[0]!, maps, object.license, object.btf);
    expect(program.fd).toBeGreaterThan(0);
    program.close();
  } finally {
    for (const map of maps) map.close();
  }
});
