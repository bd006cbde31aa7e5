import { CodedError } from '../../errors.js';
import type { HelperUser } from '../helpers/prototypes.js';
import type { Arena } from '../memory/arena.js';
import {
  CPU_REDIRECT,
  REDIRECT_BYTES,
  REDIRECT_FLAGS,
  REDIRECT_KEY,
  REDIRECT_MAP,
  REDIRECT_TARGET,
  SKB_BYTES,
  SKB_DATA,
  SKB_DATA_END,
  SKB_DATA_META,
  SKB_HARD_END,
  SKB_HARD_START,
  SKB_TUNNEL_FLAGS,
  SKB_TUNNEL_KEY,
  SKB_TUNNEL_SET,
  TUNNEL_KEY_BYTES,
  XDP_MD_BYTES,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_HARD_END,
  XDP_MD_HARD_START,
} from '../memory/layout.js';
import { CONTEXTS, type ContextField, fieldByName, fieldBytes } from './fields.js';
import { ETHERNET_HEADER_BYTES } from './packet-load.js';

export type PacketFault =
  | {
      readonly code: 'PACKET_ROOM';
      readonly packetBytes: number;
      readonly needBytes: number;
      readonly roomBytes: number;
    }
  | { readonly code: 'PACKET_SHORT'; readonly packetBytes: number; readonly minBytes: number }
  | { readonly code: 'PACKET_FIELD'; readonly field: string; readonly type: HelperUser }
  | { readonly code: 'PACKET_META'; readonly metaBytes: number };

/** A packet that does not fit its room, or a context that the program's type does not have. */
export class PacketError extends CodedError<PacketFault> {}

/** Room in front of the packet: XDP_PACKET_HEADROOM (uapi/linux/bpf.h). */
export const HEADROOM_BYTES = 256;
/** What the kernel keeps of it for itself, at its start (sizeof struct xdp_frame): XDP programs cannot have it. */
const XDP_FRAME_BYTES = 40;
/** Room from the packet's start on: a page less headroom and what the kernel keeps at its end (struct skb_shared_info). */
export const TAIL_LIMIT_BYTES = 4096 - HEADROOM_BYTES - 320;
/** The kernel's test runs take no shorter frame. */
const MIN_PACKET_BYTES = ETHERNET_HEADER_BYTES;
/** Interface that the kernel's test runs are on: lo. */
const LOOPBACK_IFINDEX = 1;
/** skb->pkt_type (uapi/linux/if_packet.h). */
const PACKET_TYPES = { host: 0, multicast: 2, otherHost: 3 } as const;
/** uapi/linux/if_ether.h. */
const ETH_P_802_3_MIN = 0x600;
const ETH_P_802_3 = 1;
const ETH_P_802_2 = 4;

/** Where a context keeps what says where the packet is. */
const PLACES = {
  xdp: {
    data: XDP_MD_DATA,
    dataEnd: XDP_MD_DATA_END,
    dataMeta: XDP_MD_DATA_META,
    hardStart: XDP_MD_HARD_START,
    hardEnd: XDP_MD_HARD_END,
    bytes: XDP_MD_BYTES,
  },
  sched_cls: {
    data: SKB_DATA,
    dataEnd: SKB_DATA_END,
    dataMeta: SKB_DATA_META,
    hardStart: SKB_HARD_START,
    hardEnd: SKB_HARD_END,
    bytes: SKB_BYTES,
  },
} as const satisfies Record<HelperUser, object>;

export interface PacketRoom {
  readonly offset: number;
  readonly bytes: number;
}

/** A scalar field's value; an array's elements in order, the rest 0. */
export type FieldValue = number | bigint | readonly number[];

export interface PacketContextOptions {
  readonly cpu: number;
  readonly type: HelperUser;
  /** Part of the arena that packets are put into: headroom, packet, tailroom. */
  readonly room: PacketRoom;
  /** Bytes in front of the packet; HEADROOM_BYTES unless given. The first 40 are not for XDP programs, as in the kernel. */
  readonly headroomBytes?: number;
}

export interface PlaceOptions {
  /** Values of scalar fields by the kernel's name, instead of those of BPF_PROG_TEST_RUN. */
  readonly fields?: Readonly<Record<string, FieldValue>>;
  /** Metadata in front of the packet (data_meta): a multiple of 4, at most 255 bytes. */
  readonly meta?: Uint8Array;
}

/** Where bpf_redirect and bpf_redirect_map send the packet. */
export interface Redirect {
  /** Descriptor of the map, or 0 for bpf_redirect. */
  readonly map: number;
  readonly key: number;
  readonly flags: bigint;
  readonly target: number;
}

/** The tunnel that a TC program gave its packet (bpf_skb_set_tunnel_key), for the interface that it goes out by. */
export interface TunnelKey {
  /** struct bpf_tunnel_key (uapi/linux/bpf.h), 44 bytes: a copy. */
  readonly key: Uint8Array;
  /** BPF_F_TUNINFO_IPV6 (1) and the like. */
  readonly flags: number;
}

/** skb->pkt_type as eth_type_trans finds it for lo, whose address and broadcast address are all zero. */
function packetType(packet: Uint8Array): number {
  const destination = packet.subarray(0, 6);
  if ((destination[0]! & 1) !== 0) return PACKET_TYPES.multicast;
  return destination.every((byte) => byte === 0) ? PACKET_TYPES.host : PACKET_TYPES.otherHost;
}

/** skb->protocol as eth_type_trans finds it, in network order: a length in the type's place is IEEE 802.3 or 802.2. */
function protocolOf(packet: Uint8Array): number {
  const [high, low] = [packet[12]!, packet[13]!];
  if (high * 256 + low >= ETH_P_802_3_MIN) return high | (low << 8);
  const isRaw = packet[ETHERNET_HEADER_BYTES] === 0xff && packet[ETHERNET_HEADER_BYTES + 1] === 0xff;
  return (isRaw ? ETH_P_802_3 : ETH_P_802_2) << 8;
}

/** Fields that the kernel's test run does not leave 0 (net/bpf/test_run.c). */
const DEFAULTS: Readonly<Record<HelperUser, (packet: Uint8Array) => Readonly<Record<string, FieldValue>>>> = {
  xdp: () => ({ ingress_ifindex: LOOPBACK_IFINDEX }),
  sched_cls: (packet) => ({
    len: packet.length,
    pkt_type: packetType(packet),
    protocol: protocolOf(packet),
    ifindex: LOOPBACK_IFINDEX,
  }),
};

/**
 * A packet and its context in a CPU's block, for programs that are run one by one: `place` before a run, the rest after.
 * Fields, headroom and tailroom are those of the kernel's BPF_PROG_TEST_RUN unless given.
 */
export class PacketContext {
  readonly type: HelperUser;
  /** Arena offset of the context: what `Executable.run` takes. */
  readonly address: number;
  readonly #arena: Arena;
  readonly #view: DataView;
  readonly #block: number;
  readonly #room: PacketRoom;
  readonly #headroomBytes: number;

  /** @throws ArenaError ARENA_CPU */
  constructor(arena: Arena, { cpu, type, room, headroomBytes = HEADROOM_BYTES }: PacketContextOptions) {
    this.type = type;
    this.#arena = arena;
    this.#view = new DataView(arena.memory.buffer);
    this.#block = arena.block(cpu);
    this.address = this.#block + CONTEXTS[type].blockOffset;
    this.#room = room;
    this.#headroomBytes = headroomBytes;
  }

  /**
   * Put a packet and its context in place; what was there before is gone.
   * @throws PacketError PACKET_SHORT, PACKET_ROOM, PACKET_META, PACKET_FIELD
   */
  place(packet: Uint8Array, { fields = {}, meta = new Uint8Array() }: PlaceOptions = {}): void {
    const { offset, bytes } = this.#room;
    this.#check(packet, meta);
    const data = offset + this.#headroomBytes;
    const end = data + packet.length;
    // Room that a test run has, and never less than the packet itself.
    const hardEnd = Math.min(offset + bytes, Math.max(data + TAIL_LIMIT_BYTES, end));
    const places = PLACES[this.type];
    const { u8 } = this.#arena;
    u8.fill(0, offset, hardEnd);
    u8.set(meta, data - meta.length);
    u8.set(packet, data);
    u8.fill(0, this.address, this.address + places.bytes);
    u8.fill(0, this.#block + CPU_REDIRECT, this.#block + CPU_REDIRECT + REDIRECT_BYTES);
    this.#setWord(places.data, data);
    this.#setWord(places.dataEnd, end);
    this.#setWord(places.dataMeta, data - meta.length);
    this.#setWord(places.hardStart, this.type === 'xdp' ? Math.min(offset + XDP_FRAME_BYTES, data) : offset);
    this.#setWord(places.hardEnd, hardEnd);
    for (const [name, value] of Object.entries({ ...DEFAULTS[this.type](packet), ...fields }))
      this.#setField(this.#scalar(name), value);
  }

  /** The packet as the program left it: a copy. */
  packet(): Uint8Array {
    const { data, dataEnd } = PLACES[this.type];
    return this.#arena.u8.slice(this.#word(data), this.#word(dataEnd));
  }

  /** The metadata in front of it: a copy, empty where the packet has none. */
  meta(): Uint8Array {
    const { data, dataMeta } = PLACES[this.type];
    return this.#arena.u8.slice(Math.min(this.#word(dataMeta), this.#word(data)), this.#word(data));
  }

  /**
   * A scalar field as the program left it; the first element of an array.
   * @throws PacketError PACKET_FIELD
   */
  field(name: string): bigint {
    return this.#read(this.#scalar(name), 0);
  }

  /** All scalar fields by name; arrays as their elements. */
  fields(): Record<string, bigint | bigint[]> {
    const scalars = CONTEXTS[this.type].fields.filter(({ value }) => value === 'scalar');
    return Object.fromEntries(
      scalars.map((field) => {
        const { name, count } = field;
        if (count === undefined) return [name, this.#read(field, 0)];
        return [name, Array.from({ length: count }, (_, index) => this.#read(field, index))];
      }),
    );
  }

  /** What the program's last bpf_redirect or bpf_redirect_map said; it holds where the verdict is to redirect. */
  redirect(): Redirect {
    const at = this.#block + CPU_REDIRECT;
    const word = (offset: number) => this.#view.getUint32(at + offset, true);
    return {
      map: word(REDIRECT_MAP),
      key: word(REDIRECT_KEY),
      flags: this.#view.getBigUint64(at + REDIRECT_FLAGS, true),
      target: word(REDIRECT_TARGET),
    };
  }

  /** The last tunnel that a TC program gave the packet; undefined where it gave none. */
  tunnel(): TunnelKey | undefined {
    if (this.type !== 'sched_cls' || this.#word(SKB_TUNNEL_SET) === 0) return undefined;
    const at = this.address + SKB_TUNNEL_KEY;
    return { key: this.#arena.u8.slice(at, at + TUNNEL_KEY_BYTES), flags: this.#word(SKB_TUNNEL_FLAGS) };
  }

  #check(packet: Uint8Array, meta: Uint8Array): void {
    const packetBytes = packet.length;
    if (packetBytes < MIN_PACKET_BYTES) {
      throw new PacketError(
        { code: 'PACKET_SHORT', packetBytes, minBytes: MIN_PACKET_BYTES },
        `a packet of ${packetBytes} bytes: at least an Ethernet header of ${MIN_PACKET_BYTES} is needed`,
      );
    }
    if (meta.length > this.#headroomBytes || meta.length > 255 || meta.length % 4 !== 0) {
      throw new PacketError(
        { code: 'PACKET_META', metaBytes: meta.length },
        `metadata of ${meta.length} bytes: a multiple of 4 up to 252 and to the headroom is possible`,
      );
    }
    const needBytes = this.#headroomBytes + packetBytes;
    const { bytes: roomBytes } = this.#room;
    if (needBytes <= roomBytes) return;
    throw new PacketError(
      { code: 'PACKET_ROOM', packetBytes, needBytes, roomBytes },
      `a packet of ${packetBytes} bytes needs ${needBytes} bytes with its headroom; there are ${roomBytes}`,
    );
  }

  #scalar(name: string): ContextField {
    const field = fieldByName(this.type, name);
    if (field?.value === 'scalar') return field;
    throw new PacketError(
      { code: 'PACKET_FIELD', field: name, type: this.type },
      `${CONTEXTS[this.type].type} has no field ${name} that holds a number`,
    );
  }

  #setField(field: ContextField, value: FieldValue): void {
    if (typeof value === 'object') {
      const { bytes } = field;
      for (const [index, each] of value.entries()) {
        if (index * bytes < fieldBytes(field)) this.#write(field, index, BigInt(each));
      }
    } else this.#write(field, 0, BigInt(value));
  }

  #write({ offset, bytes }: ContextField, index: number, value: bigint): void {
    const at = this.address + offset + index * bytes;
    if (bytes === 8) this.#view.setBigUint64(at, BigInt.asUintN(64, value), true);
    else if (bytes === 4) this.#view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
    else if (bytes === 2) this.#view.setUint16(at, Number(BigInt.asUintN(16, value)), true);
    else this.#view.setUint8(at, Number(BigInt.asUintN(8, value)));
  }

  #read({ offset, bytes }: ContextField, index: number): bigint {
    const at = this.address + offset + index * bytes;
    if (bytes === 8) return this.#view.getBigUint64(at, true);
    if (bytes === 4) return BigInt(this.#view.getUint32(at, true));
    return BigInt(bytes === 2 ? this.#view.getUint16(at, true) : this.#view.getUint8(at));
  }

  #word(offset: number): number {
    return this.#view.getUint32(this.address + offset, true);
  }

  #setWord(offset: number, value: number): void {
    this.#view.setUint32(this.address + offset, value, true);
  }
}
