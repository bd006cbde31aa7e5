import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import type { TlsMaterial } from '../security/certificates.js';

const contextOf = ({ cert, key, clientCa }: TlsMaterial): SecureContextOptions => ({
  cert,
  key,
  ...(clientCa && { ca: clientCa }),
});

/**
 * TLS whose certificates can be replaced while the server runs: connections that are made from then on have the new
 * ones. Session tickets end with the certificates that they were given under, so that no client comes back on the word
 * of an authority that is trusted no more.
 */
export class ReloadableCredentials extends ServerCredentials {
  /** @param needsCertificate no connection without a client certificate that the authority signed */
  constructor(material: TlsMaterial, needsCertificate: boolean) {
    super(
      {
        minVersion: 'TLSv1.2',
        requestCert: material.clientCa !== undefined,
        rejectUnauthorized: needsCertificate,
      },
      contextOf(material),
    );
  }

  replace(material: TlsMaterial): void {
    this.updateSecureContextOptions(contextOf(material));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}
