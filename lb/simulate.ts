import { type Decision, type DecisionMark, forgetDecisions, readDecision } from './balancer/decisions.js';
import { REASONS, type Reason } from './balancer/reasons.js';
import { RING_SIZE, type TableName } from './balancer/schema.js';
import { VERDICT_NAMES } from './bpf/engine/context.js';
import type { BpfMap } from './bpf/maps/map.js';
import { formatMac, macFromBytes } from './net/address.js';
import { ReplayNames } from './replay-names.js';
import { outerHeader } from './simulate-flow.js';

/** What the balancer would do with a packet, and why. */
export interface Simulation {
  /** XDP_TX, XDP_PASS, XDP_DROP. */
  readonly verdict: string;
  readonly reason: Reason;
  /** The reason as a sentence. */
  readonly says: string;
  /** `10.200.1.1:80/tcp`; null for none. */
  readonly vip: string | null;
  /** Its address; null for none. */
  readonly backend: string | null;
  readonly table: TableName;
  /** The worker whose connection table knows the flow; absent where none does. */
  readonly worker?: number;
  /** Hash of the flow and its slot of the ring; absent unless the ring was asked. */
  readonly hash?: number;
  readonly slot?: number;
  readonly marks: readonly DecisionMark[];
  /** MAC address that the packet would be sent to; null where it is not sent. */
  readonly nextHop: string | null;
  /** The outer header for a person; null where there is none. */
  readonly outer: string | null;
  /** The frame as it would leave. */
  readonly frame: Uint8Array;
  /** How it came to that, for a person. */
  readonly steps: readonly string[];
}

/** What a simulator works with: a program with the options `explain` and `simulate`. */
export interface SimulatorOptions {
  /** The balancer's maps, which the program reads. */
  readonly maps: ReadonlyMap<string, BpfMap>;
  /** Workers whose connection tables are asked. */
  readonly workers: number;
  /** Names of VIPs and backends; read from the maps at each question unless given. */
  readonly names?: ReplayNames;
  readonly run: (frame: Uint8Array) => { readonly verdict: number; readonly frame: Uint8Array };
}

interface Answer {
  readonly worker: number;
  readonly verdict: number;
  readonly frame: Uint8Array;
  readonly decision: Decision;
}

const MARK_STEPS: Readonly<Record<DecisionMark, string>> = {
  decapsulated: 'it came in a tunnel: the packet inside was balanced',
  icmp: 'it is an ICMP error: the flow is that of the packet inside',
  migrated: 'the backend that it had is down: the flow leaves it',
  flooded: 'there are too many new connections: the flow is not noted',
  inserted: 'the flow would be noted in the connection table',
};

const TABLE_STEPS: Readonly<Record<Exclude<TableName, 'none' | 'ring' | 'lru'>, string>> = {
  global_lru: 'the table of flows from outside knows the flow',
  source_route: "a source route for the client's address decides",
  quic: 'the server id in the QUIC connection id decides',
  udp_server_id: 'the server id in the UDP payload decides',
  tcp_server_id: 'the server id in the TCP option decides',
};

/**
 * Asks a balancer what it would do, without its noticing: no counter moves, no connection is noted. Each worker has a
 * connection table of its own, and which worker a flow comes to is the kernel's secret: all are asked.
 */
export class FlowSimulator {
  readonly #options: SimulatorOptions;
  readonly #decisions: BpfMap;

  constructor(options: SimulatorOptions) {
    const decisions = options.maps.get('decisions');
    if (decisions === undefined) throw new TypeError('the maps have no map decisions: not a balancer');
    this.#options = options;
    this.#decisions = decisions;
  }

  /** @param frame from the Ethernet header on */
  ask(frame: Uint8Array): Simulation {
    const answers = Array.from({ length: this.#options.workers }, (_, worker) => this.#ask(frame, worker));
    const known = answers.filter(({ decision }) => decision.table === 'lru');
    const [answer] = [...known, ...answers];
    if (answer === undefined) throw new TypeError('a balancer has a worker at least');
    // Names change with the configuration: they are read anew.
    const names = this.#options.names ?? new ReplayNames(this.#options.maps);
    const { decision, verdict, frame: left } = answer;
    const backend = names.backend(decision.real ?? 0);
    const isForwarded = decision.reason === 'forwarded';
    const isSent = VERDICT_NAMES[verdict] === 'XDP_TX';
    const { hash, slot } = decision;
    return {
      verdict: VERDICT_NAMES[verdict] ?? String(verdict),
      reason: decision.reason,
      says: REASONS[decision.reason].says,
      vip: names.vip(decision.vipNumber),
      backend,
      table: decision.table,
      ...(decision.table === 'lru' ? { worker: answer.worker } : {}),
      ...(hash === undefined || slot === undefined ? {} : { hash, slot }),
      marks: decision.marks,
      nextHop: isSent ? formatMac(macFromBytes(left.slice(0, 6))) : null,
      outer: isForwarded ? (outerHeader(left) ?? null) : null,
      frame: left,
      steps: this.#steps(answer, answers, names),
    };
  }

  #ask(frame: Uint8Array, worker: number): Answer {
    forgetDecisions(this.#decisions, worker);
    const { verdict, frame: left } = this.#options.run(frame);
    return { worker, verdict, frame: left, decision: readDecision(this.#decisions) };
  }

  #steps(answer: Answer, answers: readonly Answer[], names: ReplayNames): string[] {
    const { decision, frame, verdict } = answer;
    const vip = names.vip(decision.vipNumber);
    const marks = decision.marks.filter((mark) => mark !== 'inserted');
    const backendOf = (real: number | undefined) => names.backend(real ?? 0) ?? `backend ${real ?? 0}`;
    const steps = marks.map((mark) => MARK_STEPS[mark]);
    steps.unshift(vip === null ? 'no VIP was found for it' : `it is for the VIP ${vip}`);
    if (decision.real !== undefined) {
      for (const each of distinct(answers)) {
        const where = answers.length === 1 ? '' : `${workersOf(each.of)}: `;
        steps.push(`${where}${tableStep(each.answer)}: ${backendOf(each.answer.decision.real)}`);
      }
    } else if (decision.slot !== undefined) steps.push(`${tableStep(answer)}: none`);
    if (decision.marks.includes('inserted')) steps.push(MARK_STEPS.inserted);
    steps.push(`the packet ${REASONS[decision.reason].says}`);
    if (VERDICT_NAMES[verdict] === 'XDP_TX')
      steps.push(`it leaves for ${formatMac(macFromBytes(frame.slice(0, 6)))}`);
    const outer = decision.reason === 'forwarded' ? outerHeader(frame) : undefined;
    if (outer !== undefined) steps.push(`outer header: ${outer}`);
    return steps;
  }
}

function tableStep({ decision }: Answer): string {
  const { table, hash = 0, slot = 0 } = decision;
  if (table === 'lru') return 'the connection table knows the flow';
  if (table === 'ring' || table === 'none')
    return `hash 0x${hash.toString(16).padStart(8, '0')}, slot ${slot} of ${RING_SIZE} of the ring`;
  return TABLE_STEPS[table];
}

/** Answers that differ in who chose which backend, and the workers that gave each. */
function distinct(answers: readonly Answer[]): { readonly answer: Answer; readonly of: number[] }[] {
  const found: { readonly answer: Answer; readonly of: number[] }[] = [];
  for (const answer of answers) {
    const { table, real } = answer.decision;
    const same = found.find((each) => {
      const other = each.answer.decision;
      return other.table === table && other.real === real;
    });
    if (same === undefined) found.push({ answer, of: [answer.worker] });
    else same.of.push(answer.worker);
  }
  return found;
}

const workersOf = (workers: readonly number[]): string =>
  workers.length === 1 ? `worker ${workers[0]}` : `workers ${workers.join(', ')}`;
