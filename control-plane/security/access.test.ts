import { describe, expect, it } from 'vitest';
import { ConfigError } from '../config/faults.js';
import { certificateRule, parseAccess, ruleFor } from './access.js';
import { subjectNames } from './subject-names.js';

const HASH = 'ab'.repeat(32);

describe('an access file', () => {
  it('is read, with defaults', () => {
    expect(parseAccess('', 'a.yaml')).toEqual({ local: 'admin', certificates: [], tokens: [] });
    const text = `
local: none
certificates:
  - { uri: "spiffe://x/*", role: admin }
  - { dns: "*.Example.org", role: viewer }
tokens:
  - { name: ci, role: operator, sha256: ${HASH}, expires: 2030-01-31T00:00:00Z }
`;
    expect(parseAccess(text, 'a.yaml')).toEqual({
      local: undefined,
      certificates: [
        certificateRule('uri', 'spiffe://x/*', 'admin'),
        certificateRule('dns', '*.Example.org', 'viewer'),
      ],
      tokens: [{ name: 'ci', role: 'operator', sha256: HASH, expiresMs: Date.UTC(2030, 0, 31) }],
    });
  });

  for (const [what, text, line, path] of [
    ['a role that is none', 'local: root', 1, 'local'],
    ['a key that is none', 'tokens: []\nusers: []', 2, 'users'],
    ['a rule of two names', 'certificates:\n  - { uri: a, cn: b, role: viewer }', 2, 'certificates[0]'],
    ['a rule of no name', 'certificates:\n  - { role: viewer }', 2, 'certificates[0]'],
    ['a rule without a role', 'certificates:\n  - { cn: a }', 2, 'certificates[0].role'],
    ['an empty name', 'certificates:\n  - { cn: "", role: viewer }', 2, 'certificates[0].cn'],
    ['a token in clear text', 'tokens:\n  - { name: a, role: viewer, token: CANARY }', 2, 'tokens[0].token'],
    [
      'a hash that is none',
      'tokens:\n  - name: a\n    role: viewer\n    sha256: CANARY',
      4,
      'tokens[0].sha256',
    ],
    [
      'a time that is none',
      `tokens:\n  - { name: a, role: viewer, sha256: ${HASH}, expires: soon }`,
      2,
      'tokens[0].expires',
    ],
    [
      'a name twice',
      `tokens:\n  - { name: a, role: viewer, sha256: ${HASH} }\n  - { name: a, role: viewer, sha256: ${'cd'.repeat(32)} }`,
      3,
      'tokens[1].name',
    ],
    [
      'a token twice',
      `tokens:\n  - { name: a, role: viewer, sha256: ${HASH} }\n  - { name: b, role: admin, sha256: ${HASH} }`,
      3,
      'tokens[1].sha256',
    ],
    ['no YAML', 'local: [', 1, ''],
  ] as const) {
    it(`with ${what} is refused at its place, and nothing of it is quoted`, () => {
      let error: unknown;
      try {
        parseAccess(text, 'a.yaml');
      } catch (caught) {
        error = caught;
      }
      if (!(error instanceof ConfigError)) throw new Error('it was not refused');
      expect(error.faults.map((fault) => [fault.line, fault.path])).toContainEqual([line, path]);
      expect(error.message).not.toContain('CANARY');
    });
  }
});

describe('a rule', () => {
  const rows: readonly [kind: 'uri' | 'dns' | 'cn', pattern: string, name: string, fits: boolean][] = [
    ['uri', 'spiffe://x/ops/alice', 'spiffe://x/ops/alice', true],
    ['uri', 'spiffe://x/ops/*', 'spiffe://x/ops/alice.b', true],
    ['uri', 'spiffe://x/ops/*', 'spiffe://x/ops/', false],
    ['uri', 'spiffe://x/ops/*', 'spiffe://x/ops/team/alice', false],
    ['uri', 'spiffe://x/**', 'spiffe://x/ops/team/alice', true],
    ['uri', 'spiffe://x/ops', 'spiffe://x/ops/alice', false],
    ['uri', 'spiffe://x/ops', 'SPIFFE://X/ops', false],
    ['dns', '*.example.org', 'a.example.org', true],
    ['dns', '*.Example.org', 'a.example.org', true],
    ['dns', '*.example.org', 'a.b.example.org', false],
    ['dns', '*.example.org', 'aXexample.org', false],
    ['dns', '*.example.org', 'example.org', false],
    ['cn', 'alice', 'alice', true],
    ['cn', 'al.ce', 'alice', false],
  ];
  for (const [kind, pattern, name, fits] of rows) {
    it(`${kind} ${pattern} ${fits ? 'fits' : 'does not fit'} ${name}`, () => {
      const names = {
        uris: [],
        dns: [],
        cn: undefined,
        [{ uri: 'uris', dns: 'dns', cn: 'cn' }[kind]]: kind === 'cn' ? name : [name],
      };
      expect(ruleFor([certificateRule(kind, pattern, 'viewer')], names)).toEqual(
        fits ? { name, role: 'viewer' } : undefined,
      );
    });
  }

  it('of one kind of name does not fit another kind', () => {
    const names = { uris: [], dns: [], cn: 'spiffe://x/ops/alice' };
    expect(ruleFor([certificateRule('uri', '**', 'admin')], names)).toBeUndefined();
  });

  it('that comes first holds', () => {
    const names = { uris: [], dns: ['a.example.org'], cn: 'a' };
    const rules = [certificateRule('cn', 'a', 'viewer'), certificateRule('dns', '**', 'admin')];
    expect(ruleFor(rules, names)?.role).toBe('viewer');
  });
});

describe('names of a certificate', () => {
  for (const [what, subjectaltname, uris, dns] of [
    [
      'several',
      'URI:spiffe://x/a, DNS:A.example.org, IP Address:10.0.0.1',
      ['spiffe://x/a'],
      ['a.example.org'],
    ],
    [
      'a name that looks like two',
      'URI:"http://x/\\u002c DNS:admin.example.org"',
      ['http://x/, DNS:admin.example.org'],
      [],
    ],
    ['a name with a quoted comma', 'DNS:"a, DNS:b"', [], ['a, dns:b']],
    ['a text that is cut off', 'URI:"spiffe://x', [], []],
    ['what is no list of names', 'nonsense', [], []],
    ['none', undefined, [], []],
  ] as const) {
    it(what, () => expect(subjectNames({ subjectaltname })).toEqual({ uris, dns, cn: undefined }));
  }

  it('have a common name only where there is one', () => {
    expect(subjectNames({ subject: { CN: 'a' } }).cn).toBe('a');
    expect(subjectNames({ subject: { CN: ['a', 'b'] } }).cn).toBeUndefined();
  });
});
