import type { BackendReport } from './backend-server.js';
import type { LoadSample } from './load.js';

const BAR_CELLS = 24;
const isTerminal = process.stdout.isTTY === true && !process.env.NO_COLOR;
const paint = (code: number, text: string) => (isTerminal ? `\u001b[${code}m${text}\u001b[0m` : text);

export const bold = (text: string) => paint(1, text);
export const dim = (text: string) => paint(2, text);
export const green = (text: string) => paint(32, text);
export const red = (text: string) => paint(31, text);

const count = (value: number) => value.toLocaleString('en-US');
const milliseconds = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

/**
 * The running figures: on a terminal a block that is drawn over itself, elsewhere one line a second.
 * Rates are of the last second, totals since the start.
 */
export class LiveView {
  readonly #backends: readonly string[];
  readonly #reports = new Map<string, BackendReport>();
  #last: LoadSample | undefined;
  #lastAccepted = 0;
  #drawnLines = 0;

  constructor(backends: readonly string[]) {
    this.#backends = backends;
  }

  report(report: BackendReport): void {
    this.#reports.set(report.name, report);
  }

  /** Something happened: it stays on the screen above the figures. */
  say(text: string): void {
    this.#erase();
    console.log(text);
  }

  show(sample: LoadSample): void {
    const before = this.#last;
    this.#last = sample;
    const spanSeconds = sample.seconds - (before?.seconds ?? 0);
    const rate = Math.round((sample.requests - (before?.requests ?? 0)) / spanSeconds);
    const accepted = [...this.#reports.values()].reduce((sum, report) => sum + report.accepted, 0);
    const open = [...this.#reports.values()].reduce((sum, report) => sum + report.open, 0);
    const connectionRate = Math.round((accepted - this.#lastAccepted) / spanSeconds);
    this.#lastAccepted = accepted;
    const shares = this.#backends.map((name) => {
      const requests = (sample.byBackend[name] ?? 0) - (before?.byBackend[name] ?? 0);
      return { name, requests, share: requests / Math.max(1, sample.requests - (before?.requests ?? 0)) };
    });
    const head = [
      `${sample.seconds.toFixed(0).padStart(3)} s`,
      `${count(rate).padStart(6)} req/s`,
      `${String(connectionRate).padStart(4)} new conn/s`,
      `${String(open).padStart(3)} open`,
      `p50 ${milliseconds(sample.latencyMs.p50)}`,
      `p99 ${milliseconds(sample.latencyMs.p99)}`,
      sample.failed === 0 ? green('failed 0') : red(`failed ${sample.failed}`),
    ].join('  ');
    if (!isTerminal) {
      console.log(
        `${head}  ${shares.map((row) => `${row.name} ${(row.share * 100).toFixed(0)}%`).join(' ')}`,
      );
      return;
    }
    this.#erase();
    const lines = [
      head,
      ...shares.map(({ name, requests, share }) => {
        const cells = Math.round(share * BAR_CELLS);
        const bar = `${'█'.repeat(cells)}${dim('·'.repeat(BAR_CELLS - cells))}`;
        return `      ${name}  ${bar}  ${(share * 100).toFixed(0).padStart(3)} %  ${count(requests).padStart(6)} req/s`;
      }),
    ];
    console.log(lines.join('\n'));
    this.#drawnLines = lines.length;
  }

  /** Leave the last block where it is. */
  finish(): void {
    this.#drawnLines = 0;
  }

  #erase(): void {
    if (this.#drawnLines > 0) process.stdout.write(`\u001b[${this.#drawnLines}A\u001b[0J`);
    this.#drawnLines = 0;
  }
}
