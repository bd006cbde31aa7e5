import { CodedError } from '../errors.js';
import { errnoName } from './errno.js';
import { addressOf, syscall } from './syscall.js';

/** Commands of bpf(2) that are used here (enum bpf_cmd, uapi/linux/bpf.h). */
export const BPF_COMMANDS = {
  MAP_CREATE: 0,
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  MAP_DELETE_ELEM: 3,
  MAP_GET_NEXT_KEY: 4,
  PROG_LOAD: 5,
  OBJ_PIN: 6,
  OBJ_GET: 7,
  PROG_TEST_RUN: 10,
  PROG_GET_FD_BY_ID: 13,
  MAP_GET_FD_BY_ID: 14,
  OBJ_GET_INFO_BY_FD: 15,
  BTF_LOAD: 18,
  BTF_GET_FD_BY_ID: 19,
  MAP_LOOKUP_AND_DELETE_ELEM: 21,
  MAP_FREEZE: 22,
  MAP_LOOKUP_BATCH: 24,
  MAP_UPDATE_BATCH: 26,
  MAP_DELETE_BATCH: 27,
  LINK_CREATE: 28,
  LINK_UPDATE: 29,
  LINK_DETACH: 34,
} as const;
export type BpfCommand = keyof typeof BPF_COMMANDS;

export type BpfFault =
  | {
      readonly code: 'BPF_CALL';
      readonly command: BpfCommand;
      readonly subject: string;
      readonly errno: string;
    }
  | { readonly code: 'BPF_REFUSED'; readonly program: string; readonly errno: string; readonly log: string }
  | {
      readonly code: 'BPF_LENGTH';
      readonly map: string;
      readonly what: string;
      readonly bytes: number;
      readonly wantBytes: number;
    }
  | { readonly code: 'BPF_MAP_TYPE'; readonly map: string; readonly type: string; readonly want: string }
  | { readonly code: 'BPF_PROGRAM_TYPE'; readonly program: string; readonly type: string }
  | {
      readonly code: 'BPF_MAP_INDEX';
      readonly program: string;
      readonly slot: number;
      readonly index: number;
    };

/** bpf(2) failed, or was asked for what it cannot do. */
export class BpfError extends CodedError<BpfFault> {}

/** What an operator can do about an errno; one line each. */
const ADVICE: Readonly<Record<string, string>> = {
  EPERM: 'run as root, or with CAP_BPF, and CAP_NET_ADMIN for XDP',
  ENOSYS: 'bpf() needs Linux on x86-64 or arm64',
  ENOMEM: 'the kernel has no memory for it: fewer entries, or a higher memory limit of the cgroup',
  EBUSY: 'another XDP program is attached to the interface: detach it first (ip link set dev … xdp off)',
  EEXIST:
    'another XDP program is attached to the interface in another mode: detach it first (ip link set dev … xdp off)',
  EOPNOTSUPP:
    "the interface's driver has no native XDP, or its settings (MTU, LRO) forbid it: use generic mode",
  ENODEV: 'there is no such interface',
};

/** A `union bpf_attr` under construction: fields by offset, little endian; buffers by address. */
export class BpfAttr {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  /** Buffers whose address stands in the attribute: alive as long as it is. */
  readonly #buffers: Uint8Array[] = [];

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }

  u64(offset: number, value: bigint): this {
    this.#view.setBigUint64(offset, value, true);
    return this;
  }

  pointer(offset: number, buffer: Uint8Array): this {
    this.#buffers.push(buffer);
    return this.u64(offset, addressOf(buffer));
  }

  /** A name of at most 15 characters (BPF_OBJ_NAME_LEN); others than letters, digits, "_" and "." become "_". */
  name(offset: number, name: string): this {
    const text = name.replaceAll(/[^A-Za-z0-9_.]/g, '_').slice(0, 15);
    this.bytes.set(new TextEncoder().encode(text), offset);
    return this;
  }

  getU32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }
}

/** Call bpf(2): its result, or the negative errno. */
export function bpfCall(command: BpfCommand, attr: BpfAttr): number {
  const { result, errno } = syscall('bpf', BPF_COMMANDS[command], attr.bytes);
  return result < 0 ? -errno : result;
}

/**
 * Call bpf(2) where a failure is an error of the caller's.
 * @param subject what the call is about, for the message
 * @throws BpfError BPF_CALL with the errno's name and what to do about it
 */
export function bpfCallOrThrow(command: BpfCommand, attr: BpfAttr, subject: string): number {
  const result = bpfCall(command, attr);
  if (result < 0) throw callError(command, subject, -result);
  return result;
}

/** The error of a failed call. */
export function callError(command: BpfCommand, subject: string, errno: number): BpfError {
  const name = errnoName(errno);
  const advice = ADVICE[name];
  return new BpfError(
    { code: 'BPF_CALL', command, subject, errno: name },
    `bpf ${command} of ${subject} failed: ${name}${advice === undefined ? '' : `; ${advice}`}`,
  );
}
