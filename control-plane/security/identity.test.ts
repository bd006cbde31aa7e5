import { describe, expect, it } from 'vitest';
import { certificateRule } from './access.js';
import { AccessError } from './faults.js';
import { identify, type Peer } from './identity.js';
import { createToken, hashToken } from './tokens.js';

const token = createToken();
const rules = {
  local: undefined,
  certificates: [certificateRule('cn', 'ops', 'operator')],
  tokens: [{ name: 'ci', role: 'viewer', sha256: hashToken(token), expiresMs: 5000 }],
} as const;
const peer: Peer = {
  transport: 'tls',
  address: '192.0.2.1:1000',
  certificate: { uris: [], dns: [], cn: 'ops' },
  certificateUntilMs: 5000,
  authorization: [],
};

describe('a caller', () => {
  it('is who its certificate says, until that ends', () => {
    expect(identify(peer, rules, 4999)).toMatchObject({ via: 'certificate', name: 'ops', role: 'operator' });
    expect(() => identify(peer, rules, 5000)).toThrow(AccessError);
  });

  it('is who its token says, until that expires, and not who its certificate says then', () => {
    const both = { ...peer, certificateUntilMs: 9000, authorization: [`Bearer ${token}`] };
    expect(identify(both, rules, 4999)).toMatchObject({ via: 'token', name: 'ci', role: 'viewer' });
    expect(() => identify(both, rules, 5000)).toThrow(/token/);
  });
});
