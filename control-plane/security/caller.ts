/** What a caller may do; each role may do what those before it may. */
export const ROLES = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** True where a role includes another; no role includes none. */
export function includesRole(role: Role | undefined, required: Role): boolean {
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(required);
}

/** How a caller is known: by the socket that only this host reaches, or by what it showed. */
export type Via = 'unix' | 'loopback' | 'insecure' | 'certificate' | 'token';

/** Who makes a call. */
export interface Caller {
  /** A name of its certificate, the name of its token, or how it came: `unix`, `loopback`, `insecure`. */
  readonly name: string;
  /** undefined: known, and allowed nothing. */
  readonly role: Role | undefined;
  /** ADDRESS:PORT of its end of the connection; `unix` for a Unix socket. */
  readonly address: string;
  readonly via: Via;
}

/** What became of a resource by a call; `before` and `after` have the fields that differ. */
export interface ResourceChange {
  readonly name: string;
  readonly how: 'created' | 'updated' | 'deleted';
  readonly before?: Readonly<Record<string, unknown>> | undefined;
  readonly after?: Readonly<Record<string, unknown>> | undefined;
}
