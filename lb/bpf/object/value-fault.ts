import { CodedError, type Fault } from '../../errors.js';

export interface ValueFault extends Fault {
  readonly code:
    | 'VALUE_TYPE'
    | 'VALUE_RANGE'
    | 'VALUE_LENGTH'
    | 'VALUE_FIELD'
    | 'VALUE_ENUM'
    | 'VALUE_UNION'
    | 'VALUE_KIND';
  /** The field that is meant, such as `flows[2].key.port`; '' for the value itself. */
  readonly path: string;
}
/** A value of TypeScript does not fit the C type that it is to become, or bytes are not as long as their type. */
export class ValueError extends CodedError<ValueFault> {}

/** A value in a message: short, and of any kind. */
export function show(value: unknown): string {
  if (typeof value === 'bigint') return `${value}`;
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  if (typeof value === 'number' || typeof value === 'boolean' || value == null) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.byteLength})`;
  return `a value of type ${typeof value}`;
}

/** @param rule what the value would have to be */
export function valueFail(code: ValueFault['code'], path: string, rule: string, value?: unknown): never {
  const got = value === undefined ? '' : `, not ${show(value)}`;
  throw new ValueError({ code, path }, `${path === '' ? 'value' : path}: ${rule}${got}`);
}
