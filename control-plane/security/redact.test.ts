import { describe, expect, it } from 'vitest';
import { createLog } from '../log.js';
import { redact } from './redact.js';
import { createToken } from './tokens.js';

const PEM = '-----BEGIN EC PRIVATE KEY-----\nCANARY\n-----END EC PRIVATE KEY-----\n';

describe('a secret is not logged', () => {
  const token = createToken();
  const circular: Record<string, unknown> = { password: 'CANARY' };
  circular.self = circular;
  for (const [where, fields] of [
    ['in a field of its name', { token: 'CANARY', Authorization: 'CANARY', apiKey: 'CANARY' }],
    ['deep in a field', { request: { headers: [{ 'proxy-authorization': 'CANARY' }] } }],
    ['as a list', { cookie: ['CANARY'] }],
    ['in a text', { reason: `the header was "Authorization: Bearer CANARY-abcdef" and no other` }],
    ['as a token of ours', { reason: `no such token: ${token}` }],
    ['as a private key', { content: `x ${PEM} y` }],
    ['as a private key that is cut off', { content: PEM.slice(0, 50) }],
    ['in an error', { error: new Error(`bad ${PEM}`, { cause: new Error('Basic CANARY123') }) }],
    ['in a map', { headers: new Map([['x', 'Bearer CANARY-abcdef']]) }],
    ['in what contains itself', circular],
  ] as const) {
    it(where, () => {
      const lines: string[] = [];
      createLog('debug', { write: (line) => lines.push(line) })('info', 'x', fields);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain('[redacted]');
      expect(lines[0]).not.toContain('CANARY');
      expect(lines[0]).not.toContain(token);
    });
  }

  it('in a message', () => {
    const lines: string[] = [];
    createLog('debug', { write: (line) => lines.push(line) })('info', `got ${token}`);
    expect(lines.join()).not.toContain(token);
  });
});

it('what is no secret stays as it is', () => {
  const fields = {
    vip: 'vips/web',
    key: '1.2.3.4:80/tcp',
    count: 5n,
    tokens: 3,
    basic: 'basic setup',
    empty: { token: '' },
  };
  expect(redact(fields)).toEqual({ ...fields, count: '5' });
});
