import {
  type ClientReadableStream,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  status,
} from '@grpc/grpc-js';
import { fromJSON, type ServiceDefinition } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import { afterEach, describe, expect, it } from 'vitest';
import type { AccessRules } from '../security/access.js';
import { AuditLog } from '../security/audit.js';
import { CallLimiter, DEFAULT_LIMITS } from '../security/rate-limit.js';
import { createToken, hashToken } from '../security/tokens.js';
import { fieldError } from '../state/faults.js';
import type { Surroundings } from './conduct.js';
import { Gate } from './gate.js';
import { type ResponseStream, serverStream } from './stream.js';

/** The path of a method that viewers may call. */
const definition = fromJSON(
  protobuf
    .parse(`syntax = "proto3"; package waggle.v1;
    message Request { string text = 1; }
    message Response { bytes data = 1; }
    service StatsService { rpc WatchStats(Request) returns (stream Response); }`)
    .root.toJSON(),
  {},
)['waggle.v1.StatsService'];
if (definition === undefined || 'format' in definition) throw new Error('no service');
const service: ServiceDefinition = definition;

interface Response {
  readonly data: Uint8Array;
}
type Handler = (request: { readonly text: string }, stream: ResponseStream<Response>) => Promise<void>;

/** A server of one stream, with its gate. */
class StreamBed {
  readonly stopping = new AbortController();
  readonly observed: string[] = [];
  readonly logged: unknown[] = [];
  rules: AccessRules = { local: 'admin', certificates: [], tokens: [] };
  gate!: Gate;
  nowMs = () => Date.now();
  readonly #server: Server;
  readonly #clients: { close(): void }[] = [];
  #port = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(handler: Handler, streams = 8): Promise<StreamBed> {
    const log: Surroundings['log'] = (_level, message, fields) => void bed.logged.push([message, fields]);
    const audit = await AuditLog.open(undefined, log);
    const each = { ...DEFAULT_LIMITS.eachCaller, streams };
    const observe = (method: string, name: string) => void bed.observed.push(`${method} ${name}`);
    const gate = new Gate({
      transport: 'loopback',
      rules: () => bed.rules,
      limiter: new CallLimiter({ ...DEFAULT_LIMITS, eachCaller: each }, () => performance.now()),
      ...{ audit, observe, log },
      nowMs: () => bed.nowMs(),
    });
    const bed: StreamBed = new StreamBed(new Server({ interceptors: [gate.interceptor] }));
    bed.gate = gate;
    const around = { log, observe, gate, audit, stopping: bed.stopping.signal };
    bed.#server.addService(service, { WatchStats: serverStream(around, 'WatchStats', handler) });
    bed.#port = await new Promise<number>((resolve, reject) => {
      bed.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
    return bed;
  }

  open({ token, deadlineMs = 10_000 }: { token?: string; deadlineMs?: number } = {}) {
    const Client = makeGenericClientConstructor(service, 'StatsService');
    const client = new Client(`127.0.0.1:${this.#port}`, credentials.createInsecure());
    this.#clients.push(client);
    const method = service.WatchStats!;
    const metadata = new Metadata();
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    return client.makeServerStreamRequest<object, Response>(
      method.path,
      method.requestSerialize,
      (bytes) => method.responseDeserialize(bytes) as Response,
      { text: 'hello' },
      metadata,
      { deadline: Date.now() + deadlineMs },
    );
  }

  stop(): void {
    for (const client of this.#clients) client.close();
    this.#server.forceShutdown();
  }
}

let bed: StreamBed;
afterEach(() => bed.stop());

/** What a stream came to. */
function ended(stream: ClientReadableStream<Response>) {
  return new Promise<{ code: status; details: string; count: number }>((resolve) => {
    let count = 0;
    stream.on('data', () => count++);
    stream.on('error', () => undefined);
    stream.on('status', ({ code, details }) => resolve({ code, details, count }));
  });
}
const first = (stream: ClientReadableStream<Response>) =>
  new Promise((resolve) => stream.once('data', resolve));
const until = async (what: () => boolean) => {
  const deadline = Date.now() + 5000;
  while (!what()) {
    if (Date.now() > deadline) throw new Error('it did not come to that');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};
const data = new Uint8Array(1);
/** Writes one, and waits for the end. */
const untilTheEnd: Handler = async (_request, { write, signal }) => {
  await write({ data });
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
};

describe('a stream', () => {
  it('ends well when its handler returns', async () => {
    bed = await StreamBed.start(async ({ text }, { write }) => {
      for (const letter of text) await write({ data: new TextEncoder().encode(letter) });
    });
    expect(await ended(bed.open())).toMatchObject({ code: status.OK, count: 5 });
    expect(bed.observed).toEqual(['WatchStats OK']);
  });

  it('ends with the refusal that its handler throws', async () => {
    bed = await StreamBed.start(async (_request, { write }) => {
      await write({ data });
      throw fieldError('text', 'is of no use');
    });
    expect(await ended(bed.open())).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining('is of no use'),
      count: 1,
    });
  });

  it('ends with INTERNAL for a fault of ours, which the log has', async () => {
    bed = await StreamBed.start(async () => {
      throw new TypeError('broken');
    });
    const { code, details } = await ended(bed.open());
    expect(code).toBe(status.INTERNAL);
    expect(details).not.toContain('broken');
    expect(bed.logged).toMatchObject([['request failed', { error: { message: 'broken' } }]]);
  });

  it('waits for a slow reader', async () => {
    let written = 0;
    bed = await StreamBed.start(async (_request, { write }) => {
      for (; written < 1000; written++) await write({ data: new Uint8Array(65_536) });
    });
    const stream = bed.open();
    // The client of the library reads without end until it was asked for the first message.
    await first(stream);
    stream.pause();
    let before = -1;
    while (before !== written) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // 64 MB in all; what is under way is bounded by the buffers of both ends.
    expect(written).toBeLessThan(500);
    const end = ended(stream);
    stream.resume();
    expect(await end).toMatchObject({ code: status.OK, count: 999 });
  });

  it('stops when its client is gone', async () => {
    bed = await StreamBed.start(untilTheEnd);
    const stream = bed.open();
    const end = ended(stream);
    await first(stream);
    stream.cancel();
    expect((await end).code).toBe(status.CANCELLED);
    await until(() => bed.observed.length === 1);
    expect(bed.observed).toEqual(['WatchStats CANCELLED']);
  });

  it('stops when its deadline has passed', async () => {
    bed = await StreamBed.start(untilTheEnd);
    expect((await ended(bed.open({ deadlineMs: 200 }))).code).toBe(status.DEADLINE_EXCEEDED);
    await until(() => bed.observed.length === 1);
  });

  it('that waits for a slow reader stops when that is gone', async () => {
    let fault: unknown;
    bed = await StreamBed.start(async (_request, { write }) => {
      try {
        for (;;) await write({ data: new Uint8Array(65_536) });
      } catch (error) {
        fault = error;
        throw error;
      }
    });
    const stream = bed.open();
    stream.on('error', () => undefined);
    await first(stream);
    stream.pause();
    stream.cancel();
    await until(() => fault !== undefined);
    expect(fault).toMatchObject({ code: 'API_CALLER_GONE' });
  });

  it('ends with UNAVAILABLE when the server stops, and so does one that opens then', async () => {
    bed = await StreamBed.start(untilTheEnd);
    const stream = bed.open();
    const end = ended(stream);
    await first(stream);
    bed.stopping.abort();
    expect(await end).toMatchObject({ code: status.UNAVAILABLE, details: 'the server stops' });
    expect((await ended(bed.open())).code).toBe(status.UNAVAILABLE);
  });

  it('ends when its caller is let in no more', async () => {
    bed = await StreamBed.start(untilTheEnd);
    const token = createToken();
    const entry = { name: 'ci', role: 'viewer', sha256: hashToken(token), expiresMs: undefined } as const;
    bed.rules = { local: undefined, certificates: [], tokens: [entry] };
    const stream = bed.open({ token });
    const end = ended(stream);
    await first(stream);
    bed.gate.recheck();
    bed.rules = { local: undefined, certificates: [], tokens: [] };
    bed.gate.recheck();
    expect((await end).code).toBe(status.UNAUTHENTICATED);
  });

  it('ends when the token of its caller has expired', async () => {
    bed = await StreamBed.start(untilTheEnd);
    const token = createToken();
    const expiresMs = Date.now() + 60_000;
    const entry = { name: 'ci', role: 'viewer', sha256: hashToken(token), expiresMs } as const;
    bed.rules = { local: undefined, certificates: [], tokens: [entry] };
    const stream = bed.open({ token });
    const end = ended(stream);
    await first(stream);
    bed.nowMs = () => expiresMs - 1;
    bed.gate.recheck();
    bed.nowMs = () => expiresMs;
    bed.gate.recheck();
    expect(await end).toMatchObject({ code: status.UNAUTHENTICATED, count: 1 });
  });

  it('is one of so many of its caller', async () => {
    bed = await StreamBed.start(untilTheEnd, 2);
    const streams = [bed.open(), bed.open()];
    for (const stream of streams) {
      stream.on('error', () => undefined);
      await first(stream);
    }
    expect((await ended(bed.open())).code).toBe(status.RESOURCE_EXHAUSTED);
    streams[0]!.cancel();
    await until(() => bed.observed.includes('WatchStats CANCELLED'));
    const another = bed.open();
    another.on('error', () => undefined);
    await first(another);
  });
});
