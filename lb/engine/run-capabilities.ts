import type { Capability } from '../sys/capabilities.js';

/**
 * What a load balancer needs once its sockets are open and its program is loaded, whatever the engine. CAP_NET_ADMIN: the
 * nftables table that keeps the host from VIPs, neighbours, offloads that are turned on again at the end. CAP_NET_RAW:
 * probes by ICMP. CAP_BPF: maps of the kernel, and the tunnel of health checks. CAP_PERFMON: programs that are loaded
 * later; the kernel's verifier takes the balancer's pointers only from those who have it.
 */
export const RUN_CAPABILITIES = [
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_PERFMON',
  'CAP_BPF',
] as const satisfies readonly Capability[];
