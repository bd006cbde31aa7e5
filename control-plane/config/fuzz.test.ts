import fc from 'fast-check';
import { expect, it } from 'vitest';
import { stringify } from 'yaml';
import { ConfigError } from './faults.js';
import { loadConfig } from './load.js';
import { optionsOf, sizesOf } from './options.js';
import { fileSchema, globalFlowSchema, nodeSchema, poolSchema, vipSchema } from './schema.js';
import { desiredState } from './state.js';

/** Read a text: either a configuration or faults, each with a place in the text, and nothing else. */
function check(text: string): boolean {
  try {
    const config = loadConfig(text, 'f');
    optionsOf(config);
    sizesOf(config);
    desiredState(config);
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

const KEYS = [
  ...[fileSchema, nodeSchema, vipSchema, poolSchema, globalFlowSchema].flatMap(({ shape }) =>
    Object.keys(shape),
  ),
  ...[
    'address',
    'weight',
    'mac',
    'local',
    'state',
    'id',
    'prefix',
    'backend',
    'egress',
    'marks',
    '__proto__',
    '<<',
    '0',
  ],
];
const SCALARS = [
  ...['10.0.0.1', 'fc00::1', 'fc00::/64', '10.0.0.0/8', '10.0.0.1:80', '[fc00::1]:80', '02:00:00:00:00:01'],
  ...['tcp', 'UDP', 'web', 'QUIC_VIP', 'maglev-v1', 'gue', '30s', 'capture', 'down', '', 'constructor'],
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
/** Sections of the right kind with anything in them. */
const file = fc.record(
  {
    node: fc.dictionary(fc.constantFrom(...Object.keys(nodeSchema.shape)), document),
    vips: fc.array(
      fc.record(
        {
          address: scalar,
          protocol: fc.constantFrom('tcp', 'udp'),
          port: scalar,
          backends: fc.array(scalar, { maxLength: 3 }),
          flags: document,
        },
        { requiredKeys: ['address', 'protocol'] },
      ),
      { maxLength: 4 },
    ),
    pools: fc.array(fc.dictionary(fc.constantFrom('name', 'backends', 'ringAlgorithm'), document), {
      maxLength: 3,
    }),
    serverIds: document,
    sourceRoutes: document,
    globalFlows: document,
    healthcheck: document,
    decap: document,
    clock: scalar,
    workers: scalar,
  },
  { requiredKeys: [] },
);

it('documents of any shape give faults with places, and no other error', () => {
  fc.assert(
    fc.property(fc.oneof(document, file), (data) => {
      check(stringify(data));
    }),
    { numRuns: 2000 },
  );
});

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
