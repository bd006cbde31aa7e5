import { afterAll, beforeAll, expect, it } from 'vitest';
import { Authority } from '../../test/support/security-bed.js';
import { SecurityFiles } from './files.js';

let authority: Authority;
beforeAll(() => {
  authority = new Authority();
});
afterAll(() => authority.remove());

it.each([
  ['has expired', -1, [['error', "the server's certificate has expired"]]],
  ['expires in a week', 7, [['warn', "the server's certificate expires soon"]]],
  ['expires in a month', 30, []],
] as const)('a certificate that %s is used, and said to', async (_, days, said) => {
  const { cert: certFile, key: keyFile } = authority.issue(`days${days}`, { days });
  const lines: (readonly [level: string, message: string, fields: unknown])[] = [];
  const files = await SecurityFiles.open({
    tls: { certFile, keyFile },
    log: (level, message, fields) => void lines.push([level, message, fields]),
  });
  try {
    const expires = new Date(files.tls?.expiresMs ?? Number.NaN).toISOString();
    expect(lines).toEqual(said.map(([level, message]) => [level, message, { expires }]));
    // What stays as it is was said already.
    expect(await files.reload()).toBe(true);
    expect(lines).toHaveLength(said.length);
  } finally {
    files.close();
  }
});

it('a certificate that expires is said to when it comes in the place of another', async () => {
  const { cert: certFile, key: keyFile } = authority.issue('live');
  const lines: (readonly [level: string, message: string])[] = [];
  const files = await SecurityFiles.open({
    tls: { certFile, keyFile },
    log: (level, message) => void lines.push([level, message]),
  });
  try {
    authority.issue('live', { days: -1 });
    expect(await files.reload()).toBe(true);
    expect(lines).toEqual([
      ['info', 'certificates and access rules are read again'],
      ['error', "the server's certificate has expired"],
    ]);
  } finally {
    files.close();
  }
});
