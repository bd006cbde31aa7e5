import { PacketContext } from './bpf/context/packet.js';
import { instantiateProgram } from './bpf/jit/compile.js';
import type { ArenaMap, ArenaMaps } from './bpf/maps/registry.js';
import { CPU_CLOCK_NS, CPU_SCRATCH, CPU_SCRATCH_BYTES } from './bpf/memory/layout.js';
import type { ObjectSpec } from './bpf/object/spec.js';
import { compile, infosOf, programOf } from './datapath-program.js';
import { FlowSimulator } from './simulate.js';

/**
 * A simulator on a balancer that runs: its own maps, read by a program with the options `explain` and `simulate` on the
 * control plane's CPU, in the calling thread. Frames lie in that CPU's scratch memory, which the calls of maps use
 * otherwise: they may have a little less than 16 KiB.
 * @param object the balancer's with those options; its maps are those that are there, but for its constants
 * @throws DatapathError for an object that does not fit; what checking and compiling throw
 */
export function arenaSimulator(
  host: ArenaMaps,
  maps: ReadonlyMap<string, ArenaMap>,
  object: ObjectSpec,
  workers: number,
): FlowSimulator {
  const { arena, runtime } = host;
  const cpu = arena.controlCpu;
  const block = arena.block(cpu);
  const room = { offset: block + CPU_SCRATCH, bytes: CPU_SCRATCH_BYTES };
  const context = new PacketContext(arena, { cpu, type: 'xdp', room });
  const { module } = compile(programOf(object), infosOf(object, maps, host));
  const program = instantiateProgram(module, runtime);
  return new FlowSimulator({
    maps,
    workers,
    run(frame) {
      context.place(frame);
      // The connection tables' times are of this clock.
      arena.u64[(block + CPU_CLOCK_NS) / 8] = process.hrtime.bigint();
      const verdict = program.run(context.address) >>> 0;
      return { verdict, frame: context.packet() };
    },
  });
}
