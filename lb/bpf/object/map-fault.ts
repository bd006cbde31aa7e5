import { ObjectError, type ObjectFault } from './fault.js';

export interface MapDefFault extends ObjectFault {
  readonly code:
    | 'MAP_DEF_NO_BTF'
    | 'MAP_DEF_FIELD'
    | 'MAP_DEF_TYPE'
    | 'MAP_DEF_SIZE'
    | 'MAP_DEF_INNER'
    | 'MAP_DEF_VALUES'
    | 'MAP_DEF_PLACE'
    | 'MAP_DEF_LEGACY';
  readonly stage: 'maps';
}
/** A map definition is damaged, contradicts itself or is of a type that is not known here. */
export class MapDefError extends ObjectError<MapDefFault> {}

export function mapFail(code: MapDefFault['code'], section: string, offset: number, message: string): never {
  throw new MapDefError({ code, stage: 'maps', section, offset }, message);
}
