/** The datapath's only door: what the control plane may use of it. */

export { MAX_REALS, MAX_VIPS, RING_SIZE, VIP_FLAGS } from './balancer/schema.js';
export {
  COUNTER_NAMES,
  type CounterName,
  type CounterValue,
  DROP_REASONS,
  type DropReason,
  type PacketStats,
} from './balancer/stats.js';
export {
  BalancerTables,
  formatVip,
  TablesError,
  VIP_PROTOCOLS,
  type VipKey,
  type VipProtocol,
  type VipRow,
} from './balancer/tables.js';
export { VerifyError, type VerifyErrorFault } from './bpf/verifier/admit.js';
export { Datapath, DatapathError, type DatapathLink, type DatapathOptions, MAX_WORKERS } from './datapath.js';
export {
  attachDecap,
  type Decap,
  type DecapCounters,
  DecapError,
  type DecapOptions,
} from './decap.js';
export { HostStackError } from './engine/host-stack.js';
export { assert, assertNever, CodedError, type Fault } from './errors.js';
export {
  BpfInspector,
  InspectorError,
  type InspectorFault,
  inspectedMaps,
  type MapStatus,
  type ProgramStatus,
  type SetCondition,
} from './inspector.js';
export {
  AddressError,
  formatIp,
  formatMac,
  type IpAddress,
  ipFromBytes,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  type Mac,
  parseIp,
  parseMac,
  sameIp,
} from './net/address.js';
export {
  type CapturedFrame,
  LINKTYPE_ETHERNET,
  PcapError,
  readCapture,
  writePcapng,
} from './net/pcap.js';
export type { NextHop } from './sys/netlink.js';
export { WORKER_COUNTER_NAMES, type WorkerCounter } from './worker/counters.js';
export type { PoolLog, WorkerStatus } from './worker/pool.js';
