import { readFileSync } from 'node:fs';
import { loadObject } from '../bpf/object/load.js';
import type { ObjectSpec } from '../bpf/object/spec.js';

export { type BalancerOptions, type OptionName, optionOf, withOptions } from './options.js';
export { type MapSizes, sizedObject } from './sizes.js';

/** Objects that are built from programs/ and shipped with the package. */
const OBJECTS = {
  balancer: 'balancer.bpf.o',
  decap: 'decap.bpf.o',
  bench: 'bench.bpf.o',
  healthcheck: 'healthcheck.bpf.o',
  root: 'root.bpf.o',
  srcmatch: 'srcmatch.bpf.o',
  steer: 'steer.bpf.o',
} as const;
export type ObjectName = keyof typeof OBJECTS;

/** Name of the balancer's program, and of the backend's. */
export const BALANCER_PROGRAM = 'balancer_ingress';
export const DECAP_PROGRAM = 'decap_ingress';

/** The bytes of an object file. The path is the same from the sources and from dist/. */
export function objectBytes(name: ObjectName): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../programs/build/${OBJECTS[name]}`, import.meta.url)));
}

/** The balancer's object, read. */
export function balancerObject(): ObjectSpec {
  return loadObject(objectBytes('balancer'));
}

/** The backend's object, read. */
export function decapObject(): ObjectSpec {
  return loadObject(objectBytes('decap'));
}
