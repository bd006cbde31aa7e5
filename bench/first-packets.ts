// A new module of the balancer in a new process, compiled as the flags on its command line say:
//   node FLAGS first-packets.js
// Prints one JSON line.
import { ArenaRig, benchObject, setClients } from './balancer-rig.js';
import { CONNECTION_HIT } from './scenarios.js';

/** From the first packet of a new module on. */
export interface FirstPackets {
  /** Of the first, µs. */
  readonly firstUs: number;
  /** Of each of those up to the hundredth, ns. */
  readonly earlyNs: number;
  /** Of each of as many, much later, ns. */
  readonly steadyNs: number;
}

const EARLY_PACKETS = 99;
/** V8 takes the way from JavaScript into a module through code of its own after some hundred calls, at a cost once. */
const LATER_PACKETS = 200_000;
const STEADY_ROUNDS = 21;

const { frame } = CONNECTION_HIT;
const rig = new ArenaRig(benchObject(), { cpus: 1, entries: 4096 });
setClients(rig, false);
// The loop and the clock have been compiled, by another program, when the module is met.
const empty = rig.instantiate(new WebAssembly.Module(rig.compile('empty')));
rig.run(empty, frame, LATER_PACKETS);
const ns = (packets: number) => rig.run(balancer, frame, packets).ns;

const balancer = rig.instantiate(new WebAssembly.Module(rig.compile('balancer')));
const firstUs = ns(1) / 1000;
const earlyNs = ns(EARLY_PACKETS);
ns(LATER_PACKETS);
const steady = Array.from({ length: STEADY_ROUNDS }, () => ns(EARLY_PACKETS)).sort((a, b) => a - b);
const steadyNs = steady[STEADY_ROUNDS >> 1] ?? 0;
console.log(JSON.stringify({ firstUs, earlyNs, steadyNs } satisfies FirstPackets));
