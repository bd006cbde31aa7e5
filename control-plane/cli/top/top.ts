import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { wholeNumber } from '../arguments.js';
import { durationOf, parseSpan } from '../duration.js';
import { CliError, EXIT, usageError } from '../faults.js';
import { isForPeople } from '../format.js';
import { printEach, untilStopped } from '../lines.js';
import { type GlobalOptions, type Session, withSession } from '../session.js';
import { keysOf, pressKey, typeKey } from './keys.js';
import { BACKEND_SORT_KEYS, SORT_KEYS, type SortKey, TopModel, VIEWS, type View } from './model.js';
import { type RateSample, ratesOf } from './rates.js';
import { Screen } from './screen.js';
import { render, roomFor, sampleLines } from './view.js';

interface TopOptions extends GlobalOptions {
  readonly interval: number;
  readonly count?: number;
  readonly sort: SortKey;
  readonly view: View;
  readonly filter: string;
}

/** What WatchStats takes. */
const MIN_INTERVAL_MS = 100;
const MAX_INTERVAL_MS = 3_600_000;
/** How long a server that went away is left alone before it is asked again. */
const RETRY_MS = 1000;

/** Samples as rates, until the signal. @throws CliError */
async function* samples(
  { client }: Session,
  intervalMs: number,
  signal: AbortSignal,
): AsyncGenerator<RateSample, void, undefined> {
  const request = { interval: durationOf(intervalMs), deltas: true };
  for await (const sample of client.stream((call) => client.stats.WatchStats(request, call), signal)) {
    const rates = ratesOf(sample);
    if (rates !== undefined) yield rates;
  }
}

/** Without a terminal: lines for each sample, or data. */
async function stream(session: Session, model: TopModel, { interval, count }: TopOptions): Promise<void> {
  await untilStopped(async (signal) => {
    let shown = 0;
    for await (const sample of samples(session, interval, signal)) {
      model.take(sample);
      if (isForPeople(session.output)) console.log(sampleLines(model).join('\n'));
      else printEach(session, sample, () => undefined);
      shown++;
      if (count !== undefined && shown >= count) return;
    }
  });
}

/** On a terminal: the whole of it, until a key says that it is enough. */
class FullScreen {
  readonly #session: Session;
  readonly #model: TopModel;
  readonly #screen: Screen;
  #intervalMs: number;
  #trouble = '';
  #isHelp = false;
  #isTyping = false;
  #hasAnswered = false;
  readonly #quit = new AbortController();
  /** Ends the stream, to begin another one with the new interval. */
  #restart = new AbortController();

  constructor(session: Session, model: TopModel, intervalMs: number) {
    this.#session = session;
    this.#model = model;
    this.#intervalMs = intervalMs;
    this.#screen = new Screen(process.stdin, process.stdout, {
      keys: (data) => this.#keys(data),
      resize: () => this.#draw(),
    });
  }

  async run(): Promise<void> {
    this.#screen.open();
    try {
      this.#draw();
      while (!this.#quit.signal.aborted) await this.#follow();
    } finally {
      this.#screen.close();
    }
  }

  /** One stream. A server that never answered is a fault; one that went away is waited for. */
  async #follow(): Promise<void> {
    const { signal } = this.#quit;
    this.#restart = new AbortController();
    try {
      const either = AbortSignal.any([signal, this.#restart.signal]);
      for await (const sample of samples(this.#session, this.#intervalMs, either)) {
        this.#hasAnswered = true;
        this.#trouble = '';
        this.#model.take(sample);
        this.#draw();
      }
      if (signal.aborted || this.#restart.signal.aborted) return;
      this.#trouble = 'the server ended the statistics, asking again';
    } catch (error) {
      if (!this.#hasAnswered || !(error instanceof CliError) || error.exitCode !== EXIT.unreachable)
        throw error;
      this.#trouble = 'the server does not answer, asking again';
    }
    this.#draw();
    await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }

  #draw(): void {
    const scene = {
      server: this.#session.client.server,
      intervalMs: this.#intervalMs,
      trouble: this.#trouble,
      isTyping: this.#isTyping,
      isHelp: this.#isHelp,
      isColored: this.#session.isColored,
    };
    this.#screen.draw(render(this.#model, scene, this.#screen.size));
  }

  #keys(data: string): void {
    for (const key of keysOf(data)) {
      if (this.#isTyping) this.#isTyping = typeKey(this.#model, key);
      else this.#press(key);
    }
    if (!this.#quit.signal.aborted) this.#draw();
  }

  #press(key: string): void {
    const effect = pressKey(this.#model, key, roomFor(this.#screen.size));
    if (effect === 'quit') this.#quit.abort();
    if (effect === 'suspend') this.#screen.suspend();
    if (effect === 'help') this.#isHelp = !this.#isHelp;
    if (effect === 'type') this.#isTyping = true;
    if (effect === 'faster') this.#pace(this.#intervalMs / 2);
    if (effect === 'slower') this.#pace(this.#intervalMs * 2);
  }

  #pace(intervalMs: number): void {
    this.#intervalMs = Math.round(Math.min(Math.max(intervalMs, MIN_INTERVAL_MS), MAX_INTERVAL_MS));
    this.#restart.abort();
  }
}

function parseInterval(text: string): number {
  const ms = parseSpan(text);
  if (ms >= MIN_INTERVAL_MS && ms <= MAX_INTERVAL_MS) return ms;
  throw new InvalidArgumentError(`${text} is not in 100ms..1h.`);
}

export const intervalOption = () =>
  new Option('--interval <span>', 'from a sample to the next, 100ms to 1h')
    .argParser(parseInterval)
    .default(1000, '1s');

/** Of either view. */
const SORTS: readonly SortKey[] = [...new Set<SortKey>([...SORT_KEYS, ...BACKEND_SORT_KEYS])];

export function addTop(program: Command): void {
  const command = program.command('top');
  command
    .description(
      'what the load balancer does a second, by VIP or backend: on a terminal live, full screen, with keys (? shows them), else a line for each',
    )
    .addOption(intervalOption())
    .addOption(new Option('--view <what>', 'what the rows are').choices(VIEWS).default('vips'))
    .addOption(new Option('--sort <column>', 'what they are sorted by').choices(SORTS).default('packets'))
    .option('--filter <text>', 'names with this text in them', '')
    .addOption(
      new Option('--count <n>', 'lines: end after so many samples').argParser(
        wholeNumber(1, Number.MAX_SAFE_INTEGER),
      ),
    )
    .action(() => {
      const options = command.optsWithGlobals<TopOptions>();
      const model = new TopModel();
      model.show(options.view);
      if (!model.sortKeys.includes(options.sort))
        throw usageError(
          `--sort: ${options.view} are not sorted by ${options.sort}; it is one of: ${model.sortKeys.join(', ')}`,
        );
      model.sort = options.sort;
      model.filter = options.filter;
      const isScreen =
        process.stdin.isTTY === true &&
        process.stdout.isTTY === true &&
        isForPeople(options.output) &&
        options.count === undefined;
      return withSession(options, (session) =>
        isScreen ? new FullScreen(session, model, options.interval).run() : stream(session, model, options),
      );
    });
}
