/** The kernel's BPF: maps, programs, XDP. All calls are bpf(2); nothing is kept but file descriptors. */
export { BpfError, type BpfFault } from './bpf-call.js';
export {
  type KernelMapInfo,
  type KernelProgramInfo,
  kernelBtf,
  kernelMapInfo,
  kernelProgramInfo,
  type XdpLinkInfo,
  xdpLinkInfo,
} from './bpf-info.js';
export { adoptXdpLink, type XdpLink, type XdpMode } from './bpf-link.js';
export { KernelMap, KernelMaps, possibleCpus } from './bpf-map.js';
export { isBpfFs, openPin, pin } from './bpf-pin.js';
export { KernelProgram, loadKernelProgram, type TestRun } from './bpf-program.js';
export { KernelTypes } from './bpf-types.js';
export { PerfConsumer, type PerfCounters, type PerfSample } from './perf-consumer.js';
export { RingConsumer, type RingCounters } from './ring-consumer.js';
