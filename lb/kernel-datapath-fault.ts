import { CodedError } from './errors.js';

export type PinFault =
  | { readonly code: 'PINS_NO_BPFFS'; readonly directory: string }
  | { readonly code: 'PINS_ACCESS'; readonly directory: string; readonly errno: string }
  | { readonly code: 'PINS_NAME'; readonly directory: string; readonly name: string }
  | { readonly code: 'PINS_TAKEN'; readonly directory: string }
  | { readonly code: 'PINS_ABSENT'; readonly directory: string }
  | { readonly code: 'PINS_BROKEN'; readonly directory: string; readonly reason: string }
  | { readonly code: 'PINS_LEFT'; readonly directory: string; readonly interface: string }
  | { readonly code: 'PINS_INTERFACE'; readonly directory: string; readonly interface: string }
  | {
      readonly code: 'PINS_LAYOUT';
      readonly directory: string;
      readonly map: string;
      readonly reason: string;
    };

/** Pins that cannot be written, or that are not ones to go on with; the message says what to do. */
export class PinError extends CodedError<PinFault> {}
