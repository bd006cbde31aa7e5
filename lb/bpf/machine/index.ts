/** The pleasant front door: an object in, programs, maps, globals and events out. */
export type { TunnelKey } from '../context/packet.js';
export { type Event, Events } from './events.js';
export { MachineError, type MachineFault } from './fault.js';
export { Global } from './global.js';
export { Machine, type MachineOptions } from './machine.js';
export { MachineProgram, type Redirect, type RunOptions, type RunResult } from './program.js';
