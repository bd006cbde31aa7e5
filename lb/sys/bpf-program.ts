import { ATTACH_TYPES, type ObjectSpec, type ProgramSpec, type ProgramType } from '../bpf/object/spec.js';
import { BpfAttr, BpfError, bpfCall, bpfCallOrThrow } from './bpf-call.js';
import { ATTACH_XDP, attachTc, attachXdp, type TcDirection, type XdpLink, type XdpMode } from './bpf-link.js';
import type { KernelMap } from './bpf-map.js';
import { KernelTypes } from './bpf-types.js';
import { errnoName } from './errno.js';
import { closeFd } from './syscall.js';

/** enum bpf_prog_type (uapi/linux/bpf.h). */
const PROGRAM_TYPES: Partial<Record<ProgramType, number>> = { xdp: 6, sched_cls: 3 };
/** prog_flags: BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS. */
const FLAG_SLEEPABLE = 16;
const FLAG_FRAGS = 32;

const LOAD_ATTR_BYTES = 128;
const TEST_RUN_ATTR_BYTES = 80;
/** struct __sk_buff (uapi/linux/bpf.h): its length and its field `mark`, bytes. */
const SKB_BYTES = 192;
const SKB_MARK = 8;
const LOG_BYTES = 16 * 1024 * 1024;

const LD_IMM64 = 0x18;
const PSEUDO_MAP_FD = 1;
const PSEUDO_MAP_VALUE = 2;

/** What BPF_PROG_TEST_RUN gives back. */
export interface TestRun {
  /** The program's result: an XDP verdict or a TC action, unsigned. */
  readonly verdict: number;
  /** The packet as the program left it. */
  readonly packet: Uint8Array;
  /** skb->mark as the program left it, where the run began with one; else 0. */
  readonly mark: number;
  /** Mean time of one run, ns. */
  readonly durationNs: number;
}

/** A program that the kernel has verified and compiled. */
export class KernelProgram {
  readonly name: string;
  #fd: number;

  constructor(name: string, fd: number) {
    this.name = name;
    this.#fd = fd;
  }

  get fd(): number {
    return this.#fd;
  }

  /**
   * Run the program on a packet (BPF_PROG_TEST_RUN).
   * With `repeat` each run gets the packet that the last one left; the duration is the mean.
   * @param packet at least 14 bytes: the kernel takes no shorter frame
   * @param mark skb->mark, for TC programs
   * @throws BpfError BPF_CALL
   */
  testRun(packet: Uint8Array, repeat = 1, mark = 0): TestRun {
    // Room for what a program puts in front or behind: XDP's headroom and one page at most.
    const out = new Uint8Array(packet.length + 4096);
    const attr = new BpfAttr(TEST_RUN_ATTR_BYTES)
      .u32(0, this.#fd)
      .u32(8, packet.length)
      .u32(12, out.length)
      .pointer(16, packet)
      .pointer(24, out)
      .u32(32, repeat);
    const skb = new Uint8Array(SKB_BYTES);
    const fields = new DataView(skb.buffer);
    if (mark !== 0) {
      fields.setUint32(SKB_MARK, mark, true);
      attr.u32(40, skb.length).u32(44, skb.length).pointer(48, skb).pointer(56, skb);
    }
    bpfCallOrThrow('PROG_TEST_RUN', attr, `program ${this.name}`);
    return {
      verdict: attr.getU32(4),
      packet: out.slice(0, attr.getU32(12)),
      mark: fields.getUint32(SKB_MARK, true),
      durationNs: attr.getU32(36),
    };
  }

  /**
   * Attach to an interface until the link is closed.
   * @throws BpfError BPF_CALL: EOPNOTSUPP where the driver has no native XDP, EBUSY where another is attached
   */
  attachXdp(ifindex: number, mode: XdpMode): XdpLink {
    return attachXdp(this, ifindex, mode);
  }

  /**
   * Attach a TC program to an interface until the link is closed (tcx, Linux 6.6), behind those that are there.
   * @throws BpfError BPF_CALL
   */
  attachTc(ifindex: number, direction: TcDirection): XdpLink {
    return attachTc(this, ifindex, direction);
  }

  /** Give the descriptor back; an attached link keeps the program alive. */
  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }
}

/**
 * Load a linked program.
 * @param maps live maps in the order of `ObjectSpec.maps`: the program names them by index
 * @param btf types of the object: the kernel wants them for callbacks and global functions, and quotes source lines
 * @throws BpfError BPF_REFUSED with the verifier's log; BPF_PROGRAM_TYPE; BPF_MAP_INDEX
 */
export function loadKernelProgram(
  program: ProgramSpec,
  maps: readonly KernelMap[],
  license: string,
  btf?: ObjectSpec['btf'],
): KernelProgram {
  const type = PROGRAM_TYPES[program.type];
  if (type === undefined) {
    throw new BpfError(
      { code: 'BPF_PROGRAM_TYPE', program: program.name, type: program.type },
      `program ${program.name}: the kernel cannot load type ${program.type} from section ${program.section}`,
    );
  }
  const code = withDescriptors(program, maps);
  const attr = new BpfAttr(LOAD_ATTR_BYTES)
    .u32(0, type)
    .u32(4, code.length / 8)
    .pointer(8, code)
    .pointer(16, new TextEncoder().encode(`${license}\0`))
    .name(48, program.name)
    .u32(44, (program.frags ? FLAG_FRAGS : 0) | (program.sleepable ? FLAG_SLEEPABLE : 0))
    .u32(68, attachType(program));
  const types = btf === undefined ? undefined : new KernelTypes(btf);
  try {
    types?.describe(attr, program);
    const fd = bpfCall('PROG_LOAD', attr);
    if (fd >= 0) return new KernelProgram(program.name, fd);
    throw refusal(program.name, -fd, attr);
  } finally {
    types?.close();
  }
}

function attachType({ expectedAttachType, type }: ProgramSpec): number {
  if (expectedAttachType !== undefined) return ATTACH_TYPES[expectedAttachType];
  return type === 'xdp' ? ATTACH_XDP : 0;
}

/** Load again with a log, which costs time, to say why the program was refused. */
function refusal(name: string, errno: number, attr: BpfAttr): BpfError {
  const log = new Uint8Array(LOG_BYTES);
  attr.u32(24, 1).u32(28, log.length).pointer(32, log);
  const again = bpfCall('PROG_LOAD', attr);
  if (again >= 0) closeFd(again);
  const end = log.indexOf(0);
  const text = new TextDecoder().decode(log.subarray(0, end < 0 ? log.length : end)).trimEnd();
  const why =
    text === ''
      ? 'no log: run as root, or with CAP_BPF and CAP_NET_ADMIN'
      : text.split('\n').slice(-3).join('; ');
  return new BpfError(
    { code: 'BPF_REFUSED', program: name, errno: errnoName(errno), log: text },
    `the kernel refused program ${name}: ${errnoName(errno)}; ${why}`,
  );
}

/** The code with file descriptors where it has indices of maps. */
function withDescriptors(program: ProgramSpec, maps: readonly KernelMap[]): Uint8Array {
  const code = Uint8Array.from(program.code);
  const view = new DataView(code.buffer);
  for (let slot = 0; slot * 8 < code.length; slot++) {
    const at = slot * 8;
    if (view.getUint8(at) !== LD_IMM64) continue;
    const source = view.getUint8(at + 1) >> 4;
    if (source === PSEUDO_MAP_FD || source === PSEUDO_MAP_VALUE) {
      const index = view.getInt32(at + 4, true);
      const map = maps[index];
      if (map === undefined) {
        throw new BpfError(
          { code: 'BPF_MAP_INDEX', program: program.name, slot, index },
          `program ${program.name}: slot ${slot} names map ${index} of ${maps.length}`,
        );
      }
      view.setInt32(at + 4, map.fd, true);
    }
    slot++;
  }
  return code;
}
