import type { Command } from 'commander';
import {
  type AskedFlow,
  FlowTextError,
  flowFrame,
  formatFlow,
  formatIp,
  parseFlow,
  type Simulation,
} from '../../lb/index.js';
import type { SimulateFlowRequest } from '../grpc/generated/waggle/v1/SimulateFlowRequest.js';
import type { SimulateFlowResponse__Output } from '../grpc/generated/waggle/v1/SimulateFlowResponse.js';
import { bytesOf } from './bpf/hex.js';
import { usageError } from './faults.js';
import { isForPeople, structured } from './format.js';
import { type GlobalOptions, withSession } from './session.js';

interface SimulateOptions extends GlobalOptions {
  readonly config?: string;
  readonly syn: boolean;
  readonly frame?: string;
}

/** What is asked: a flow, or a frame as it stands. */
interface Question {
  readonly flow?: AskedFlow;
  readonly frame: Uint8Array;
  readonly syn: boolean;
  readonly text: string;
}

/** The answer as it is printed, from a file or from a server. */
interface Answer {
  readonly verdict: string;
  readonly reason: string;
  readonly vip: string;
  readonly backend: string;
  readonly table: string;
  readonly hash: number | null;
  readonly slot: number | null;
  readonly worker: number | null;
  readonly nextHop: string;
  readonly outer: string;
  readonly bytes: string;
  readonly steps: readonly string[];
}

const MIN_FRAME_BYTES = 14;
const MAX_FRAME_BYTES = 15 * 1024;

/** @throws CliError of wrong usage */
function questionOf(text: string | undefined, { frame, syn }: SimulateOptions): Question {
  if ((text === undefined) === (frame === undefined))
    throw usageError('one of a flow and --frame says what is asked about');
  if (frame !== undefined) {
    if (syn) throw usageError('--syn goes with a flow: a frame is as it stands');
    const bytes = bytesOf('--frame', frame);
    if (bytes.length < MIN_FRAME_BYTES || bytes.length > MAX_FRAME_BYTES)
      throw usageError(`--frame: ${bytes.length} bytes are not in ${MIN_FRAME_BYTES}..${MAX_FRAME_BYTES}`);
    return { frame: bytes, syn, text: `a frame of ${bytes.length} bytes` };
  }
  try {
    const flow = parseFlow(text ?? '');
    if (syn && flow.protocol !== 'tcp') throw usageError('--syn goes with tcp: UDP has no connections');
    return { flow, syn, frame: flowFrame(flow, syn), text: `${formatFlow(flow)}${syn ? ', SYN' : ''}` };
  } catch (error) {
    throw error instanceof FlowTextError ? usageError(error.message) : error;
  }
}

const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

function verdictOf({ verdict, reason }: Simulation): string {
  if (verdict === 'XDP_PASS') return 'pass';
  if (verdict !== 'XDP_TX') return 'drop';
  return reason === 'forwarded' ? 'forward' : 'reply';
}

function answerOf(simulation: Simulation): Answer {
  return {
    verdict: verdictOf(simulation),
    reason: simulation.reason,
    vip: simulation.vip ?? '',
    backend: simulation.backend ?? '',
    table: simulation.table,
    hash: simulation.hash ?? null,
    slot: simulation.slot ?? null,
    worker: simulation.worker ?? null,
    nextHop: simulation.nextHop ?? '',
    outer: simulation.outer ?? '',
    bytes: hexOf(simulation.frame),
    steps: simulation.steps,
  };
}

function answerOfServer(response: SimulateFlowResponse__Output): Answer {
  return {
    verdict: response.verdict.replace('VERDICT_', '').toLowerCase(),
    reason: response.reason,
    vip: response.vip,
    backend: response.backendAddress,
    table: response.table,
    hash: response._flowHash === undefined ? null : (response.flowHash ?? null),
    slot: response._ringSlot === undefined ? null : (response.ringSlot ?? null),
    worker: response._worker === undefined ? null : (response.worker ?? null),
    nextHop: response.nextHopMac,
    outer: response.outerHeader,
    bytes: hexOf(response.outputFrame),
    steps: response.steps,
  };
}

const VERDICTS: Readonly<Record<string, (answer: Answer) => string>> = {
  forward: ({ backend, vip }) => `goes to ${backend}${vip === '' ? '' : ` (${vip})`}`,
  pass: ({ reason }) => `is left to the host (${reason})`,
  drop: ({ reason }) => `is dropped (${reason})`,
  reply: ({ reason }) => `is answered or sent back (${reason})`,
};

/** For a person: what, then why. */
function describe({ text }: Question, answer: Answer): string {
  const what = VERDICTS[answer.verdict]?.(answer) ?? answer.verdict;
  return [`${text}: ${what}`, ...answer.steps.map((step) => `  ${step}`)].join('\n');
}

function print(question: Question, answer: Answer, { output }: GlobalOptions): void {
  console.log(isForPeople(output) ? describe(question, answer) : structured(answer, output));
}

function requestOf({ flow, frame, syn }: Question): SimulateFlowRequest {
  if (flow === undefined) return { packet: Buffer.from(frame) };
  return {
    tuple: {
      sourceAddress: formatIp(flow.source),
      sourcePort: flow.sourcePort,
      destinationAddress: formatIp(flow.destination),
      destinationPort: flow.destinationPort,
      protocol: flow.protocol === 'tcp' ? 'PROTOCOL_TCP' : 'PROTOCOL_UDP',
    },
    tcpSyn: syn,
  };
}

async function simulate(text: string | undefined, options: SimulateOptions): Promise<void> {
  const question = questionOf(text, options);
  if (options.config !== undefined) {
    // Only here: a server needs none of it.
    const { openSimulator } = await import('./replay-setup.js');
    const simulator = openSimulator(options.config);
    print(question, answerOf(simulator.ask(question.frame)), options);
    return;
  }
  await withSession(options, async ({ client }) => {
    const response = await client.ask<SimulateFlowResponse__Output>((callOptions, done) =>
      client.diagnostics.SimulateFlow(requestOf(question), callOptions, done),
    );
    print(question, answerOfServer(response), options);
  });
}

export function addSimulate(program: Command): void {
  program
    .command('simulate')
    .description(
      'which backend a flow would go to, and why: on the load balancer that runs, or on a configuration file; nothing changes',
    )
    .argument('[flow]', `such as 'tcp 192.0.2.1:4000 -> 198.51.100.1:80'; IPv6 addresses in brackets`)
    .option('--config <file>', 'a configuration file to ask, in the place of a server')
    .option('--syn', 'the first packet of a TCP connection, which no connection table is asked for', false)
    .option('--frame <hex>', 'a packet as it stands, from the Ethernet header on, in the place of a flow')
    .action((flow: string | undefined, _: unknown, command: Command) =>
      simulate(flow, command.optsWithGlobals<SimulateOptions>()),
    );
}
