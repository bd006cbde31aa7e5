import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { z } from 'zod';
import { ReconcileBed } from '../../test/support/reconcile-bed.js';
import { silentLog } from '../../test/support/silent-log.js';
import { ConfigFile } from '../config-file.js';
import { applianceSettings } from './appliance.js';
import { ConfigError } from './faults.js';
import { loadConfig } from './load.js';
import { optionsOf, sizesOf } from './options.js';
import { fileSchema } from './schema.js';
import { desiredState } from './state.js';
import { configText } from './write.js';

/** Read a text: either a configuration, whole, or faults, each with a place in the text, and nothing else. */
function check(text: string): boolean {
  try {
    const config = loadConfig(text, 'f');
    optionsOf(config);
    sizesOf(config);
    const state = desiredState(config);
    const again = loadConfig(configText(state, config), 'f');
    expect(desiredState(again)).toEqual(state);
    expect(applianceSettings(again).security).toEqual(applianceSettings(config).security);
    return true;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const lines = text.split(/\r\n|\r|\n/).length;
    expect(error.faults.length).toBeGreaterThan(0);
    for (const { line, column, rule } of error.faults) {
      expect(line).toBeGreaterThanOrEqual(1);
      expect(line).toBeLessThanOrEqual(lines);
      expect(column).toBeGreaterThanOrEqual(1);
      expect(rule).not.toBe('');
    }
    return false;
  }
}

const SERVING = `
vips:
  - { name: web, address: 192.0.2.10, port: 80, protocol: tcp, pool: web }
pools:
  - name: web
    backends:
      - { name: a, address: 10.0.0.1 }
`;
const folder = mkdtempSync(join(tmpdir(), 'waggle-fuzz-'));
const path = join(folder, 'node.yaml');
afterAll(() => rmSync(folder, { recursive: true }));

/** A node that serves, whose file a test writes anew. */
async function nodeWithFile() {
  writeFileSync(path, SERVING);
  const bed = new ReconcileBed();
  const { reconciler, events, store } = bed;
  const settings = applianceSettings(loadConfig(SERVING, path));
  const file = new ConfigFile({ path, settings, reconciler, events, log: silentLog() });
  await file.apply();
  return {
    spread: () => bed.spread(),
    /** Put a text in force, or refuse it whole; whether it is in force. */
    reload: async (text: string): Promise<boolean> => {
      const before = store.state;
      const known = events.last;
      writeFileSync(path, text);
      const isInForce = await file.reload();
      const rejections = events.after(known, { types: ['config.rejected'] }, 10).events;
      expect(rejections).toHaveLength(isInForce ? 0 : 1);
      if (!isInForce) expect(store.state).toBe(before);
      return isInForce;
    },
  };
}

/** Keys of all maps of a schema. */
function keysOf(schema: z.core.$ZodType): string[] {
  if (schema instanceof z.ZodOptional) return keysOf(schema.unwrap());
  if (schema instanceof z.ZodArray) return keysOf(schema.element);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(keysOf);
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.shape).flatMap(([key, field]) => [key, ...keysOf(field)]);
}
const API_KEYS = [
  'macAddress',
  'adminState',
  'backendAddress',
  'healthyThreshold',
  'minWeightPercent',
  'etag',
  'status',
];
const KEYS = [...new Set([...keysOf(fileSchema), ...API_KEYS, 'marks', '__proto__', '<<', '0'])];
const SCALARS = [
  ...['10.0.0.1', 'fc00::1', 'fc00::/64', '10.0.0.0/8', '10.0.0.1:80', '[fc00::1]:80', '02:00:00:00:00:01'],
  ...['tcp', 'UDP', 'web', 'QUIC_VIP', 'maglev-v1', 'gue', '30s', 'capture', 'down', '', 'constructor'],
  ...[
    'draining',
    'pools/web/backends/a',
    'PROTOCOL_TCP',
    'PATH_UNSPECIFIED',
    '2026-11-21T14:30:00Z',
    'QUJD',
    '200-299',
  ],
];
const scalar = fc.oneof(
  fc.constantFrom(...SCALARS),
  fc.integer({ min: -1, max: 70_000 }),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.string(),
);
const { document } = fc.letrec<{ document: unknown }>((tie) => ({
  document: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    scalar,
    fc.array(tie('document'), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...KEYS) }, { weight: 1, arbitrary: fc.string() }),
      tie('document'),
      {
        maxKeys: 6,
      },
    ),
  ),
}));

/** Values that keep the rule of a leaf, as its description of itself for editors says it, or that may. */
function leaf(schema: z.core.$ZodType): fc.Arbitrary<unknown> {
  const fitting = [...SCALARS, 1, 2, 10, 100, 8080, true, false].filter(
    (value) => z.safeParse(schema, value).success,
  );
  return fitting.length === 0 ? scalar : fc.constantFrom(...fitting);
}

/** Data of the schema's own shape, most of it sound; now and then anything. */
function shaped(schema: z.core.$ZodType): fc.Arbitrary<unknown> {
  if (schema instanceof z.ZodOptional) return shaped(schema.unwrap());
  if (schema instanceof z.ZodArray) return fc.array(shaped(schema.element), { maxLength: 3 });
  if (schema instanceof z.ZodUnion) return fc.oneof(...schema.options.map(shaped));
  if (!(schema instanceof z.ZodObject))
    return fc.oneof({ weight: 60, arbitrary: leaf(schema) }, { weight: 1, arbitrary: scalar });
  const { shape } = schema;
  const fields = Object.entries(shape).map(([key, field]) => [key, shaped(field)] as const);
  const required = Object.keys(shape).filter((key) => !(shape[key] instanceof z.ZodOptional));
  const whole = fc.record(Object.fromEntries(fields), { requiredKeys: required });
  const some = fc.record(Object.fromEntries(fields), { requiredKeys: [] });
  return fc.oneof(
    { weight: 30, arbitrary: whole },
    { weight: 1, arbitrary: some },
    { weight: 1, arbitrary: document },
  );
}
const file = shaped(fileSchema);

it('documents of any shape give faults with places, and no other error', () => {
  fc.assert(
    fc.property(fc.oneof(document, file), (data) => {
      check(stringify(data));
    }),
    { numRuns: 300 },
  );
});

/** One part of a file alone has few faults of others. */
const part = fc.oneof(
  ...Object.entries(fileSchema.shape).map(([key, schema]) => shaped(schema).map((data) => ({ [key]: data }))),
);

it('parts of the right shape too, and many of them are sound', () => {
  let sound = 0;
  fc.assert(
    fc.property(part, (data) => {
      if (check(stringify(data))) sound += 1;
    }),
    { numRuns: 600 },
  );
  expect(sound).toBeGreaterThan(100);
});

it('what a node that runs reads of them is in force, or changes nothing at all', async () => {
  const { spread, reload } = await nodeWithFile();
  // A third of the parts are sound, and of whole files hardly any.
  const mostly = fc.oneof(
    { weight: 1, arbitrary: document },
    { weight: 1, arbitrary: file },
    { weight: 2, arbitrary: part },
  );
  let [taken, refused] = [0, 0];
  await fc.assert(
    fc.asyncProperty(mostly, async (data) => {
      const text = stringify(data);
      const isSound = check(text);
      const isInForce = await reload(text);
      // Where the reader finds no fault, the tables may still refuse it.
      if (isInForce) expect(isSound).toBe(true);
      if (isInForce) taken += 1;
      else refused += 1;
    }),
    { numRuns: 600 },
  );
  expect(taken).toBeGreaterThan(50);
  expect(refused).toBeGreaterThan(50);
  // After all of that it is a node as any other.
  expect(await reload(SERVING)).toBe(true);
  expect(Object.keys(spread())).toEqual(['10.0.0.1']);
}, 60_000);

it('text of any kind does', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'vips:',
      '\n',
      '  ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      ': ',
      '&a',
      '*a',
      '<<: *a',
      '? ',
      '---',
      '%YAML 1.1',
      '\t',
      '"',
      "'",
      '|',
      ...SCALARS,
    ),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      check(pieces.join(''));
    }),
    { numRuns: 2000 },
  );
});

it.each([
  ['nesting without end', '['.repeat(20_000)],
  ['an alias in what it names', 'vips: &a [*a]'],
  ['a map in itself', 'node: &a { options: *a }'],
  [
    'aliases of aliases of aliases',
    `a: &a [${'x,'.repeat(9)}]\nb: &b [${'*a,'.repeat(99)}]\nc: &c [${'*b,'.repeat(99)}]\nvips: [${'*c,'.repeat(99)}]`,
  ],
  ['an alias that names nothing', 'vips: *nothing'],
  ['two documents', 'workers: 1\n---\nworkers: 2\n'],
  ['a key that is a map', '? { a: 1 }\n: 2\n'],
  ['a tag that is not known', 'vips: !vip []\n'],
  ['keys of every object', 'constructor: 1\n__proto__: { vips: [] }\nvips: [ { toString: 1 } ]\n'],
])('refuses %s', (_, text) => {
  expect(check(text)).toBe(false);
});
