import type { Log } from '../reconcile/reconciler.js';
import type { AccessRules } from '../security/access.js';
import type { AuditOptions } from '../security/audit.js';
import type { TlsFiles } from '../security/certificates.js';
import { SecurityError } from '../security/faults.js';
import { SecurityFiles } from '../security/files.js';
import type { Peer } from '../security/identity.js';
import type { CallLimits } from '../security/rate-limit.js';
import { formatListen, isLocal, type ListenAddress } from './listen.js';

/** How the API is kept from those who have no business with it. */
export interface ApiSecurity {
  /** undefined: clear text. */
  readonly tls?: TlsFiles | undefined;
  /** YAML file of who may do what; undefined: whoever reaches a local address may do all. */
  readonly accessFile?: string | undefined;
  /** Clear text to other hosts, and whoever comes from there has the role of local callers. */
  readonly isInsecureAllowed?: boolean | undefined;
  readonly limits?: CallLimits | undefined;
  /** undefined: changes are recorded in the log alone. */
  readonly audit?: AuditOptions | undefined;
}

/** What callers come through. */
export function transportOf(listen: ListenAddress, { tls }: ApiSecurity): Peer['transport'] {
  if (listen.kind === 'unix') return 'unix';
  if (tls !== undefined) return 'tls';
  return isLocal(listen) ? 'loopback' : 'plain';
}

/**
 * Refuse an address that other hosts reach while nobody is asked who they are, and one that nobody could use.
 * @throws SecurityError SECURITY_OPEN, SECURITY_NOBODY
 */
export function checkExposure(listen: ListenAddress, security: ApiSecurity, rules: AccessRules): void {
  const address = formatListen(listen);
  const transport = transportOf(listen, security);
  if (transport === 'plain' && !security.isInsecureAllowed) {
    throw new SecurityError(
      { code: 'SECURITY_OPEN', address },
      `other hosts can reach ${address}, and the API would be in clear text and ask nobody who they are: give it TLS and an access file (appliance.tls, appliance.access), listen on 127.0.0.1 or unix:PATH, or allow it (appliance.insecure, --insecure)`,
    );
  }
  const hasCertificates = security.tls?.clientCaFile !== undefined && rules.certificates.length > 0;
  const isOpenToLocal = transport !== 'tls' && rules.local !== undefined;
  if (!hasCertificates && !isOpenToLocal && rules.tokens.length === 0) {
    throw new SecurityError(
      { code: 'SECURITY_NOBODY', address },
      `nobody could use the API on ${address}: the access file (appliance.access) has no tokens, and ${
        transport === 'tls'
          ? 'there are no rules for certificates, or no authority that signs them (appliance.tls.clientCa)'
          : 'no role for local callers'
      }`,
    );
  }
}

/**
 * Check what an operator set up before anything is started: the files are read and thrown away.
 * @throws SecurityError, ConfigError
 */
export async function checkSecurity(listen: ListenAddress, security: ApiSecurity, log: Log): Promise<void> {
  const files = await SecurityFiles.open({ ...security, log });
  files.close();
  checkExposure(listen, security, files.rules);
}
