import { nanosOf, type Ordered } from './filter-values.js';
import { type FieldShape, type MessageShape, propertyOf } from './message-shape.js';

/** A field by its name in the proto, or in JSON. */
export function fieldOf(shape: MessageShape, name: string): FieldShape | undefined {
  const known = shape.fields.get(name);
  if (known !== undefined) return known;
  return [...shape.fields.values()].find(
    ({ property }) => property === name && property === propertyOf(name),
  );
}

/** A member that an object has itself. */
export function memberOf(value: unknown, property: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, property)) return undefined;
  return Reflect.get(value, property);
}

/** Neither absent nor null. */
export const isPresent = (value: unknown): boolean => value !== undefined && value !== null;

/** How a value that is present is read from a message. */
export function readerOf(holds: FieldShape['holds']): (value: unknown) => Ordered {
  switch (holds.kind) {
    case 'whole64':
      return (value) => BigInt(String(value));
    case 'number':
      return Number;
    case 'bool':
      return Boolean;
    case 'timestamp':
    case 'duration':
      return (value) => (typeof value === 'object' && value !== null ? nanosOf(value) : 0n);
    default:
      return String;
  }
}

/** What a field that is not there stands for; undefined: nothing, it is absent. */
export function zeroOf({
  hasPresence,
  holds,
}: Pick<FieldShape, 'hasPresence' | 'holds'>): Ordered | undefined {
  if (hasPresence) return undefined;
  switch (holds.kind) {
    case 'text':
      return '';
    case 'number':
      return 0;
    case 'whole64':
      return 0n;
    case 'bool':
      return false;
    case 'enum':
      return holds.names[0];
    default:
      return undefined;
  }
}
