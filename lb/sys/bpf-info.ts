import { MAP_TYPES, type MapTypeName } from '../bpf/maps/map.js';
import { BpfAttr, type BpfCommand, bpfCallOrThrow } from './bpf-call.js';
import { closeFd } from './syscall.js';

const INFO_ATTR_BYTES = 16;
const ID_ATTR_BYTES = 12;
/** Of struct bpf_map_info, bpf_prog_info, bpf_link_info and bpf_btf_info (uapi/linux/bpf.h), what is read here. */
const MAP_INFO_BYTES = 88;
const PROGRAM_INFO_BYTES = 80;
const LINK_INFO_BYTES = 32;
const BTF_INFO_BYTES = 32;
/** enum bpf_link_type: BPF_LINK_TYPE_XDP. */
const LINK_TYPE_XDP = 6;
const NAME_BYTES = 16;

const TYPE_NAMES: ReadonlyMap<number, MapTypeName> = new Map(
  Object.entries(MAP_TYPES).map(([name, number]) => [number, name as MapTypeName]),
);

/** What the kernel knows of a map. */
export interface KernelMapInfo {
  readonly id: number;
  /** undefined: a type that is not known here. */
  readonly type: MapTypeName | undefined;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** 15 characters at most. */
  readonly name: string;
  /** Types of the map: the id of their BTF, and of key and value in it; each 0 where it has none. */
  readonly btfId: number;
  readonly keyTypeId: number;
  readonly valueTypeId: number;
}

/** What the kernel knows of a program. */
export interface KernelProgramInfo {
  readonly id: number;
  readonly name: string;
  /** Hash of its instructions, 16 hexadecimal digits; constants that it reads from maps are not in it. */
  readonly tag: string;
}

/** What the kernel knows of a link of XDP. */
export interface XdpLinkInfo {
  readonly id: number;
  readonly programId: number;
  /** In the network namespace of the interface; 0 once the interface is gone, or the link was detached. */
  readonly ifindex: number;
}

/**
 * Fill a struct with what the kernel knows of the object of a descriptor; fields that this kernel does not have are 0.
 * @throws BpfError BPF_CALL
 */
function readInfo(fd: number, info: Uint8Array, subject: string): DataView {
  const attr = new BpfAttr(INFO_ATTR_BYTES).u32(0, fd).u32(4, info.length).pointer(8, info);
  bpfCallOrThrow('OBJ_GET_INFO_BY_FD', attr, subject);
  return new DataView(info.buffer);
}

function nameAt(info: Uint8Array, offset: number): string {
  const bytes = info.subarray(offset, offset + NAME_BYTES);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end < 0 ? NAME_BYTES : end));
}

/** @throws BpfError BPF_CALL: EINVAL where the descriptor is of something else */
export function kernelMapInfo(fd: number, subject: string): KernelMapInfo {
  const bytes = new Uint8Array(MAP_INFO_BYTES);
  const view = readInfo(fd, bytes, subject);
  const u32 = (offset: number) => view.getUint32(offset, true);
  return {
    id: u32(4),
    type: TYPE_NAMES.get(u32(0)),
    keySize: u32(8),
    valueSize: u32(12),
    maxEntries: u32(16),
    flags: u32(20),
    name: nameAt(bytes, 24),
    btfId: u32(64),
    keyTypeId: u32(68),
    valueTypeId: u32(72),
  };
}

/** @throws BpfError BPF_CALL */
export function kernelProgramInfo(fd: number, subject: string): KernelProgramInfo {
  const bytes = new Uint8Array(PROGRAM_INFO_BYTES);
  const view = readInfo(fd, bytes, subject);
  return {
    id: view.getUint32(4, true),
    name: nameAt(bytes, 64),
    tag: Buffer.from(bytes.subarray(8, 16)).toString('hex'),
  };
}

/** Numbers of the maps that a program uses. @throws BpfError BPF_CALL */
export function programMapIds(fd: number, subject: string): number[] {
  const count = readInfo(fd, new Uint8Array(PROGRAM_INFO_BYTES), subject).getUint32(52, true);
  const ids = new Uint32Array(count);
  const bytes = new Uint8Array(ids.buffer);
  const info = new BpfAttr(PROGRAM_INFO_BYTES).u32(52, count).pointer(56, bytes);
  readInfo(fd, info.bytes, subject);
  return [...ids];
}

/** @returns undefined where the link is not one of XDP. @throws BpfError BPF_CALL */
export function xdpLinkInfo(fd: number, subject: string): XdpLinkInfo | undefined {
  const view = readInfo(fd, new Uint8Array(LINK_INFO_BYTES), subject);
  if (view.getUint32(0, true) !== LINK_TYPE_XDP) return undefined;
  return {
    id: view.getUint32(4, true),
    programId: view.getUint32(8, true),
    ifindex: view.getUint32(16, true),
  };
}

/**
 * Open a map or BTF by the number that the kernel gave it.
 * @throws BpfError BPF_CALL: ENOENT where it is gone
 */
export function openById(
  command: Extract<BpfCommand, `${string}_GET_FD_BY_ID`>,
  id: number,
  subject: string,
): number {
  return bpfCallOrThrow(command, new BpfAttr(ID_ATTR_BYTES).u32(0, id), subject);
}

/**
 * The bytes of BTF that was loaded into the kernel, as parseBtf takes them.
 * @throws BpfError BPF_CALL
 */
export function kernelBtf(id: number): Uint8Array {
  const subject = `types number ${id}`;
  const fd = openById('BTF_GET_FD_BY_ID', id, subject);
  try {
    const bytes = new Uint8Array(readInfo(fd, new Uint8Array(BTF_INFO_BYTES), subject).getUint32(8, true));
    const info = new BpfAttr(BTF_INFO_BYTES).pointer(0, bytes).u32(8, bytes.length);
    readInfo(fd, info.bytes, subject);
    return bytes;
  } finally {
    closeFd(fd);
  }
}
