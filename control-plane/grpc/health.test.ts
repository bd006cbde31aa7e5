import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SecurityBed } from '../../test/support/security-bed.js';
import { createToken, hashToken } from '../security/tokens.js';
import { loadHealth } from './health.js';

const { service } = loadHealth();
const Client = makeGenericClientConstructor(service, 'Health');

interface Status {
  readonly status: string;
}

let bed: SecurityBed;
let client: InstanceType<typeof Client>;
/** What of the datapath's workers is not as it is. */
let state: 'running' | 'restarting' = 'running';
beforeEach(async () => {
  state = 'running';
  bed = await SecurityBed.start({});
  const workers = bed.datapath.workers.bind(bed.datapath);
  bed.datapath.workers = () => workers().map((worker) => ({ ...worker, state }));
  client = new Client(bed.address, credentials.createInsecure());
});
afterEach(async () => {
  client.close();
  await bed.stop();
});

function metadataOf(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

function ask<T>(name: 'Check' | 'List', request: object, caller = client, token?: string): Promise<T> {
  const method = service[name]!;
  return new Promise((resolve, reject) => {
    caller.makeUnaryRequest<object, T>(
      method.path,
      method.requestSerialize,
      (bytes) => method.responseDeserialize(bytes) as T,
      request,
      metadataOf(token),
      (error: ServiceError | null, value?: T) => (error ? reject(error) : resolve(value as T)),
    );
  });
}

/** The statuses that a watch is told, and what it ends with. */
function watch(name: string, caller = client, token?: string) {
  const method = service.Watch!;
  const stream = caller.makeServerStreamRequest<object, Status>(
    method.path,
    method.requestSerialize,
    (bytes) => method.responseDeserialize(bytes) as Status,
    { service: name },
    metadataOf(token),
  );
  const seen: string[] = [];
  let wake = () => {};
  stream.on('data', (told: Status) => {
    seen.push(told.status);
    wake();
  });
  stream.on('error', () => undefined);
  const end = new Promise<status>((resolve) => stream.on('status', ({ code }) => resolve(code)));
  const count = async (n: number) => {
    while (seen.length < n) await new Promise<void>((resolve) => (wake = resolve));
    return seen;
  };
  return { end, count, cancel: () => stream.cancel() };
}

describe('grpc.health.v1.Health', () => {
  it('serves while the datapath is up: the server, and each service', async () => {
    for (const [now, told] of [
      ['running', 'SERVING'],
      ['restarting', 'NOT_SERVING'],
    ] as const) {
      state = now;
      for (const name of ['', 'waggle.v1.VipService', 'waggle.v1.BpfService'])
        expect(await ask('Check', { service: name })).toEqual({ status: told });
    }
  });

  it('does not know another service', async () => {
    await expect(ask('Check', { service: 'waggle.v1.Nope' })).rejects.toMatchObject({
      code: status.NOT_FOUND,
    });
    const { count, cancel } = watch('waggle.v1.Nope');
    expect(await count(1)).toEqual(['SERVICE_UNKNOWN']);
    cancel();
  });

  it('lists all services', async () => {
    const { statuses } = await ask<{ statuses: Record<string, Status> }>('List', {});
    expect(statuses).toMatchObject({
      '': { status: 'SERVING' },
      'waggle.v1.PoolService': { status: 'SERVING' },
    });
  });

  it('tells of the datapath going down and coming back', async () => {
    const { count, cancel } = watch('');
    await count(1);
    state = 'restarting';
    await count(2);
    state = 'running';
    expect(await count(3)).toEqual(['SERVING', 'NOT_SERVING', 'SERVING']);
    cancel();
  });

  it('tells any number of those who watch, without a warning of Node', async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error) => void warnings.push(warning);
    process.on('warning', warn);
    const watches = Array.from({ length: 24 }, () => watch(''));
    for (const { count } of watches) await count(1);
    const stopping = bed.stop();
    for (const { count, end } of watches) {
      expect(await count(2)).toEqual(['SERVING', 'NOT_SERVING']);
      expect(await end).toBe(status.UNAVAILABLE);
    }
    await stopping;
    process.off('warning', warn);
    expect(warnings).toEqual([]);
  });

  it('tells of the stop before it ends', async () => {
    const { count, end } = watch('');
    await count(1);
    const stopping = bed.stop();
    expect(await count(2)).toEqual(['SERVING', 'NOT_SERVING']);
    expect(await end).toBe(status.UNAVAILABLE);
    await stopping;
  });
});

it('streams end within seconds of the time when the token of their caller expires', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
  const folder = mkdtempSync(join(tmpdir(), 'waggle-access-'));
  const accessFile = join(folder, 'access.yaml');
  const token = createToken();
  const expires = new Date(Date.now() + 60_000).toISOString();
  writeFileSync(
    accessFile,
    `local: none\ntokens: [{ name: ci, role: viewer, sha256: ${hashToken(token)}, expires: ${expires} }]\n`,
  );
  const guarded = await SecurityBed.start({ accessFile });
  const guest = new Client(guarded.address, credentials.createInsecure());
  try {
    const { count, end } = watch('', guest, token);
    await count(1);
    vi.advanceTimersByTime(50_000);
    expect(await ask('Check', {}, guest, token)).toEqual({ status: 'SERVING' });
    vi.advanceTimersByTime(20_000);
    expect(await end).toBe(status.UNAUTHENTICATED);
  } finally {
    vi.useRealTimers();
    guest.close();
    await guarded.stop();
    rmSync(folder, { recursive: true });
  }
});
