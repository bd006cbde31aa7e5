import { type AccessRules, ruleFor } from './access.js';
import type { Caller } from './caller.js';
import { AccessError } from './faults.js';
import type { SubjectNames } from './subject-names.js';
import { bearerToken, findToken } from './tokens.js';

/** What is known of the other end of a connection, and what it says of itself. */
export interface Peer {
  /** How it came. `plain`: in clear text from another host, which an operator allowed. */
  readonly transport: 'unix' | 'loopback' | 'plain' | 'tls';
  readonly address: string;
  /** Names of its certificate, where it has one that our authority signed. */
  readonly certificate: SubjectNames | undefined;
  /** End of its certificate, milliseconds since 1970: a connection outlives it. */
  readonly certificateUntilMs: number;
  /** Its `authorization` headers. */
  readonly authorization: readonly string[];
}

/**
 * Who calls. A token comes before a certificate, and one that is wrong is never passed over for something else.
 * @param nowMs milliseconds since 1970
 * @throws AccessError ACCESS_NOBODY, ACCESS_TOKEN
 */
export function identify(peer: Peer, rules: AccessRules, nowMs: number): Caller {
  const { address, authorization, transport } = peer;
  const certificate = nowMs < peer.certificateUntilMs ? peer.certificate : undefined;
  if (authorization.length > 0) {
    const token = authorization.length === 1 ? bearerToken(authorization[0] ?? '') : undefined;
    const entry = token === undefined ? undefined : findToken(rules.tokens, token, nowMs);
    if (entry === undefined)
      throw new AccessError({ code: 'ACCESS_TOKEN' }, 'the bearer token is not known here, or has expired');
    return { name: entry.name, role: entry.role, address, via: 'token' };
  }
  if (certificate !== undefined) {
    const rule = ruleFor(rules.certificates, certificate);
    if (rule !== undefined) return { ...rule, address, via: 'certificate' };
    const name = certificate.uris[0] ?? certificate.dns[0] ?? certificate.cn ?? 'a certificate without names';
    return { name, role: undefined, address, via: 'certificate' };
  }
  if (transport !== 'tls' && rules.local !== undefined) {
    const via = transport === 'plain' ? 'insecure' : transport;
    return { name: via, role: rules.local, address, via };
  }
  const wanted = transport === 'tls' ? 'a client certificate or a bearer token' : 'a bearer token';
  throw new AccessError({ code: 'ACCESS_NOBODY' }, `the server has to know who calls: show ${wanted}`);
}
