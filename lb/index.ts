/** The datapath's only door: what the control plane may use of it. */

export { type Adopted, addressId, flowId, prefixId, readAdopted, vipId } from './balancer/adopted.js';
export {
  type CompanionConfig,
  companionCounters,
  companionProgram,
  companionSections,
  configureCompanion,
  withCompanionOptions,
} from './balancer/companions/config.js';
export { type DecapStats, DecapTables } from './balancer/companions/decap.js';
export {
  type HealthcheckEnd,
  type HealthcheckKey,
  type HealthcheckSide,
  type HealthcheckStats,
  HealthcheckTables,
} from './balancer/companions/healthcheck.js';
export { CompanionError } from './balancer/companions/maps.js';
export { COMPANION_PROGRAMS } from './balancer/companions/object.js';
export { type Decision, type DecisionMark, readDecision } from './balancer/decisions.js';
export {
  decodeEvent,
  type EventCounters,
  EventReader,
  type EventSource,
  EventsError,
  type PacketEvent,
  type RecordSource,
} from './balancer/events.js';
export { type HashedFlow, ringSlotOf } from './balancer/flow-hash.js';
export { type BalancerOptions, OPTION_NAMES, type OptionName, OptionsError } from './balancer/options.js';
export {
  DROP_REASONS,
  type DropReason,
  PASS_REASONS,
  type PassReason,
  REASON_NAMES,
  REASONS,
  type Reason,
  type ReasonKind,
} from './balancer/reasons.js';
export {
  REAL_FLAGS,
  RING_SIZE,
  type TableName,
  VIP_FLAGS,
  type VipFlagName,
} from './balancer/schema.js';
export { type Capacity, type MapSizes, type SizableMap, sizesFor } from './balancer/sizes.js';
export {
  COUNTER_NAMES,
  COUNTERS,
  type CounterName,
  type CounterValue,
  type FrameStats,
  type PacketStats,
  type QuicStats,
  type ServerIdStats,
  type StableRoutingStats,
  type TcpServerIdStats,
} from './balancer/stats.js';
export type { TableRows } from './balancer/table-rows.js';
export {
  type BalancerLimits,
  BalancerTables,
  type Flow,
  formatVip,
  type Occupancy,
  type Prefix,
  TablesError,
  type TablesOptions,
  VIP_PROTOCOLS,
  type VipKey,
  type VipProtocol,
  type VipRow,
  vipNumberAt,
} from './balancer/tables.js';
export { FLOWS_START, type FlowBatch, type FlowPlace, type TrackedFlow } from './balancer/tracked-flows.js';
export type { MapHost } from './bpf/maps/map.js';
export { VerifyError, type VerifyErrorFault } from './bpf/verifier/admit.js';
export { attachCheckTunnel, type CheckTunnel, type CheckTunnelOptions } from './check-tunnel.js';
export { Datapath, DatapathError, type DatapathLink, type DatapathOptions, MAX_WORKERS } from './datapath.js';
export type { DatapathMode } from './datapath-program.js';
export {
  attachDecap,
  type Decap,
  type DecapCounters,
  DecapError,
  type DecapOptions,
} from './decap.js';
export { HostStackError } from './engine/host-stack.js';
export { defaultPinDirectory, PinError, type PinFault } from './engine/pins.js';
export { REPLAY_ENGINES, type ReplayEngineName, ReplayError } from './engine/replay-engine.js';
export { workerOf } from './engine/replay-spread.js';
export { RUN_CAPABILITIES } from './engine/run-capabilities.js';
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
export { KernelDatapath, type KernelDatapathOptions } from './kernel-datapath.js';
export { unpinDatapath } from './kernel-datapath-pins.js';
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
export { type FrameFlow, frameFlow } from './net/frame-flow.js';
export {
  type CapturedFrame,
  CaptureParser,
  type CaptureWriter,
  type FrameToWrite,
  LINKTYPE_ETHERNET,
  PcapError,
  PcapngWriter,
  PcapWriter,
  readCapture,
  writePcap,
  writePcapng,
} from './net/pcap.js';
export {
  isBalancerObject,
  optimiseReplay,
  type PacketFate,
  type PacketOutcome,
  PacketReplay,
  type PacketReplayOptions,
  type PacketRun,
  replayObject,
  simulatorOf,
} from './replay.js';
export type { CounterGroup } from './replay-counters.js';
export { FlowSimulator, type Simulation } from './simulate.js';
export {
  type AskedFlow,
  FlowTextError,
  flowFrame,
  formatFlow,
  outerHeader,
  parseFlow,
} from './simulate-flow.js';
export { ThreadsError } from './sys/all-threads.js';
export {
  type KernelMap,
  KernelMaps,
  type KernelProgram,
  loadKernelProgram,
  PerfConsumer,
  type PerfCounters,
  type PerfSample,
  RingConsumer,
  type RingCounters,
} from './sys/bpf.js';
export {
  CapabilitiesError,
  type Capability,
  type CapabilityDrop,
  dropCapabilities,
} from './sys/capabilities.js';
export type { NextHop } from './sys/netlink.js';
export { WORKER_COUNTER_NAMES, type WorkerCounter } from './worker/counters.js';
export type { PoolLog, WorkerStatus } from './worker/pool.js';
