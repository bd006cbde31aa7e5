/** Every method of the API, driven by a client that knows of it what reflection tells: as grpcurl does. */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { formatListen } from '../../control-plane/grpc/listen.js';
import { type ApiBed, eachWithApi } from '../support/api-bed.js';
import { ReflectedApi, type ReflectedMethod } from '../support/reflected-api.js';

let bed: ApiBed;
let api: ReflectedApi;
eachWithApi((each) => {
  bed = each;
});
beforeEach(async () => {
  api = await ReflectedApi.of(formatListen(bed.control.address), /^waggle\.v1\./);
});
afterEach(() => api.close());

const OBJECT = readFileSync(new URL('../../programs/build/balancer.bpf.o', import.meta.url));
/** A key of the table of tunnel destinations, and what it holds. */
const TUNNEL = { json: `"0x${'01'.repeat(16)}"` };
const FLAGS = { json: `"0x${'00'.repeat(4)}"` };

/** What each method is called with, in this order: a node is set up, looked at, changed and taken apart again. */
const CALLS: readonly (readonly [method: string, request: object])[] = [
  ['CreateHealthCheck', { healthCheckId: 'up', healthCheck: { tcp: { port: 1 } } }],
  ['CreatePool', { poolId: 'web', pool: {} }],
  ['CreateBackend', { parent: 'pools/web', backendId: 'a', backend: { address: '10.0.0.1' } }],
  ['CreateVip', { vipId: 'web', vip: { address: '192.0.2.10', port: 80, protocol: 1, pool: 'pools/web' } }],
  ['GetVip', { name: 'vips/web' }],
  ['ListVips', {}],
  ['UpdateVip', { vip: { name: 'vips/web', displayName: 'W' } }],
  ['WatchVips', {}],
  ['GetPool', { name: 'pools/web' }],
  ['ListPools', {}],
  ['UpdatePool', { pool: { name: 'pools/web', healthChecks: ['healthChecks/up'] } }],
  ['GetBackend', { name: 'pools/web/backends/a' }],
  ['ListBackends', { parent: 'pools/-' }],
  ['UpdateBackend', { backend: { name: 'pools/web/backends/a', weight: 3 } }],
  ['WatchBackends', { parent: 'pools/web' }],
  ['ProbeBackend', { backend: 'pools/web/backends/a' }],
  ['DrainBackend', { name: 'pools/web/backends/a' }],
  ['UndrainBackend', { name: 'pools/web/backends/a' }],
  ['DrainHost', { address: '10.0.0.1' }],
  ['UndrainHost', { address: '10.0.0.1' }],
  [
    'ReplaceBackends',
    {
      parent: 'pools/web',
      backends: [
        { name: 'pools/web/backends/a', address: '10.0.0.1' },
        { name: 'pools/web/backends/b', address: '10.0.0.2' },
      ],
    },
  ],
  ['GetHealthCheck', { name: 'healthChecks/up' }],
  ['ListHealthChecks', {}],
  ['UpdateHealthCheck', { healthCheck: { name: 'healthChecks/up', interval: { seconds: 9 } } }],
  ['UpdateServerIds', { set: [{ id: 1, backendAddress: '10.0.0.1' }] }],
  ['ListServerIds', {}],
  ['UpdateSourceRoutes', { set: [{ prefix: '192.0.2.0/24', backendAddress: '10.0.0.1' }] }],
  ['ListSourceRoutes', {}],
  ['UpdateGlobalFlows', { delete: [] }],
  ['ListGlobalFlows', {}],
  ['GetSnapshot', {}],
  ['ApplySnapshot', { snapshot: { pools: [{ name: 'pools/other' }] } }],
  ['ListRevisions', {}],
  ['RollbackRevision', { revision: 4, validateOnly: true }],
  ['WatchSnapshot', {}],
  ['GetStats', {}],
  ['WatchStats', {}],
  ['ListFlows', {}],
  ['WatchEvents', { afterSequence: 1 }],
  [
    'SimulateFlow',
    {
      tuple: {
        sourceAddress: '198.51.100.1',
        sourcePort: 1000,
        destinationAddress: '192.0.2.10',
        destinationPort: 80,
        protocol: 1,
      },
      tcpSyn: true,
    },
  ],
  ['GetTable', { vip: 'vips/web' }],
  ['GetNode', { name: 'nodes/self' }],
  ['RestartWorker', { name: 'nodes/self', worker: 0 }],
  ['GetNodeConfig', { name: 'nodes/self' }],
  ['UpdateNodeConfig', { config: { routerMacAddress: '02:00:00:00:00:01' } }],
  ['GetLogLevel', { name: 'nodes/self' }],
  ['SetLogLevel', { name: 'nodes/self', level: 'error' }],
  ['ListBpfPrograms', {}],
  ['ListBpfMaps', {}],
  ['ListBpfMapEntries', { map: 'maps/ctl_array' }],
  ['GetBpfMapEntry', { map: 'maps/ctl_array', key: { json: '0' } }],
  ['SetBpfMapEntry', { map: 'maps/decap_dst', key: TUNNEL, value: FLAGS }],
  ['DeleteBpfMapEntry', { map: 'maps/decap_dst', key: TUNNEL }],
  ['SwapBpfProgram', { object: OBJECT.toString('base64') }],
  ['DeleteVip', { name: 'vips/web' }],
  ['DeleteBackend', { name: 'pools/web/backends/b' }],
  ['DeletePool', { name: 'pools/web', force: true }],
  ['DeleteHealthCheck', { name: 'healthChecks/up' }],
];

it('every method answers, and none is left out', async () => {
  const called = new Set(CALLS.map(([name]) => name));
  const missing = api.methods.filter(({ path }) => !called.has(path.split('/')[2] ?? ''));
  expect(missing.map(({ path }) => path)).toEqual([]);
  for (const [name, request] of CALLS) {
    const { code, details, messages } = await api.call(api.method(name), request);
    expect([name, status[code], details]).toEqual([name, 'OK', '']);
    expect(messages.length).toBeGreaterThan(0);
  }
}, 60_000);

/** Texts that mean something here and there, so that messages get past the first check. */
const TEXTS = [
  '',
  'web',
  'vips/web',
  'pools/web',
  'pools/-',
  'pools/web/backends/a',
  'healthChecks/up',
  'nodes/self',
  '192.0.2.10',
  '10.0.0.1',
  '10.0.0.0/8',
  'fd00::1',
  'fd00::/64',
  '02:00:00:00:00:01',
  'maps/vip_map',
  '*',
  'name = "x"',
  'port desc',
  'weight',
  'backend.',
  'error',
  '\u0000',
  'é'.repeat(300),
];
const text = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...TEXTS) }, fc.string());
const WHOLE = /^(u?int|s?fixed|sint)(32|64)$/;

function randomValue(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
  const { resolvedType, type } = field;
  if (resolvedType instanceof protobuf.Enum)
    return fc.oneof(fc.constantFrom(...Object.values(resolvedType.values)), fc.nat(99));
  if (resolvedType instanceof protobuf.Type) return messageOf(resolvedType, depth - 1);
  if (type === 'string') return text;
  if (type === 'bytes') return fc.uint8Array({ maxLength: 64 });
  if (type === 'bool') return fc.boolean();
  if (WHOLE.test(type))
    return fc.oneof(fc.nat(10), fc.integer(), fc.constantFrom(0, 80, 65535, 65536, 2 ** 31 - 1));
  return fc.double();
}

/** What a field may be, one value or many. */
function fieldOf(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
  field.resolve();
  const value = randomValue(field, depth);
  if (field.map) return fc.dictionary(fc.string(), value, { maxKeys: 2 });
  return field.repeated ? fc.array(value, { maxLength: 3 }) : value;
}

/** A message of a type: each field is there or not. */
function messageOf(type: protobuf.Type, depth: number): fc.Arbitrary<object> {
  if (depth < 0) return fc.constant({});
  const fields = type.fieldsArray.map((field) => [field.name, fieldOf(field, depth)] as const);
  return fc.record(Object.fromEntries(fields), { requiredKeys: [] });
}

const isMessage = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

/** A message that is taken, but for a field here and there: such ones get far before they are refused. */
function nearly(type: protobuf.Type, taken: object, depth: number): fc.Arbitrary<object> {
  const values = new Map<string, unknown>(Object.entries(taken));
  const fields = type.fieldsArray.map((field) => {
    const arbitrary = fieldOf(field, depth);
    const name = protobuf.util.camelCase(field.name);
    const value = values.get(name);
    const { resolvedType } = field;
    const isNested = resolvedType instanceof protobuf.Type && isMessage(value);
    const same = isNested ? nearly(resolvedType, value, depth - 1) : fc.constant(value);
    return [name, fc.oneof({ weight: 9, arbitrary: same }, { weight: 1, arbitrary })] as const;
  });
  return fc
    .record(Object.fromEntries(fields))
    .map((message) => Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined)));
}

const numberedSchema = z.object({ revision: z.coerce.number() });
const historySchema = z.object({ revisions: z.array(numberedSchema.extend({ actor: z.string() })) });
const revisionOf = (snapshot: unknown) => numberedSchema.parse(snapshot).revision;
const revisionsOf = (answer: unknown) => historySchema.parse(answer).revisions;

/** Methods that change nothing, whatever they are asked. */
const READING = /\/(Get|List|Watch|Simulate)\w*$/;
/** A stream that nothing comes on ends with its deadline. */
const QUIET_MS = 300;
const FAULTS: readonly status[] = [status.INTERNAL, status.UNKNOWN, status.UNIMPLEMENTED, status.DATA_LOSS];

describe('whatever is sent, nothing crashes, and nothing is half done', () => {
  /** The configuration, and that the tables agree with it. */
  const revisions = async () => {
    const { messages } = await api.call(api.method('GetSnapshot'), {});
    const node = await api.call(api.method('GetNode'), { name: 'nodes/self' });
    return [messages[0]?.revision, node.messages[0]?.active_revision];
  };
  const configuration = async () => (await api.call(api.method('GetSnapshot'), {})).messages[0];
  /** Nobody asks for these changes: a drain ends when its time is up, whatever is called meanwhile. */
  const isByDrains = async (before: unknown) => {
    const { messages } = await api.call(api.method('ListRevisions'), { pageSize: 1000 });
    const since = revisionsOf(messages[0]).filter(({ revision }) => revision > revisionOf(before));
    return since.length > 0 && since.every(({ actor }) => actor === 'drain');
  };
  /** Make a call that may be refused; then the configuration is what it was, all of it. */
  const isRefusedWhole = async (asked: string, call: () => Promise<status>) => {
    const before = await configuration();
    const code = await call();
    if (code === status.OK) return code;
    const after = await configuration();
    if (!isDeepStrictEqual(after, before) && !(await isByDrains(before)))
      expect([status[code], after], asked).toEqual([status[code], before]);
    return code;
  };
  const fuzzed = async (method: ReflectedMethod, message: object | Buffer) => {
    const { code, details } = await api.call(method, message, method.isStream ? QUIET_MS : 5000);
    if (FAULTS.includes(code))
      expect.fail(`${method.path}: ${status[code]}: ${details}: ${JSON.stringify(message)}`);
    return code;
  };

  const takenBy = ({ path }: ReflectedMethod) => CALLS.find(([name]) => path.endsWith(`/${name}`))?.[1] ?? {};
  /** What most messages are about is there, whatever became of it. */
  const setUp = async () => {
    for (const [name, request] of CALLS.slice(0, 4)) await api.call(api.method(name), request);
  };

  it('random messages', async () => {
    const answered = new Map<string, number>();
    const refused = new Set<string>();
    for (const method of api.methods) {
      const isChanging = !READING.test(method.path);
      const messages = fc.sample(messageOf(method.request, 3), method.isStream ? 6 : 25);
      if (isChanging) messages.push(...fc.sample(nearly(method.request, takenBy(method), 3), 25));
      await setUp();
      for (const message of messages) {
        const asked = `${method.path} ${JSON.stringify(message)}`;
        const code = await isRefusedWhole(asked, () => fuzzed(method, message));
        if (isChanging && code === status.OK) await setUp();
        if (code !== status.OK) refused.add(method.path);
        answered.set(status[code] ?? '', (answered.get(status[code] ?? '') ?? 0) + 1);
      }
    }
    // Some get through, and some do not; of those that change something, each was refused.
    expect(answered.get('OK')).toBeGreaterThan(100);
    expect(answered.get('INVALID_ARGUMENT')).toBeGreaterThan(100);
    const changing = api.methods.map(({ path }) => path).filter((path) => !READING.test(path));
    expect(changing.filter((path) => !refused.has(path))).toEqual([]);
    const [revision, active] = await revisions();
    expect(active).toBe(revision);
  }, 120_000);

  it('bytes that are no message', async () => {
    await setUp();
    for (const method of api.methods) {
      for (const bytes of fc.sample(fc.uint8Array({ minLength: 1, maxLength: 40 }), 3)) {
        const code = await isRefusedWhole(`${method.path} ${bytes}`, async () => {
          return (await api.call(method, Buffer.from(bytes), QUIET_MS)).code;
        });
        // The library answers what it cannot read with INTERNAL, before a handler sees it.
        expect([status.UNKNOWN, status.UNAVAILABLE, status.DATA_LOSS]).not.toContain(code);
      }
    }
    expect((await revisions())[0]).toBeDefined();
  }, 60_000);
});
