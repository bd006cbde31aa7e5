import type { BalancerOptions } from './balancer/object.js';
import type { MapSpec } from './bpf/maps/map.js';
import { assert } from './errors.js';
import type { Offload } from './sys/ethtool.js';

/** What a process leaves for the next one beside program, link and maps. */
export interface Manifest {
  /** Of the layout of the pins and of this; another one is not understood. */
  readonly layout: typeof LAYOUT;
  readonly interface: string;
  readonly ifindex: number;
  /** Network namespace of the interface, as /proc/self/ns/net names it. */
  readonly namespace: string;
  readonly mode: 'xdp_native' | 'xdp_generic';
  /** SHA-256 of the object file, hexadecimal digits. */
  readonly object: string;
  readonly options: BalancerOptions;
  /** Offloads that were on before the interface was ours: for whoever detaches. */
  readonly turnedOff: readonly Offload[];
}

export const LAYOUT = 1;
const VALUE_BYTES = 4096;

/** A bpffs holds nothing but BPF's own objects: the manifest is the one value of a map, JSON filled up with zeros. */
export const MANIFEST_SPEC: MapSpec = {
  name: 'manifest',
  type: 'ARRAY',
  keySize: 4,
  valueSize: VALUE_BYTES,
  maxEntries: 1,
  flags: 0,
};

export function encodeManifest(manifest: Manifest): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(manifest));
  assert(text.length <= VALUE_BYTES, 'the manifest fits its map');
  const value = new Uint8Array(VALUE_BYTES);
  value.set(text);
  return value;
}

/** Types of the fields by typeof, all of which must be there. */
const FIELDS = {
  layout: 'number',
  interface: 'string',
  ifindex: 'number',
  namespace: 'string',
  mode: 'string',
  object: 'string',
  options: 'object',
  turnedOff: 'object',
} as const satisfies Record<keyof Manifest, string>;

/** @returns why it is none, where it is not a manifest of this layout */
export function decodeManifest(value: Uint8Array): Manifest | { readonly reason: string } {
  const end = value.indexOf(0);
  let read: unknown;
  try {
    read = JSON.parse(new TextDecoder().decode(value.subarray(0, end < 0 ? value.length : end)));
  } catch {
    return { reason: 'the manifest is not JSON' };
  }
  if (typeof read !== 'object' || read === null) return { reason: 'the manifest is no object' };
  const fields: Readonly<Record<string, unknown>> = { ...read };
  if (fields.layout !== LAYOUT) {
    return { reason: `its layout is ${String(fields.layout)}, this version knows ${LAYOUT}` };
  }
  for (const [name, type] of Object.entries(FIELDS)) {
    if (typeof fields[name] !== type || fields[name] === null)
      return { reason: `the manifest has no ${name}` };
  }
  // The lines before checked it.
  return read as Manifest;
}
