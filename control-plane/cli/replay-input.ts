import { createReadStream } from 'node:fs';
import { type CapturedFrame, CaptureParser, LINKTYPE_ETHERNET } from '../../lb/index.js';
import { CliError, EXIT } from './faults.js';

/** Pieces that a file is read in, bytes. */
const PIECE_BYTES = 1 << 20;
/** `mark=0x…` or `mark=17` in a packet's comment. */
const MARK = /\bmark=(0x[0-9a-f]+|\d+)\b/i;
const MAX_MARK = 0xffff_ffff;

/** What a file or standard input is called in messages. */
export const inputName = (path: string): string => (path === '-' ? 'standard input' : path);

/** A mark as people write it: decimal, or hexadecimal after 0x; undefined for what is none. */
export function parseMark(text: string): number | undefined {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  return value <= MAX_MARK ? value : undefined;
}

/** The mark that a packet's comment gives. @throws CliError for one that is over 32 bits */
export function markOf(comment: string | undefined, frame: number): number | undefined {
  const text = comment === undefined ? undefined : MARK.exec(comment)?.[1];
  if (text === undefined) return undefined;
  const mark = parseMark(text);
  if (mark !== undefined) return mark;
  throw new CliError(EXIT.refused, `packet ${frame}: mark=${text} in its comment is over 32 bits`);
}

async function* piecesOf(path: string): AsyncGenerator<Uint8Array> {
  const stream = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: PIECE_BYTES });
  try {
    for await (const piece of stream) yield piece as Uint8Array;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CliError(EXIT.refused, `${inputName(path)}: cannot be read (${code})`);
  }
}

/** Frames of a capture with their numbers, and how many were cut. */
export class CaptureInput {
  readonly #path: string;
  #index = 0;
  #cut = 0;

  /** @param path a file, or `-` for standard input */
  constructor(path: string) {
    this.#path = path;
  }

  /** Frames that the capture's snap length has cut, so far. */
  get cut(): number {
    return this.#cut;
  }

  /**
   * Frames a piece of the file at a time, so that a long capture takes no more memory than a short one.
   * @throws CliError in the place where something is wrong: what came before it was given
   */
  async *pieces(): AsyncGenerator<Iterable<CapturedFrame>> {
    const parser = new CaptureParser();
    for await (const piece of piecesOf(this.#path)) yield this.#checked(parser.push(piece));
    try {
      parser.end();
    } catch (error) {
      throw this.#fault(error);
    }
  }

  *#checked(frames: Iterable<CapturedFrame>): Generator<CapturedFrame> {
    try {
      for (const frame of frames) {
        if (frame.linkType !== LINKTYPE_ETHERNET) throw this.#otherLink(frame.linkType);
        this.#index++;
        if (frame.wireBytes > frame.bytes.length) this.#cut++;
        yield frame;
      }
    } catch (error) {
      throw this.#fault(error);
    }
  }

  #fault(error: unknown): CliError {
    if (error instanceof CliError) return error;
    const why = error instanceof Error ? error.message : String(error);
    return new CliError(EXIT.refused, `${inputName(this.#path)}: ${why}`);
  }

  #otherLink(linkType: number): CliError {
    const where = `${inputName(this.#path)}: packet ${this.#index}`;
    return new CliError(
      EXIT.refused,
      `${where}: link type ${linkType}: only Ethernet (${LINKTYPE_ETHERNET}) is replayed, and this capture is of another kind of link`,
    );
  }
}
