import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Authority } from '../../test/support/security-bed.js';
import { readTls, type TlsFiles } from './certificates.js';
import { SecurityError } from './faults.js';

let authority: Authority;
let good: Required<TlsFiles>;
beforeAll(() => {
  authority = new Authority();
  const server = authority.issue('server', { names: ['DNS:localhost'] });
  authority.issue('other');
  authority.write('empty.pem', 'nothing in PEM form\n');
  authority.write('garbled.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  authority.write('garbled.key', '-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n');
  good = { certFile: server.cert, keyFile: server.key, clientCaFile: authority.ca };
});
afterAll(() => authority.remove());

describe('files of TLS', () => {
  it('are read as they are, where they work together', async () => {
    expect(await readTls(good)).toMatchObject({
      cert: readFileSync(good.certFile),
      key: readFileSync(good.keyFile),
      clientCa: readFileSync(authority.ca),
      fingerprint: expect.stringMatching(/^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/),
    });
    expect((await readTls({ certFile: good.certFile, keyFile: good.keyFile })).clientCa).toBeUndefined();
  });

  const rows: readonly [rule: string, file: keyof TlsFiles, content: string, reason: string][] = [
    ['without a certificate', 'certFile', 'empty.pem', 'holds no certificate in PEM form'],
    ['with a certificate that is none', 'certFile', 'garbled.pem', 'holds a certificate that cannot be read'],
    [
      'with a key that is none',
      'keyFile',
      'garbled.key',
      'holds no private key in PEM form, or one with a passphrase',
    ],
    ['without an authority', 'clientCaFile', 'empty.pem', 'holds no certificate in PEM form'],
    [
      'with an authority that is none',
      'clientCaFile',
      'other.pem',
      'holds a certificate that is not an authority',
    ],
    [
      'with an authority that cannot be read',
      'clientCaFile',
      'garbled.pem',
      'holds a certificate that cannot be read',
    ],
  ];
  it.each(rows)('%s: %s is refused by its name', async (_, file, content, reason) => {
    const path = authority.path(content);
    const error = await faultOf({ ...good, [file]: path });
    expect(error.fault).toEqual({ code: 'SECURITY_CERTIFICATE', file: path, reason });
    expect(error.message).toBe(`${path} ${reason}`);
    // Nothing of what the file of the key holds.
    expect(JSON.stringify([error.message, error.fault, String(error.cause)])).not.toContain('CANARY');
  });

  it('with the key of another certificate are refused', async () => {
    const keyFile = authority.path('other.key');
    expect((await faultOf({ ...good, keyFile })).fault).toEqual({
      code: 'SECURITY_CERTIFICATE',
      file: keyFile,
      reason: `is not the key of the certificate in ${good.certFile}`,
    });
  });

  it.each(['certFile', 'keyFile', 'clientCaFile'] as const)(
    'that are not there are refused: %s',
    async (file) => {
      const path = authority.path('missing.pem');
      const error = await faultOf({ ...good, [file]: path });
      expect(error.fault).toEqual({ code: 'SECURITY_FILE', file: path, errno: 'ENOENT' });
      expect(error.message).toBe(`cannot read ${path}: ENOENT`);
    },
  );

  it('that are folders are refused', async () => {
    expect((await faultOf({ ...good, certFile: authority.folder })).fault).toEqual({
      code: 'SECURITY_FILE',
      file: authority.folder,
      errno: 'EISDIR',
    });
  });
});

async function faultOf(files: TlsFiles): Promise<SecurityError> {
  try {
    await readTls(files);
  } catch (error) {
    if (error instanceof SecurityError) return error;
    throw error;
  }
  throw new Error('the files were taken');
}
