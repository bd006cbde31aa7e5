import type { ReadStream, WriteStream } from 'node:tty';
import type { Size } from './view.js';

// xterm's control sequences: the alternate screen (1049), the cursor (25), line wrap (7).
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';

/** Signals that end a process, by number: the shell is to see which it was. */
const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1, SIGQUIT: 3 } as const;

/**
 * The whole terminal, for one program, which gives it back however it ends: `close()`, a signal, an error that nobody
 * catches.
 */
export class Screen {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  #isOpen = false;
  readonly #onKeys: (data: string) => void;
  readonly #onResize: () => void;
  readonly #undo: (() => void)[] = [];

  constructor(
    input: ReadStream,
    output: WriteStream,
    on: { readonly keys: (data: string) => void; readonly resize: () => void },
  ) {
    this.#input = input;
    this.#output = output;
    this.#onKeys = on.keys;
    this.#onResize = on.resize;
  }

  get size(): Size {
    // A terminal that does not know its size says 0: that of the first ones then.
    return { columns: this.#output.columns || 80, rows: this.#output.rows || 24 };
  }

  open(): void {
    this.#input.setEncoding('utf8');
    this.#listen(this.#input, 'data', (data) => this.#onKeys(String(data)));
    this.#listen(this.#output, 'resize', () => this.#onResize());
    // The last resort: whatever ends the process, this is run.
    this.#listen(process, 'exit', () => this.#leave());
    for (const [name, number] of Object.entries(SIGNALS))
      this.#listen(process, name, () => {
        this.close();
        process.exit(128 + number);
      });
    this.#enter();
  }

  /** Show lines: the first at the top. What is written over is not cleared first, so that nothing flickers. */
  draw(lines: readonly string[]): void {
    if (this.#isOpen) this.#output.write(HOME + lines.map((line) => line + CLEAR_LINE).join('\r\n'));
  }

  /** Give the terminal back and stop, as Ctrl-Z does; the terminal is taken again when the process goes on. */
  suspend(): void {
    this.#leave();
    process.once('SIGCONT', () => {
      this.#enter();
      this.#onResize();
    });
    process.kill(process.pid, 'SIGTSTP');
  }

  /** Give the terminal back. Idempotent. */
  close(): void {
    this.#leave();
    for (const undo of this.#undo.splice(0)) undo();
    this.#input.pause();
  }

  #enter(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#input.setRawMode(true);
    this.#input.resume();
    this.#output.write(ENTER);
  }

  #leave(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#output.write(LEAVE);
    this.#input.setRawMode(false);
  }

  #listen(emitter: NodeJS.EventEmitter, event: string, listener: (...args: unknown[]) => void): void {
    emitter.on(event, listener);
    this.#undo.push(() => emitter.removeListener(event, listener));
  }
}
