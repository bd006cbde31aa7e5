import { CodedError } from '../../lb/index.js';
import type { ResourceKind } from './model.js';

/** A field whose value breaks a rule; the field as the API names it, the text without it. */
export interface Violation {
  readonly field: string;
  readonly description: string;
}

/** Why a change of the desired state is refused. */
export type StateFault =
  | { readonly code: 'STATE_FIELDS'; readonly violations: readonly Violation[] }
  | { readonly code: 'STATE_NOT_FOUND'; readonly kind: ResourceKind; readonly name: string }
  | { readonly code: 'STATE_EXISTS'; readonly kind: ResourceKind; readonly name: string }
  | { readonly code: 'STATE_ETAG'; readonly name: string; readonly given: string; readonly current: string }
  | { readonly code: 'STATE_IN_USE'; readonly name: string; readonly users: readonly string[] }
  | { readonly code: 'STATE_IMMUTABLE'; readonly name: string; readonly field: string }
  | { readonly code: 'STATE_LIMIT'; readonly subject: string; readonly limit: number };

/** A change that cannot be made. Nothing has changed. */
export class StateError extends CodedError<StateFault> {}

export function fieldsError(violations: readonly Violation[]): StateError {
  const message = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return new StateError({ code: 'STATE_FIELDS', violations }, message);
}

export function fieldError(field: string, description: string): StateError {
  return fieldsError([{ field, description }]);
}

export function notFound(kind: ResourceKind, name: string): StateError {
  return new StateError({ code: 'STATE_NOT_FOUND', kind, name }, `${name} does not exist`);
}

/** @param message what is taken, and by `name` */
export function exists(kind: ResourceKind, name: string, message: string): StateError {
  return new StateError({ code: 'STATE_EXISTS', kind, name }, message);
}

export function immutable(name: string, field: string, from: string, to: string): StateError {
  return new StateError(
    { code: 'STATE_IMMUTABLE', name, field },
    `${field}: ${name} has ${from}, which cannot be changed to ${to}: delete it and create it anew`,
  );
}

export function overLimit(subject: string, limit: number): StateError {
  return new StateError(
    { code: 'STATE_LIMIT', subject, limit },
    `no more than ${limit} ${subject} are possible`,
  );
}
