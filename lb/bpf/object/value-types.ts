/** What `decodeValue` gives: see `ValueShape` for which C type becomes what. */
export type BtfValue = number | bigint | boolean | string | Uint8Array | readonly BtfValue[] | BtfFields;
/** A struct, union or data section by the names of its fields. */
export interface BtfFields {
  readonly [field: string]: BtfValue;
}

/**
 * What `encodeValue` takes for a value of type T: fields may be missing (they are 0), an int may be a number or a
 * bigint, bytes may be a list, and the bytes of the whole type stand for any struct or array.
 */
export type ValueInput<T> = T extends number | bigint
  ? number | bigint
  : T extends boolean | string
    ? T
    : T extends Uint8Array
      ? Uint8Array | readonly number[]
      : T extends readonly (infer E)[]
        ? readonly ValueInput<E>[] | Uint8Array
        : T extends object
          ? { readonly [P in keyof T]?: ValueInput<T[P]> | undefined } | Uint8Array
          : T;
