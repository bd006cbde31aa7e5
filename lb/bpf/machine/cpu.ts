import { HEADROOM_BYTES, PacketContext, TAIL_LIMIT_BYTES } from '../context/packet.js';
import type { Executable } from '../engine/context.js';
import type { HelperUser } from '../helpers/prototypes.js';
import { instantiateRuntime, type Runtime } from '../maps/runtime.js';
import type { Arena } from '../memory/arena.js';
import { CPU_CLOCK_NS } from '../memory/layout.js';

/** Longest packet, bytes. */
const MAX_PACKET_BYTES = 65535;
/** Room that one CPU needs for the packet in hand. */
export const PACKET_BYTES = Math.ceil((HEADROOM_BYTES + MAX_PACKET_BYTES + TAIL_LIMIT_BYTES) / 64) * 64;

/**
 * One CPU of a machine: its runtime, its clock and the packet in hand. It asks the host nothing: its NUMA node is 0, and
 * its boot-time and TAI clocks are its monotonic clock (CPU_BOOT_OFFSET_NS and CPU_TAI_OFFSET_NS stay 0).
 */
export class MachineCpu {
  readonly runtime: Runtime;
  readonly contexts: Readonly<Record<HelperUser, PacketContext>>;
  readonly #arena: Arena;
  readonly #clock: () => bigint;
  readonly #clockAt: number;

  /** @param clock monotonic, ns */
  constructor(arena: Arena, cpu: number, clock: () => bigint) {
    const room = { offset: arena.rings.offset + cpu * PACKET_BYTES, bytes: PACKET_BYTES };
    this.#arena = arena;
    this.#clock = clock;
    this.#clockAt = (arena.block(cpu) + CPU_CLOCK_NS) / 8;
    this.runtime = instantiateRuntime(arena.memory, cpu);
    this.contexts = {
      xdp: new PacketContext(arena, { cpu, type: 'xdp', room }),
      sched_cls: new PacketContext(arena, { cpu, type: 'sched_cls', room }),
    };
  }

  /** Run a program over the packet that is in place, with the clock as it is now. @returns r0's low 32 bits */
  run(executable: Executable, context: number): number {
    this.#arena.u64[this.#clockAt] = this.#clock();
    return executable.run(context) >>> 0;
  }
}
