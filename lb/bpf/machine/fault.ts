import { CodedError } from '../../errors.js';

export type MachineFault =
  /** What was asked for, and what there is. */
  | { readonly code: 'MACHINE_PROGRAM'; readonly program: string; readonly programs: readonly string[] }
  | { readonly code: 'MACHINE_MAP'; readonly map: string; readonly maps: readonly string[] }
  /** Maps of the type are not offered. */
  | { readonly code: 'MACHINE_MAP_TYPE'; readonly map: string; readonly type: string }
  | { readonly code: 'MACHINE_GLOBAL'; readonly global: string; readonly globals: readonly string[] }
  | { readonly code: 'MACHINE_TYPE'; readonly type: string }
  /** The program cannot be run: `cause` says why. */
  | { readonly code: 'MACHINE_LOAD'; readonly program: string }
  /** A constant is set after the programs were compiled with it. */
  | { readonly code: 'MACHINE_CONSTANT'; readonly global: string }
  | { readonly code: 'MACHINE_CPU'; readonly cpu: number; readonly cpus: number }
  /** The program did what no verified program does: `cause` says what. */
  | { readonly code: 'MACHINE_TRAP'; readonly program: string }
  | { readonly code: 'MACHINE_CLOSED' };

/** A machine was asked for what it does not have, or a program cannot be loaded or run. */
export class MachineError extends CodedError<MachineFault> {}

/** The names of what there is, in a message. */
export const named = (names: readonly string[]): string => names.join(', ') || 'none';
