import { closeSync, openSync, writeSync } from 'node:fs';
import { type FrameToWrite, PcapngWriter, PcapWriter } from '../../lb/index.js';
import { CliError, EXIT } from './faults.js';

/** Characters or bytes after which what is written goes out, in the midst of a piece. */
const BATCH = 1 << 20;

/** Write to a stream, and wait while the other end is slow. */
function writeAll(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    // An error comes as an event too, which ends the command (see main.ts).
    if (stream.write(data)) resolve();
    else stream.once('drain', resolve);
  });
}

/** Lines for a stream, many at a time. */
export class LineOutput {
  readonly #stream: NodeJS.WriteStream;
  #text = '';

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  add(line: string): void {
    this.#text += `${line}\n`;
  }

  get isFull(): boolean {
    return this.#text.length >= BATCH;
  }

  async flush(): Promise<void> {
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    await writeAll(this.#stream, text);
  }
}

/** A capture that is written as it goes: pcap with nanoseconds, or pcapng where the name says so. */
export class CaptureOutput {
  readonly #path: string;
  readonly #writer: PcapWriter | PcapngWriter;
  #batch = Buffer.alloc(2 * BATCH);
  #used: number;
  #file: number | undefined;

  /** @param path a file, or `-` for standard output */
  constructor(path: string) {
    this.#path = path;
    this.#writer = path.endsWith('.pcapng') ? new PcapngWriter() : new PcapWriter();
    const header = this.#writer.header();
    this.#batch.set(header);
    this.#used = header.length;
  }

  /** Whether packets can have comments (pcapng). */
  get hasComments(): boolean {
    return this.#writer instanceof PcapngWriter;
  }

  /** Make the file. @throws CliError where that cannot be */
  open(): void {
    if (this.#path === '-') return;
    this.#guard(() => {
      this.#file ??= openSync(this.#path, 'w');
    });
  }

  /** The batch takes it: a frame is far shorter than what is left when it is not full. */
  add(frame: FrameToWrite): void {
    this.#used = this.#writer.writeInto(this.#batch, this.#used, frame);
  }

  get isFull(): boolean {
    return this.#used >= BATCH;
  }

  /** @throws CliError where it cannot be written */
  async flush(): Promise<void> {
    if (this.#used === 0) return;
    const bytes = this.#batch.subarray(0, this.#used);
    this.#used = 0;
    if (this.#path === '-') {
      // The stream keeps what it could not write at once.
      this.#batch = Buffer.alloc(this.#batch.length);
      await writeAll(process.stdout, bytes);
      return;
    }
    this.open();
    this.#guard(() => {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file!, bytes, at);
    });
  }

  /** Idempotent. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #guard(write: () => void): void {
    try {
      write();
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      throw new CliError(EXIT.refused, `${this.#path}: cannot be written (${code})`);
    }
  }
}
