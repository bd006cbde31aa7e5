import { readFileSync } from 'node:fs';
import { loadObject } from '../bpf/object/load.js';
import type { ObjectSpec } from '../bpf/object/spec.js';

/** Objects that are built from programs/ and shipped with the package. */
const OBJECTS = { balancer: 'balancer.bpf.o', decap: 'decap.bpf.o', bench: 'bench.bpf.o' } as const;
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

/** Options of the balancer's program; what is absent keeps the program's own value. */
export interface BalancerOptions {
  /** Longest frame that is forwarded, Ethernet header included, bytes (1514). */
  readonly maxFrameBytes?: number;
  /** Connections that a CPU notes in its table in a second (125,000). */
  readonly newConnectionsPerSecond?: number;
}

/** Where each option stands: its name in .rodata. */
const OPTION_NAMES: Record<keyof BalancerOptions, string> = {
  maxFrameBytes: 'max_frame_bytes',
  newConnectionsPerSecond: 'new_connections_per_second',
};

/**
 * The object with options set: constants in .rodata, which the verifier and the compiler fold.
 * @throws RangeError for a value that does not fit, or an object that has no such option
 */
export function withOptions(object: ObjectSpec, options: BalancerOptions): ObjectSpec {
  const places = object.btf?.find('datasec', '.rodata')?.vars ?? [];
  const maps = object.maps.map((map) => {
    if (map.name !== '.rodata' || map.initial === undefined) return map;
    const initial = Uint8Array.from(map.initial);
    const view = new DataView(initial.buffer);
    for (const [option, name] of Object.entries(OPTION_NAMES)) {
      const value = options[option as keyof BalancerOptions];
      if (value === undefined) continue;
      const place = places.find(({ type }) => object.btf?.type(type).name === name);
      if (
        place === undefined ||
        !Number.isSafeInteger(value) ||
        value < 0 ||
        value >= 2 ** (8 * place.sizeBytes)
      ) {
        throw new RangeError(`${option}: ${value} cannot be set`);
      }
      if (place.sizeBytes === 8) view.setBigUint64(place.offset, BigInt(value), true);
      else view.setUint32(place.offset, value, true);
    }
    return { ...map, initial };
  });
  return { ...object, maps };
}
