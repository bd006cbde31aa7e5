/** What stands in a log in the place of a secret. */
export const REDACTED = '[redacted]';

/** Names of fields that hold secrets, whatever is in them. */
const SECRET_FIELD =
  /^(?:authorization|proxy[-_]?authorization|cookie|set[-_]?cookie|token|password|passwd|passphrase|secret|private[-_]?key|api[-_]?key|credentials?)$/i;
/** Secrets within a text: bearer tokens, tokens that `createToken` made, private keys in PEM form. */
const SECRET_TEXT =
  /\b(?:bearer|basic) +[A-Za-z0-9\-._~+/=]{8,}|\bwgl_[A-Za-z0-9_-]{8,}|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/gi;
/** Deeper than anything that is logged on purpose. */
const MAX_DEPTH = 16;

/** A text without the secrets in it. */
export const redactText = (text: string): string => text.replaceAll(SECRET_TEXT, REDACTED);

/**
 * A value as JSON can hold it, without secrets: fields of secret names and secrets within texts are replaced, 64-bit
 * numbers and bytes become texts.
 */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return errorFields(value, depth);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  if (value instanceof Map || value instanceof Set) return redact([...value], depth + 1);
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      SECRET_FIELD.test(name) && inner !== '' && inner !== undefined ? REDACTED : redact(inner, depth + 1),
    ]),
  );
}

function errorFields(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  return {
    type: name,
    message: redactText(message),
    ...('code' in error && { code: redact(error.code, depth + 1) }),
    ...(stack !== undefined && { stack: redactText(stack) }),
    ...(cause !== undefined && depth < MAX_DEPTH && { cause: redact(cause, depth + 1) }),
  };
}
