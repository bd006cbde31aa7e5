import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import type { RawSocket, RawSocketModule } from 'raw-socket';
import { formatIp } from '../../../lb/index.js';
import type { Clock, IcmpProbe, ProbeResult, Target } from '../types.js';
import { attempt } from './attempt.js';
import { type EchoAnswer, echoRequest, readAnswer } from './icmp-messages.js';

const PROTOCOL = { 4: 1, 6: 58 } as const;
const ADDRESS_FAMILY = { 4: 1, 6: 2 } as const;
/** linux/icmp.h, linux/icmpv6.h: options that leave unwanted types in the kernel. */
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const IPPROTO_ICMPV6 = 58;
const ICMPV6_FILTER = 1;
const ICMPV6_FILTER_BYTES = 32;
const SOL_SOCKET = 1;
/** With CAP_NET_ADMIN past the system's limit, without up to it. */
const SEND_BUFFER = { force: 32, plain: 7 } as const;
const RECEIVE_BUFFER = { force: 33, plain: 8 } as const;
/**
 * A packet takes some 800 bytes of kernel memory. Received: an answer of each of thousands of targets may wait while
 * the event loop is busy. Sent: what waits for a neighbour that does not answer counts until the kernel gives up
 * after seconds, and once the buffer is full nothing goes to anybody.
 */
const BUFFERED_BYTES = 32 * 2 ** 20;
const BUFFER_BYTES = 2048;
const TOKEN_BYTES = 8;
const SEQUENCES = 0x10000;

type Family = 4 | 6;

/** Why no raw socket can be had, in words for an operator, or the socket. */
type Opened = { readonly socket: RawSocket } | { readonly missing: string };

interface Waiting {
  readonly address: string;
  readonly payload: Buffer;
  readonly answered: (answer: EchoAnswer, source: string) => void;
}

/**
 * Echo requests to any number of targets over one raw socket a family, opened with the first of it.
 * A main thread is needed: the module that opens the sockets polls them on the main event loop.
 */
export class Pinger {
  readonly #clock: Clock;
  readonly #load: () => RawSocketModule;
  /** Of this process: other programs that ping see their own answers by it. */
  readonly #id = randomBytes(2).readUInt16BE();
  readonly #opened = new Map<Family, Opened>();
  readonly #waiting: Readonly<Record<Family, Map<number, Waiting>>> = { 4: new Map(), 6: new Map() };
  /** Handed to the socket and not sent yet; what was given up is among them. */
  readonly #queued: Record<Family, number> = { 4: 0, 6: 0 };
  readonly #sequence: Record<Family, number> = { 4: 0, 6: 0 };

  constructor(clock: Clock, load: () => RawSocketModule = loadRawSocket) {
    this.#clock = clock;
    this.#load = load;
  }

  /** Ask for an echo; the answer must come from the target and carry what was sent. */
  probe(target: Target, probe: IcmpProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
    const { family } = target.address;
    return attempt(this.#clock, signal, timeoutMs, (finish) => {
      const nothing = { release: () => {}, onTimeout: () => ({ ok: false, detail: 'no echo reply' }) };
      const opened = this.#open(family);
      if ('missing' in opened) {
        finish.local(opened.missing);
        return nothing;
      }
      const waiting = this.#waiting[family];
      const sequence = this.#freeSequence(family);
      if (sequence === undefined || this.#queued[family] >= SEQUENCES) {
        finish.local(`${SEQUENCES} echo requests are under way already`);
        return nothing;
      }
      const address = formatIp(target.address);
      // Random, so that neither a late answer nor one to another process can be taken for this one.
      const payload = Buffer.alloc(probe.payloadBytes);
      randomBytes(Math.min(TOKEN_BYTES, payload.length)).copy(payload);
      waiting.set(sequence, {
        address,
        payload,
        answered: (answer, source) => {
          if (answer.kind === 'reply') finish.pass('echo reply');
          else finish.fail(source === address ? answer.what : `${answer.what}, says ${source}`);
        },
      });
      const packet = echoRequest(family, this.#id, sequence, payload);
      let isSent = false;
      this.#queued[family]++;
      opened.socket.send(packet, 0, packet.length, address, (error) => {
        this.#queued[family]--;
        isSent = true;
        if (error !== null) finish.error(withCode(error));
      });
      return {
        release: () => waiting.delete(sequence),
        onTimeout: () =>
          isSent ? nothing.onTimeout() : { ok: false, local: true, detail: 'the echo request was not sent' },
      };
    });
  }

  /** Close the sockets; probes under way end by their signals. A later probe opens them again. */
  close(): void {
    for (const opened of this.#opened.values()) {
      if ('socket' in opened) opened.socket.close();
    }
    this.#forget(4);
    this.#forget(6);
  }

  /** The socket is closed, and what it had queued will never be told. */
  #forget(family: Family): void {
    this.#opened.delete(family);
    this.#queued[family] = 0;
  }

  #freeSequence(family: Family): number | undefined {
    const waiting = this.#waiting[family];
    if (waiting.size >= SEQUENCES) return undefined;
    do {
      this.#sequence[family] = (this.#sequence[family] + 1) % SEQUENCES;
    } while (waiting.has(this.#sequence[family]));
    return this.#sequence[family];
  }

  #open(family: Family): Opened {
    const before = this.#opened.get(family);
    if (before !== undefined) return before;
    const opened = openRaw(family, this.#load);
    // What is missing may come, and is asked for again by each probe: a failed open costs one system call.
    if ('socket' in opened) {
      this.#opened.set(family, opened);
      opened.socket.on('message', (packet, source) => this.#receive(family, packet, source));
      // The next probe opens another; those under way run into their timeouts.
      opened.socket.on('error', () => {
        opened.socket.close();
        this.#forget(family);
      });
    }
    return opened;
  }

  #receive(family: Family, packet: Buffer, source: string): void {
    const answer = readAnswer(family, packet);
    if (answer === undefined || answer.id !== this.#id) return;
    const waiting = this.#waiting[family].get(answer.sequence);
    if (waiting === undefined) return;
    if (answer.kind === 'reply' && (source !== waiting.address || !waiting.payload.equals(answer.payload)))
      return;
    waiting.answered(answer, source);
  }
}

function loadRawSocket(): RawSocketModule {
  const module: RawSocketModule = createRequire(import.meta.url)('raw-socket');
  return module;
}

function openRaw(family: Family, load: () => RawSocketModule): Opened {
  let module: RawSocketModule;
  try {
    module = load();
  } catch {
    return { missing: 'ICMP checks need the optional package raw-socket, which is not installed' };
  }
  let socket: RawSocket | undefined;
  try {
    socket = module.createSocket({
      protocol: PROTOCOL[family],
      addressFamily: ADDRESS_FAMILY[family],
      bufferSize: BUFFER_BYTES,
    });
    enlarge(socket, SEND_BUFFER);
    enlarge(socket, RECEIVE_BUFFER);
    const { level, option, filter } = filterOf(family);
    socket.setOption(level, option, filter, filter.length);
    return { socket };
  } catch (error) {
    socket?.close();
    const words = error instanceof Error ? error.message : String(error);
    const isRight = /not permitted|denied/i.test(words);
    return { missing: `ICMP checks need CAP_NET_RAW${isRight ? '' : ' and a raw socket'}: ${words}` };
  }
}

function enlarge(socket: RawSocket, options: { readonly force: number; readonly plain: number }): void {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(BUFFERED_BYTES);
  try {
    socket.setOption(SOL_SOCKET, options.force, bytes, bytes.length);
  } catch {
    socket.setOption(SOL_SOCKET, options.plain, bytes, bytes.length);
  }
}

/** Echo replies and errors alone; a set bit keeps a type out. */
function filterOf(family: Family): { level: number; option: number; filter: Buffer } {
  if (family === 4) {
    const filter = Buffer.alloc(4);
    const wanted = (1 << 0) | (1 << 3) | (1 << 11);
    filter.writeUInt32LE(~wanted >>> 0);
    return { level: SOL_RAW, option: ICMP_FILTER, filter };
  }
  const filter = Buffer.alloc(ICMPV6_FILTER_BYTES, 0xff);
  for (const type of [1, 3, 129]) {
    const off = (type >> 5) * 4;
    filter.writeUInt32LE((filter.readUInt32LE(off) & ~(1 << (type & 31))) >>> 0, off);
  }
  return { level: IPPROTO_ICMPV6, option: ICMPV6_FILTER, filter };
}

/** raw-socket raises the system's words without their code. */
const CODES: readonly (readonly [RegExp, string])[] = [
  [/network is unreachable/i, 'ENETUNREACH'],
  [/no route to host/i, 'EHOSTUNREACH'],
  [/not permitted/i, 'EPERM'],
  [/no buffer space/i, 'ENOBUFS'],
  [/cannot assign/i, 'EADDRNOTAVAIL'],
];

function withCode(error: Error): Error {
  const code = CODES.find(([words]) => words.test(error.message))?.[1];
  return code === undefined ? error : Object.assign(error, { code });
}
