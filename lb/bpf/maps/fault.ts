import { CodedError } from '../../errors.js';
import type { MapSpec, MapTypeName } from './map.js';

type MapFault =
  /** `errno`: what bpf(BPF_MAP_CREATE) answers to the same. */
  | {
      readonly code: 'MAP_SPEC';
      readonly map: string;
      readonly field: SpecField;
      readonly value: number | string;
      readonly rule: string;
      readonly errno: SpecErrno;
    }
  | {
      readonly code: 'MAP_NO_ROOM';
      readonly map: string;
      readonly needBytes: number;
      readonly freeBytes: number;
    }
  | {
      readonly code: 'MAP_LENGTH';
      readonly map: string;
      readonly argument: string;
      readonly bytes: number;
      readonly wantBytes: number;
    }
  /** The map is of another type than what it is used as. */
  | {
      readonly code: 'MAP_TYPE';
      readonly map: string;
      readonly type: MapTypeName;
      readonly wanted: MapTypeName;
    }
  | { readonly code: 'MAP_FOREIGN'; readonly map: string; readonly inner: string }
  | { readonly code: 'MAP_CLOSED'; readonly map: string }
  | { readonly code: 'MAP_REGION_TAKEN' };

/** Parts of a spec that a fault can lie in. */
export type SpecField =
  | 'type'
  | 'keySize'
  | 'valueSize'
  | 'maxEntries'
  | 'flags'
  | 'mapExtra'
  | 'inner'
  | 'initial'
  | 'lockOffset';
export type SpecErrno = 'EINVAL' | 'E2BIG' | 'ENOTSUPP' | 'EOPNOTSUPP' | 'EACCES';

export class MapError extends CodedError<MapFault> {}

/** The error of a spec that breaks a rule of its type. */
export function specError(
  spec: MapSpec,
  field: SpecField,
  value: number | string,
  rule: string,
  errno: SpecErrno = 'EINVAL',
): MapError {
  return new MapError(
    { code: 'MAP_SPEC', map: spec.name, field, value, rule, errno },
    `map ${spec.name}: ${field} is ${value}, but must be such that ${rule} (${errno})`,
  );
}

/** A map is given to a reader for maps of another type. */
export function typeError(spec: MapSpec, wanted: MapTypeName): MapError {
  return new MapError(
    { code: 'MAP_TYPE', map: spec.name, type: spec.type, wanted },
    `map ${spec.name} is of type ${spec.type}, and not a ${wanted}`,
  );
}
