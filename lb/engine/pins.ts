import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../errors.js';

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

/** Where bpffs is mounted, as systemd and most distributions have it. */
export const MOUNT_POINT = '/sys/fs/bpf';
/** Name of the link within the directory of a datapath, written last: with it, all is there. */
export const LINK_NAME = 'link';

/** The directory of an interface's pins unless another one is chosen. bpffs allows no dots in names. */
export function defaultPinDirectory(device: string): string {
  return join(MOUNT_POINT, 'waggle', device.replaceAll('.', '~'));
}

/** Whether a datapath is pinned at a directory, whether or not a process runs on it. */
export const isPinned = (directory: string): boolean => existsSync(join(directory, LINK_NAME));
