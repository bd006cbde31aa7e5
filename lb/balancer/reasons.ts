import { MAX_VIPS } from './schema.js';

/** How a packet ends: sent on or answered (XDP_TX), dropped (XDP_DROP), left to the host (XDP_PASS). */
export type ReasonKind = 'answer' | 'drop' | 'pass';

interface ReasonRow {
  /** Its number, as `enum reason` of programs/include/consts.h has it. */
  readonly code: number;
  readonly kind: ReasonKind;
  /** One sentence for a person; the packet is its subject. */
  readonly says: string;
}

/** What becomes of a packet, by name: the closed list. */
export const REASONS = {
  forwarded: { code: 0, kind: 'answer', says: 'went to a backend, with an outer header' },
  echo_reply: { code: 1, kind: 'answer', says: 'is an echo request for a VIP and was answered' },
  too_big_sent: {
    code: 2,
    kind: 'answer',
    says: 'would not fit the path with its outer header; the sender was told the MTU',
  },
  egress_decap: {
    code: 3,
    kind: 'answer',
    says: 'lost its outer header and went back out, as its tunnel destination says',
  },

  short_frame: { code: 8, kind: 'drop', says: 'has no room for an Ethernet header and its VLAN tags' },
  fragment: { code: 9, kind: 'drop', says: "is a fragment for a VIP's address: its ports cannot be known" },
  ip_options: { code: 10, kind: 'drop', says: "has an IPv4 header with options, for a VIP's address" },
  truncated: { code: 11, kind: 'drop', says: "ends inside its transport header, for a VIP's address" },
  too_long: {
    code: 12,
    kind: 'drop',
    says: 'would not fit the path with its outer header, and nobody can be told',
  },
  empty_ring: {
    code: 13,
    kind: 'drop',
    says: 'is for a VIP whose pool has no backend that takes connections',
  },
  no_real: { code: 14, kind: 'drop', says: 'is for a backend that was just removed' },
  family_mismatch: { code: 15, kind: 'drop', says: 'is IPv6 and its backend IPv4' },
  no_headroom: { code: 16, kind: 'drop', says: 'had no room for the outer header in front' },
  icmp_inner: {
    code: 17,
    kind: 'drop',
    says: "is an ICMP error for a VIP's address about a packet that cannot be read",
  },
  unknown_server: {
    code: 18,
    kind: 'drop',
    says: 'carries a server id that is mapped to a backend which does not exist',
  },
  inner_ttl: { code: 19, kind: 'drop', says: 'came out of a tunnel, and its TTL or hop limit has run out' },
  decap_failed: {
    code: 20,
    kind: 'drop',
    says: 'is a tunnel packet whose outer header could not be taken off',
  },

  not_ip: { code: 32, kind: 'pass', says: 'is neither IPv4 nor IPv6' },
  no_ip_header: { code: 33, kind: 'pass', says: 'is too short to tell its address' },
  no_vip: { code: 34, kind: 'pass', says: 'is for an address, protocol and port that no VIP has' },
  unreadable: {
    code: 35,
    kind: 'pass',
    says: "is a fragment, has options or is cut short, and is not for a VIP's address",
  },
  protocol: { code: 36, kind: 'pass', says: 'is neither TCP, UDP, ICMP nor a tunnel packet' },
  icmp: {
    code: 37,
    kind: 'pass',
    says: 'is ICMP, but no echo request for a VIP and no error that belongs to a backend',
  },
  decapsulated: { code: 38, kind: 'pass', says: 'lost its outer header and is for this host' },
  not_our_tunnel: {
    code: 39,
    kind: 'pass',
    says: 'is a tunnel packet for an address that is neither a tunnel destination nor our own',
  },
  local: { code: 40, kind: 'pass', says: 'is for a backend that is this host' },
} as const satisfies Readonly<Record<string, ReasonRow>>;

export type Reason = keyof typeof REASONS;
type ReasonOf<K extends ReasonKind> = {
  [N in Reason]: (typeof REASONS)[N]['kind'] extends K ? N : never;
}[Reason];
export type AnswerReason = ReasonOf<'answer'>;
export type DropReason = ReasonOf<'drop'>;
export type PassReason = ReasonOf<'pass'>;

/** Names of all reasons, in the order of their numbers. */
export const REASON_NAMES = Object.keys(REASONS) as readonly Reason[];

/** Names of the reasons of one kind, in the order of their numbers. */
export function reasonsOf<K extends ReasonKind>(kind: K): readonly ReasonOf<K>[] {
  // The filter is what ReasonOf says in types.
  return REASON_NAMES.filter((name) => REASONS[name].kind === kind) as unknown as readonly ReasonOf<K>[];
}
export const DROP_REASONS = reasonsOf('drop');
export const PASS_REASONS = reasonsOf('pass');

const BY_CODE: ReadonlyMap<number, Reason> = new Map(REASON_NAMES.map((name) => [REASONS[name].code, name]));

/** The reason of a number; undefined where there is none. */
export function reasonOfCode(code: number): Reason | undefined {
  return BY_CODE.get(code);
}

/** Rows of reason_stats that belong to one VIP: index = slot × REASONS_MAX + code. */
export const REASONS_MAX = 64;
/** Slot of packets that end before a VIP is known; it stands for "no VIP" in decisions and events too. */
export const REASON_SLOT_NO_VIP = MAX_VIPS;
