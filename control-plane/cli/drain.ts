import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import type { HostResponse__Output } from '../grpc/generated/waggle/v1/HostResponse.js';
import { backendName, kindArgument, shortName } from './arguments.js';
import { BACKEND_COLUMNS, backendState } from './columns.js';
import { durationOf, parseSpan } from './duration.js';
import { CliError, EXIT, usageError } from './faults.js';
import { count, counted, isForPeople, span } from './format.js';
import { type ChangeOptions, dryRunOption, report } from './report.js';
import { type Session, withSession } from './session.js';

const DRAINED_KINDS = ['backend', 'host'] as const;
type DrainedKind = (typeof DRAINED_KINDS)[number];

interface DrainOptions extends ChangeOptions {
  /** Milliseconds; undefined: that of the pool. */
  readonly timeout?: number;
  readonly wait?: boolean;
}

/** How often a wait looks. Flows are counted at intervals of their own, about as long. */
const POLL_MS = 1000;

/** What is wanted of the drain of a backend. */
const isOver = ({ adminState, status }: Backend__Output) =>
  adminState !== 'ADMIN_STATE_DRAINING' || status?.drained === true;

function left(backend: Backend__Output): string {
  const { status } = backend;
  if (backend.adminState !== 'ADMIN_STATE_DRAINING') return backendState(backend);
  if (status?.drained) return 'drained: no connection is left';
  const deadline = status?.drainDeadline;
  const until = deadline ? `, ends in ${span(Number(deadline.seconds) - Date.now() / 1000)}` : '';
  return `draining: at most ${counted(status?.trackedFlows ?? 0, 'connection')} left${until}`;
}

/** A line for all backends that are waited for. */
function progressLine(backends: readonly Backend__Output[]): string {
  if (backends.length === 1 && backends[0]) return `${shortName(backends[0].name)}: ${left(backends[0])}`;
  const going = backends.filter((one) => !isOver(one));
  const flows = going.reduce((sum, { status }) => sum + Number(status?.trackedFlows ?? 0), 0);
  return `${backends.length - going.length} of ${counted(backends.length, 'backend')} drained, at most ${count(flows)} connections left`;
}

/** One line that is written over on a terminal, a line for each change elsewhere. */
class Progress {
  readonly #isTerminal = process.stderr.isTTY === true;
  #last = '';

  show(text: string): void {
    if (text === this.#last) return;
    this.#last = text;
    process.stderr.write(this.#isTerminal ? `\r\u001b[K${text}` : `${text}\n`);
  }

  end(): void {
    if (this.#isTerminal && this.#last !== '') process.stderr.write('\r\u001b[K');
  }
}

/**
 * Wait until no connection is left, or the deadlines have passed.
 * @throws CliError when a backend was taken back into service meanwhile, or is gone
 */
async function waitFor(session: Session, names: readonly string[]): Promise<Backend__Output[]> {
  const progress = new Progress();
  try {
    for (;;) {
      const backends = await Promise.all(names.map((name) => session.getBackend(name)));
      const back = backends.find(({ adminState }) => adminState === 'ADMIN_STATE_ENABLED');
      if (back)
        throw new CliError(
          EXIT.refused,
          `${shortName(back.name)} was taken back into service: its drain is over`,
        );
      if (backends.every(isOver)) return backends;
      if (isForPeople(session.output)) progress.show(progressLine(backends));
      await sleep(POLL_MS);
    }
  } finally {
    progress.end();
  }
}

function checkHost(address: string): void {
  if (isIP(address) === 0) throw usageError(`address: "${address}" is not an IPv4 or IPv6 address`);
}

function shownOf(session: Session, backends: readonly Backend__Output[]): string {
  return session.table(BACKEND_COLUMNS, backends);
}

async function drainBackend(session: Session, name: string, options: DrainOptions): Promise<void> {
  const { client } = session;
  const { timeout, dryRun, wait, etag = '' } = options;
  const request = {
    name: backendName(name),
    timeout: timeout === undefined ? null : durationOf(timeout),
    etag,
    validateOnly: dryRun,
  };
  const begun = await client.ask<Backend__Output>((call, answer) =>
    client.pools.DrainBackend(request, call, answer),
  );
  const [backend = begun] = wait && !dryRun ? await waitFor(session, [begun.name]) : [begun];
  report(session, options, backend, `backend ${shortName(backend.name)} is ${left(backend)}`);
}

async function drainHost(session: Session, address: string, options: DrainOptions): Promise<void> {
  const { client } = session;
  const { timeout, dryRun, wait } = options;
  const request = {
    address,
    timeout: timeout === undefined ? null : durationOf(timeout),
    validateOnly: dryRun,
  };
  const { backends } = await client.ask<HostResponse__Output>((call, answer) =>
    client.pools.DrainHost(request, call, answer),
  );
  const after =
    wait && !dryRun
      ? await waitFor(
          session,
          backends.map(({ name }) => name),
        )
      : backends;
  const are = after.length === 1 ? 'is' : 'are';
  const over = `${are} ${after.every(isOver) ? 'drained' : 'draining'}`;
  report(
    session,
    options,
    { backends: after },
    `${counted(after.length, 'backend')} with the address ${address} ${over}\n${shownOf(session, after)}`,
  );
}

async function undrainBackend(session: Session, name: string, options: ChangeOptions): Promise<void> {
  const { client } = session;
  const request = { name: backendName(name), etag: options.etag ?? '', validateOnly: options.dryRun };
  const backend = await client.ask<Backend__Output>((call, answer) =>
    client.pools.UndrainBackend(request, call, answer),
  );
  report(session, options, backend, `backend ${shortName(backend.name)} is in service`);
}

async function undrainHost(session: Session, address: string, options: ChangeOptions): Promise<void> {
  const { client } = session;
  const { backends } = await client.ask<HostResponse__Output>((call, answer) =>
    client.pools.UndrainHost({ address, validateOnly: options.dryRun }, call, answer),
  );
  report(
    session,
    options,
    { backends },
    `${counted(backends.length, 'backend')} with the address ${address} ${backends.length === 1 ? 'is' : 'are'} in service`,
  );
}

export function addDrain(program: Command): void {
  const names = 'POOL/BACKEND, or the address of a host';
  const check = (kind: DrainedKind, name: string) =>
    kind === 'host' ? checkHost(name) : void backendName(name);
  const drain = program.command('drain');
  drain
    .description(
      'give a backend, or all backends on a host, no new connections, and keep those that they have',
    )
    .addArgument(kindArgument(DRAINED_KINDS))
    .argument('<name>', names)
    .addOption(
      new Option(
        '--timeout <span>',
        "the drain ends after so long, as 10m, and the backend is disabled; 0: never (default: the pool's)",
      ).argParser(parseSpan),
    )
    .option('--wait', 'until no connection is left, telling how many are')
    .addOption(dryRunOption())
    .action((kind: DrainedKind, name: string) => {
      const options = drain.optsWithGlobals<DrainOptions>();
      check(kind, name);
      const run = kind === 'host' ? drainHost : drainBackend;
      return withSession(options, (session) => run(session, name, options));
    });
  const undrain = program.command('undrain');
  undrain
    .description('take draining backends back into service')
    .addArgument(kindArgument(DRAINED_KINDS))
    .argument('<name>', names)
    .addOption(dryRunOption())
    .action((kind: DrainedKind, name: string) => {
      const options = undrain.optsWithGlobals<ChangeOptions>();
      check(kind, name);
      const run = kind === 'host' ? undrainHost : undrainBackend;
      return withSession(options, (session) => run(session, name, options));
    });
}
