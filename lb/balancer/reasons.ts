import { COUNTERS_START } from './schema.js';

/** How a packet ends: sent on or answered (XDP_TX), dropped (XDP_DROP), left to the host (XDP_PASS). */
export type ReasonKind = 'answer' | 'drop' | 'pass';

interface ReasonRow {
  /** Its number, as `enum reason` of programs/include/consts.h has it. */
  readonly code: number;
  readonly kind: ReasonKind;
  /** Packets whose VIP is known can have it, and are counted under that VIP. */
  readonly byVip?: true;
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
    byVip: true,
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
    byVip: true,
    says: 'would not fit the path with its outer header, and nobody can be told',
  },
  empty_ring: {
    code: 13,
    kind: 'drop',
    byVip: true,
    says: 'is for a VIP whose pool has no backend that takes connections',
  },
  no_real: { code: 14, kind: 'drop', byVip: true, says: 'is for a backend that was just removed' },
  family_mismatch: { code: 15, kind: 'drop', byVip: true, says: 'is IPv6 and its backend IPv4' },
  no_headroom: { code: 16, kind: 'drop', byVip: true, says: 'had no room for the outer header in front' },
  unknown_server: {
    code: 17,
    kind: 'drop',
    byVip: true,
    says: 'carries a server id that is mapped to a backend which does not exist',
  },
  icmp_inner: {
    code: 18,
    kind: 'drop',
    says: "is an ICMP error for a VIP's address about a packet that cannot be read",
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
  decapsulated: { code: 38, kind: 'pass', byVip: true, says: 'lost its outer header and is for this host' },
  not_our_tunnel: {
    code: 39,
    kind: 'pass',
    says: 'is a tunnel packet for an address that is neither a tunnel destination nor our own',
  },
  local: { code: 40, kind: 'pass', byVip: true, says: 'is for a backend that is this host' },
} as const satisfies Readonly<Record<string, ReasonRow>>;

export type Reason = keyof typeof REASONS;
type ReasonOf<K extends ReasonKind> = {
  [N in Reason]: (typeof REASONS)[N]['kind'] extends K ? N : never;
}[Reason];
export type DropReason = ReasonOf<'drop'>;
export type PassReason = ReasonOf<'pass'>;

/** Names of all reasons, in the order of their numbers. */
export const REASON_NAMES = Object.keys(REASONS) as readonly Reason[];

/** Names of the reasons of one kind, in the order of their numbers. */
export function reasonsOf<K extends ReasonKind>(kind: K): readonly ReasonOf<K>[] {
  return REASON_NAMES.filter((name): name is ReasonOf<K> => REASONS[name].kind === kind);
}
export const DROP_REASONS = reasonsOf('drop');
export const PASS_REASONS = reasonsOf('pass');

const BY_CODE: ReadonlyMap<number, Reason> = new Map(REASON_NAMES.map((name) => [REASONS[name].code, name]));

/** The reason of a number; undefined where there is none. */
export function reasonOfCode(code: number): Reason | undefined {
  return BY_CODE.get(code);
}

/** Rows of reason_stats for packets without a VIP: as many as there can be reasons. */
export const REASONS_MAX = 64;
/** Rows of reason_stats that belong to one VIP: the reasons that are counted by VIP differ in their lowest bits. */
export const VIP_REASONS = 16;
/** Stands for "no VIP" in decisions and events, and for its number in reason_stats. */
export const REASON_SLOT_NO_VIP = COUNTERS_START;

/** Reasons that are counted by VIP. */
export const VIP_REASON_NAMES: readonly Reason[] = REASON_NAMES.filter((name) => 'byVip' in REASONS[name]);

/**
 * Row of reason_stats.
 * @param vipNumber undefined: packets that ended before their VIP was known
 * @returns undefined for a reason that is not counted by VIP
 */
export function reasonRow(reason: Reason, vipNumber: number | undefined): number | undefined {
  const { code } = REASONS[reason];
  if (vipNumber === undefined) return REASON_SLOT_NO_VIP * VIP_REASONS + code;
  return 'byVip' in REASONS[reason] ? vipNumber * VIP_REASONS + (code % VIP_REASONS) : undefined;
}
