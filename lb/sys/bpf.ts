/** The kernel's BPF: maps, programs, XDP. All calls are bpf(2); nothing is kept but file descriptors. */
export { BpfError, type BpfFault } from './bpf-call.js';
export { KernelMap, KernelMaps, possibleCpus } from './bpf-map.js';
export { KernelProgram, loadKernelProgram, type TestRun, type XdpLink, type XdpMode } from './bpf-program.js';
