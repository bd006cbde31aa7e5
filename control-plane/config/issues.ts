import type { z } from 'zod';
import type { ConfigPath } from './faults.js';
import type { FaultNotes } from './source.js';

/** Note what a schema of the library says of a value. @param path of the value in the file */
export function noteIssues(
  source: FaultNotes,
  issues: readonly z.core.$ZodIssue[],
  data: unknown,
  path: ConfigPath,
  before: ConfigPath = [],
): void {
  for (const issue of issues) noteIssue(source, issue, data, path, before);
}

function noteIssue(
  source: FaultNotes,
  issue: z.core.$ZodIssue,
  data: unknown,
  path: ConfigPath,
  before: ConfigPath,
): void {
  const inner = [...before, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
  const at = [...path, ...inner];
  const value = valueAt(data, inner);
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys)
      source.fail('CONFIG_UNKNOWN_KEY', [...at, key], valueAt(value, [key]), 'is not a key here');
    return;
  }
  if (value === undefined) {
    source.fail('CONFIG_MISSING', at, undefined, issue.code === 'custom' ? issue.message : 'is required');
    return;
  }
  const meant =
    issue.code === 'invalid_union' ? issue.errors.find((issues) => !isOtherType(issues)) : undefined;
  if (meant === undefined) source.fail('CONFIG_VALUE', at, value, ruleOf(issue));
  else noteIssues(source, meant, data, path, inner);
}

/** Whether the message is that of the library, which names neither the field nor the value as we do. */
const isUntold = ({ message }: z.core.$ZodIssue): boolean => /^(?:Invalid|Too|Unrecognized)\b/.test(message);

/** What an issue says, in our words. */
function ruleOf(issue: z.core.$ZodIssue): string {
  if (!isUntold(issue)) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return `is not of the type ${issue.expected}`;
    case 'invalid_value':
      return `is not one of ${issue.values.join(', ')}`;
    case 'too_small':
      return `is less than ${issue.minimum}`;
    case 'too_big':
      return `is more than ${issue.maximum}`;
    default:
      return issue.message.replace(/^Invalid input:? ?/, 'cannot be used: ');
  }
}

/** Whether an alternative of a union is for another type of value than the one that is there. */
const isOtherType = (issues: readonly z.core.$ZodIssue[]): boolean =>
  issues.some(({ code, path }) => path.length === 0 && (code === 'invalid_type' || code === 'invalid_union'));

function valueAt(data: unknown, path: ConfigPath): unknown {
  let value = data;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[part];
  }
  return value;
}
