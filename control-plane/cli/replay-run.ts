import {
  type CapturedFrame,
  optimiseReplay,
  type PacketFate,
  type PacketOutcome,
  workerOf,
} from '../../lb/index.js';
import { wantsColor } from './format.js';
import type { ReplayCommand } from './replay.js';
import { CaptureInput, markOf } from './replay-input.js';
import { counterTable, HEADING, jsonLine, jsonOf, Tally, textLine } from './replay-lines.js';
import { CaptureOutput, LineOutput } from './replay-output.js';
import { openReplay, type ReplaySetup } from './replay-setup.js';

const NOWHERE = { vip: null, backend: null, table: null, leaves: false } as const;
const SHORT_XDP: PacketFate = { verdict: 'XDP_DROP', reason: 'short_frame', ...NOWHERE };
const SHORT_TC: PacketFate = { verdict: 'TC_ACT_SHOT', reason: 'short_frame', ...NOWHERE };
/** A verdict of ours: nobody ran the program. */
const TOO_LONG: PacketFate = { verdict: 'NOT_RUN', reason: 'too_long_for_engine', ...NOWHERE };

/** What the capture that is written says of a packet, where it has a place for it. */
function commentOf({ reason, vip, backend, table }: PacketFate): string {
  return backend === null ? reason : `${reason} ${vip ?? ''} → ${backend} (${table ?? 'none'})`;
}

/** The program's clock: capture times, moved to begin where the configuration says, and never back. */
class CaptureClock {
  #offsetNs: bigint | undefined;
  #nowNs = 0n;

  /** @param startNs what the first packet sees; undefined: its own time */
  constructor(startNs: bigint | undefined) {
    this.#offsetNs = startNs === undefined ? 0n : undefined;
    this.#nowNs = startNs ?? 0n;
  }

  at(timestampNs: bigint): bigint {
    this.#offsetNs ??= this.#nowNs - timestampNs;
    const ns = timestampNs + this.#offsetNs;
    // Captures of several interfaces are not always in order; a monotonic clock is.
    if (ns > this.#nowNs) this.#nowNs = ns;
    return this.#nowNs;
  }
}

/** One replay: frames in, lines and frames out. */
class ReplayRun {
  readonly #options: ReplayCommand;
  readonly #setup: ReplaySetup;
  readonly #clock: CaptureClock;
  readonly #lines: LineOutput;
  readonly #capture: CaptureOutput | undefined;
  readonly #tally = new Tally();
  #index = 0;

  constructor(options: ReplayCommand, setup: ReplaySetup) {
    this.#options = options;
    this.#setup = setup;
    this.#clock = new CaptureClock(setup.clockStartNs);
    // Standard output belongs to the capture where that goes there.
    this.#lines = new LineOutput(options.out === '-' ? process.stderr : process.stdout);
    this.#capture = options.out === undefined ? undefined : new CaptureOutput(options.out);
  }

  /** All of it; what was read before a fault is told before the fault is thrown. */
  async run(): Promise<void> {
    const input = new CaptureInput(this.#options.in);
    let fault: unknown;
    try {
      for await (const frames of input.pieces()) {
        for (const frame of frames) {
          this.#step(frame);
          if (this.#lines.isFull || this.#capture?.isFull) await this.#flush();
        }
        await this.#flush();
      }
    } catch (error) {
      fault = error;
    }
    // Nothing was read: there is nothing to tell but why.
    if (fault !== undefined && this.#index === 0) throw fault;
    this.#end();
    await this.#flush();
    this.#capture?.close();
    this.#note(input.cut);
    if (fault !== undefined) throw fault;
  }

  get #hasLines(): boolean {
    const { json, quiet, out } = this.#options;
    return !json && !quiet && out !== '-';
  }

  #begin(): void {
    this.#capture?.open();
    if (this.#hasLines) this.#lines.add(HEADING);
  }

  #step({ bytes, timestampNs, comment }: CapturedFrame): void {
    const { json } = this.#options;
    if (this.#index === 0) this.#begin();
    const index = this.#index++;
    const outcome = this.#outcome(bytes, timestampNs, comment, index);
    this.#tally.add(outcome.fate);
    if (json) this.#lines.add(jsonLine(index, outcome));
    else if (this.#hasLines) this.#lines.add(textLine(index, outcome, bytes.length));
    if (this.#capture !== undefined && outcome.fate.leaves) {
      const frame = { timestampNs, bytes: outcome.frame };
      this.#capture.add(this.#capture.hasComments ? { ...frame, comment: commentOf(outcome.fate) } : frame);
    }
  }

  #outcome(
    frame: Uint8Array,
    timestampNs: bigint,
    comment: string | undefined,
    index: number,
  ): PacketOutcome {
    const { replay } = this.#setup;
    const clock = this.#clock.at(timestampNs);
    if (frame.length < replay.minFrameBytes || frame.length > replay.maxFrameBytes)
      return this.#unsent(frame);
    return replay.run(frame, clock, {
      worker: workerOf(frame, replay.workers),
      mark: markOf(comment, index) ?? this.#options.mark,
    });
  }

  /** A frame that the engine does not take. One without an Ethernet header is dropped by the kernel itself. */
  #unsent(frame: Uint8Array): PacketOutcome {
    const { replay } = this.#setup;
    this.#tally.unsent++;
    if (frame.length > replay.maxFrameBytes) return { fate: TOO_LONG, frame };
    return { fate: replay.type === 'xdp' ? SHORT_XDP : SHORT_TC, frame };
  }

  /** What stands below the packets. */
  #end(): void {
    const { json, counters } = this.#options;
    if (!json) this.#lines.add(this.#tally.text());
    if (!counters) return;
    const all = this.#setup.replay.counters();
    this.#lines.add(
      json ? jsonOf({ counters: all }) : `\n${counterTable(all, wantsColor(process.stdout, process.env))}`,
    );
  }

  /** What is to be known of the result, for a person. */
  #note(cut: number): void {
    const { replay } = this.#setup;
    const { unsent } = this.#tally;
    const packets = (count: number) => `${count} packet${count === 1 ? ' was' : 's were'}`;
    if (cut > 0)
      console.error(
        `Note: ${packets(cut)} cut by the snap length of the capture: the program saw what is left of them`,
      );
    if (unsent > 0)
      console.error(
        `Note: ${packets(unsent)} not run: engine ${this.#options.engine} takes ${replay.minFrameBytes} to ${replay.maxFrameBytes} bytes`,
      );
  }

  async #flush(): Promise<void> {
    await this.#capture?.flush();
    await this.#lines.flush();
  }
}

/** Run the command. @throws CliError */
export async function runReplay(options: ReplayCommand): Promise<void> {
  if (options.engine === 'jit') optimiseReplay();
  const setup = openReplay(options);
  try {
    await new ReplayRun(options, setup).run();
  } finally {
    setup.replay.close();
  }
}
