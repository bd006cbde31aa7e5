import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliBed } from '../../../test/support/cli-bed.js';

const MAIN = fileURLToPath(new URL('../../../dist/control-plane/cli/main.js', import.meta.url));
const isBuilt = existsSync(MAIN);
const ENTER = '\u001b[?1049h';
const LEAVE = '\u001b[?1049l';
const DEADLINE_MS = 20_000;

/** A command in a pseudo terminal of 20 lines and 100 columns, made by script(1). */
class Terminal {
  output = '';
  readonly #child;
  readonly #ended: Promise<number>;

  constructor(args: readonly string[]) {
    const command = `stty rows 20 cols 100; echo "pid=$$"; exec '${process.execPath}' '${MAIN}' ${args.join(' ')}`;
    const env = { ...process.env, TERM: 'xterm-256color', NO_COLOR: '' };
    this.#child = spawn('script', ['-qfec', command, '/dev/null'], { env, stdio: 'pipe' });
    this.#child.stdout.setEncoding('utf8').on('data', (data: string) => {
      this.output += data;
    });
    this.#ended = new Promise((resolve) => this.#child.once('close', (code) => resolve(code ?? -1)));
  }

  /** The last whole picture, without colours. */
  get picture(): string {
    const frame = this.output.split('\u001b[H').at(-1) ?? '';
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal is sent.
    return frame.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]|\r/g, '');
  }

  type(keys: string): void {
    this.#child.stdin.write(keys);
  }

  signal(name: NodeJS.Signals): void {
    process.kill(Number(/pid=(\d+)/.exec(this.output)?.[1]), name);
  }

  async until(says: RegExp): Promise<void> {
    const deadline = Date.now() + DEADLINE_MS;
    while (!says.test(this.picture)) {
      if (Date.now() > deadline) throw new Error(`${says} is not in ${this.picture}`);
      await sleep(20);
    }
  }

  /** Its exit status. */
  ended(): Promise<number> {
    return this.#ended;
  }
}

describe.skipIf(!isBuilt)(`waggle top on a terminal (${isBuilt ? 'dist/' : 'dist/ is not built'})`, () => {
  let bed: CliBed;
  beforeAll(async () => {
    bed = await CliBed.start();
    await bed.serve();
  });
  afterAll(() => bed.stop());
  const top = () => new Terminal(['--server', bed.server, 'top', '--interval', '100ms']);

  it('fills it, obeys its keys, and gives it back', async () => {
    const terminal = top();
    await terminal.until(/^web +0 +0/m);
    expect(terminal.output).toContain(ENTER);
    expect(terminal.picture.split('\n')).toHaveLength(20);
    terminal.type('b');
    await terminal.until(/^web\/a +0/m);
    terminal.type('\u001b[C');
    await terminal.until(/backends by bits/);
    terminal.type('/zzz\r');
    await terminal.until(/filter "zzz"/);
    expect(terminal.picture).not.toContain('web/a');
    terminal.type('?');
    await terminal.until(/half, twice the interval/);
    terminal.type('?+');
    await terminal.until(/every 0\.1 s/);
    terminal.type('--');
    await terminal.until(/every 0\.4 s/);
    terminal.type(' ');
    await terminal.until(/PAUSED/);
    expect(terminal.output).not.toContain(LEAVE);
    terminal.type('q');
    expect(await terminal.ended()).toBe(0);
    expect(terminal.output.endsWith(LEAVE)).toBe(true);
  });

  it('gives it back when a signal ends it, and says which', async () => {
    const terminal = top();
    await terminal.until(/^web +0 +0/m);
    terminal.signal('SIGTERM');
    expect(await terminal.ended()).toBe(128 + 15);
    expect(terminal.output.endsWith(LEAVE)).toBe(true);
  });

  it('gives it back before it says what is wrong', async () => {
    const terminal = new Terminal(['--server', '127.0.0.1:1', 'top']);
    expect(await terminal.ended()).toBe(69);
    const [picture = '', after = ''] = terminal.output.split(LEAVE);
    expect(picture).toContain(ENTER);
    expect(after.trim()).toMatch(/^Error: cannot reach the server at 127\.0\.0\.1:1/);
  });

  it('stops for Ctrl-Z without the terminal, and takes it again', async () => {
    const terminal = top();
    await terminal.until(/^web +0 +0/m);
    terminal.type('\u001a');
    const deadline = Date.now() + DEADLINE_MS;
    while (!terminal.output.endsWith(LEAVE) && Date.now() < deadline) await sleep(20);
    expect(terminal.output.endsWith(LEAVE)).toBe(true);
    terminal.signal('SIGCONT');
    while (terminal.output.lastIndexOf(ENTER) < terminal.output.lastIndexOf(LEAVE) && Date.now() < deadline)
      await sleep(20);
    expect(terminal.output.lastIndexOf(ENTER)).toBeGreaterThan(terminal.output.lastIndexOf(LEAVE));
    terminal.type('q');
    expect(await terminal.ended()).toBe(0);
  });
});
