import { CONTEXTS } from '../context/fields.js';
import type { FieldValue, PacketContext, TunnelKey } from '../context/packet.js';
import { type Executable, TC_ACT_UNSPEC, TC_ACTION_NAMES, VERDICT_NAMES } from '../engine/context.js';
import { InterpreterError } from '../engine/interpreter-fault.js';
import type { HelperUser } from '../helpers/prototypes.js';
import type { ProgramSpec } from '../object/spec.js';
import type { MachineCpu } from './cpu.js';
import { MachineError } from './fault.js';
import type { LoadedProgram } from './loaded.js';

export interface RunOptions {
  /** CPU to run on; 0 unless given. */
  readonly cpu?: number;
  /** Interface that the packet came in by; unless given, what the kernel's test run has: the loopback interface. */
  readonly ingressIfindex?: number;
  /** Fields of the context by the kernel's names (struct xdp_md, struct __sk_buff). */
  readonly fields?: Readonly<Record<string, FieldValue>>;
  /** Metadata in front of the packet: up to 252 bytes, a multiple of 4. */
  readonly metadata?: Uint8Array;
}

/** Where a program sent a packet. */
export interface Redirect {
  /** Interface, CPU or socket, as the map has it. */
  readonly target: number;
  /** Name of the map; absent after bpf_redirect, whose target is an interface. */
  readonly map?: string;
  /** First four bytes of the map's key. */
  readonly key: number;
  /** BPF_F_BROADCAST and BPF_F_EXCLUDE_INGRESS, where the packet goes to every interface of the map; else 0. */
  readonly flags: bigint;
}

export interface RunResult {
  /** Name of the verdict (`XDP_TX`, `TC_ACT_SHOT`); the number where it has none. */
  readonly verdict: string;
  /** What the program returned: r0's low 32 bits; of a TC program signed. */
  readonly returnValue: number;
  /** The packet as the program left it: a copy. */
  readonly packet: Uint8Array;
  readonly metadata: Uint8Array;
  /** Fields of the context as the program left them, by the kernel's names. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** Where the packet is to go, after XDP_REDIRECT or TC_ACT_REDIRECT. */
  readonly redirect?: Redirect;
  /** Tunnel that a TC program gave the packet (bpf_skb_set_tunnel_key). */
  readonly tunnel?: TunnelKey;
}

/** What is particular to a program type in a run. */
interface RunType {
  readonly verdict: (returnValue: number) => string | undefined;
  readonly redirect: string;
  readonly isSigned: boolean;
  /** Fields that tell the interface which a packet came in by. */
  readonly ingress: readonly string[];
}
const TYPES: Readonly<Record<HelperUser, RunType>> = {
  xdp: {
    verdict: (value) => VERDICT_NAMES[value],
    redirect: 'XDP_REDIRECT',
    isSigned: false,
    ingress: ['ingress_ifindex'],
  },
  sched_cls: {
    verdict: (value) => (value === TC_ACT_UNSPEC ? 'TC_ACT_UNSPEC' : TC_ACTION_NAMES[value]),
    redirect: 'TC_ACT_REDIRECT',
    isSigned: true,
    ingress: ['ingress_ifindex', 'ifindex'],
  },
};

/** A program of a machine. */
export class MachineProgram {
  readonly #loaded: LoadedProgram;
  readonly #cpus: readonly MachineCpu[];
  readonly #executables: readonly Executable[];

  readonly #mapName: (descriptor: number) => string | undefined;

  /**
   * @param executables by CPU
   * @param mapName name of the map that lies at an offset
   */
  constructor(
    loaded: LoadedProgram,
    cpus: readonly MachineCpu[],
    executables: readonly Executable[],
    mapName: (descriptor: number) => string | undefined,
  ) {
    this.#loaded = loaded;
    this.#cpus = cpus;
    this.#executables = executables;
    this.#mapName = mapName;
  }

  get name(): string {
    return this.#loaded.spec.name;
  }

  get type(): HelperUser {
    return this.#loaded.type;
  }

  get spec(): ProgramSpec {
    return this.#loaded.spec;
  }

  /** The WebAssembly module that the JIT made; undefined with the interpreter. */
  get wasm(): Uint8Array | undefined {
    return this.#loaded.wasm;
  }

  /** Number by which slots of a PROG_ARRAY name the program. */
  get number(): number {
    return this.#loaded.number;
  }

  /**
   * Run the program over a packet.
   * @param packet from the Ethernet header on; it is copied
   * @throws PacketError; MachineError MACHINE_CPU, MACHINE_TRAP with the reason as `cause`
   */
  run(packet: Uint8Array, options: RunOptions = {}): RunResult {
    const { type } = this;
    const index = options.cpu ?? 0;
    const cpu = this.#cpus[index];
    const executable = this.#executables[index];
    if (cpu === undefined || executable === undefined) {
      const cpus = this.#cpus.length;
      const fault = { code: 'MACHINE_CPU', cpu: index, cpus } as const;
      throw new MachineError(fault, `no CPU ${index}: the machine has ${cpus}`);
    }
    const { ingressIfindex, fields = {}, metadata: meta = new Uint8Array(0) } = options;
    const { verdict: nameOf, redirect: redirecting, isSigned, ingress } = TYPES[type];
    const came = ingressIfindex === undefined ? [] : ingress.map((field) => [field, ingressIfindex]);
    const context = cpu.contexts[type];
    context.place(packet, { fields: { ...Object.fromEntries(came), ...fields }, meta });
    const r0 = this.#run(cpu, executable, context.address);
    const returnValue = isSigned ? r0 | 0 : r0;
    const verdict = nameOf(returnValue) ?? String(returnValue);
    const tunnel = context.tunnel();
    return {
      verdict,
      returnValue,
      packet: context.packet(),
      metadata: context.meta(),
      fields: this.#fields(context),
      ...(verdict === redirecting ? { redirect: this.#redirect(context) } : {}),
      ...(tunnel === undefined ? {} : { tunnel }),
    };
  }

  /** Numbers where they have 4 bytes at most, as everywhere. */
  #fields(context: PacketContext): Readonly<Record<string, FieldValue>> {
    const wide = new Set(CONTEXTS[this.type].fields.filter(({ bytes }) => bytes > 4).map(({ name }) => name));
    return Object.fromEntries(
      Object.entries(context.fields()).map(([name, value]) => {
        if (typeof value === 'object') return [name, value.map(Number)];
        return [name, wide.has(name) ? value : Number(value)];
      }),
    );
  }

  #redirect(context: PacketContext): Redirect {
    const { map: descriptor, ...redirect } = context.redirect();
    const map = this.#mapName(descriptor);
    return map === undefined ? redirect : { ...redirect, map };
  }

  #run(cpu: MachineCpu, executable: Executable, context: number): number {
    try {
      return cpu.run(executable, context);
    } catch (cause) {
      if (!(cause instanceof WebAssembly.RuntimeError) && !(cause instanceof InterpreterError)) throw cause;
      throw new MachineError(
        { code: 'MACHINE_TRAP', program: this.name },
        `program ${this.name} trapped: ${cause.message}`,
        { cause },
      );
    }
  }
}
