import { readFileSync } from 'node:fs';
import { BpfAttr, bpfCallOrThrow } from './bpf-call.js';
import { xdpLinkInfo } from './bpf-info.js';
import { closeFd } from './syscall.js';

const LINK_ATTR_BYTES = 64;
/** enum bpf_attach_type: BPF_XDP. */
export const ATTACH_XDP = 37;
/** enum bpf_attach_type: BPF_TCX_INGRESS, BPF_TCX_EGRESS. */
const ATTACH_TCX = { ingress: 46, egress: 47 } as const;
export type TcDirection = keyof typeof ATTACH_TCX;
/** XDP_FLAGS_SKB_MODE and XDP_FLAGS_DRV_MODE (uapi/linux/if_link.h). */
const XDP_MODES = { generic: 2, native: 4 } as const;
export type XdpMode = keyof typeof XDP_MODES;

/** A program that can be attached. */
interface Attachable {
  readonly name: string;
  readonly fd: number;
}

/**
 * A program attached to an interface. The kernel detaches it when the descriptor is closed, even by a crash, unless the
 * link is pinned.
 */
export interface XdpLink {
  readonly ifindex: number;
  /** File descriptor, for pins; -1 when closed. */
  readonly fd: number;
  /**
   * Run another program from the next packet on; none is missed.
   * @throws BpfError BPF_CALL
   */
  replace(program: Attachable): void;
  /**
   * Detach now, pinned or not; the link stays, attached to nothing.
   * @throws BpfError BPF_CALL
   */
  detach(): void;
  /** Give the descriptor back. Idempotent. */
  close(): void;
}

/**
 * Attach an XDP program to an interface.
 * @throws BpfError BPF_CALL: EOPNOTSUPP where the driver has no native XDP, EBUSY where another is attached
 */
export function attachXdp(program: Attachable, ifindex: number, mode: XdpMode): XdpLink {
  const subject = `program ${program.name} on interface ${ifindex} (${mode})`;
  return create(program, ifindex, ATTACH_XDP, XDP_MODES[mode], subject);
}

/**
 * Attach a TC program to an interface (tcx, Linux 6.6), behind those that are there.
 * @throws BpfError BPF_CALL
 */
export function attachTc(program: Attachable, ifindex: number, direction: TcDirection): XdpLink {
  const subject = `program ${program.name} on interface ${ifindex} (tc ${direction})`;
  return create(program, ifindex, ATTACH_TCX[direction], 0, subject);
}

/**
 * A link of XDP that was attached before, by its descriptor, which `close()` closes.
 * @returns undefined, and the descriptor is closed, where it is of something else
 */
export function adoptXdpLink(fd: number, subject: string): XdpLink | undefined {
  try {
    // The kernel tells of any object in one way: a map's type may have the number of a link's.
    const isLink = /^link_type:/m.test(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
    const info = isLink ? xdpLinkInfo(fd, subject) : undefined;
    if (info !== undefined) return linkOf(fd, info.ifindex);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  closeFd(fd);
  return undefined;
}

function create(
  program: Attachable,
  ifindex: number,
  attachType: number,
  flags: number,
  subject: string,
): XdpLink {
  const attr = new BpfAttr(LINK_ATTR_BYTES)
    .u32(0, program.fd)
    .u32(4, ifindex)
    .u32(8, attachType)
    .u32(12, flags);
  return linkOf(bpfCallOrThrow('LINK_CREATE', attr, subject), ifindex);
}

function linkOf(descriptor: number, ifindex: number): XdpLink {
  let fd = descriptor;
  return {
    ifindex,
    get fd() {
      return fd;
    },
    replace: (program) => {
      const update = new BpfAttr(LINK_ATTR_BYTES).u32(0, fd).u32(4, program.fd);
      bpfCallOrThrow('LINK_UPDATE', update, `program ${program.name} on interface ${ifindex}`);
    },
    detach: () => {
      bpfCallOrThrow('LINK_DETACH', new BpfAttr(LINK_ATTR_BYTES).u32(0, fd), `interface ${ifindex}`);
    },
    close: () => {
      if (fd >= 0) closeFd(fd);
      fd = -1;
    },
  };
}
