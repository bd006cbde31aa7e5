import { join } from 'node:path';
import protobuf from 'protobufjs';
import { PROTO_FILES, PROTO_FOLDER } from './proto.js';

/** What a field of a message holds, as far as values are compared. */
export type FieldKind =
  | { readonly kind: 'text' | 'number' | 'whole64' | 'bool' | 'bytes' | 'timestamp' | 'duration' }
  /** Names of the enum's values. */
  | { readonly kind: 'enum'; readonly names: readonly string[] }
  | { readonly kind: 'message'; readonly shape: MessageShape }
  /** A map from texts. */
  | { readonly kind: 'map' };

export interface FieldShape {
  /** As the proto has it: `display_name`. */
  readonly name: string;
  /** As objects of the generated types have it: `displayName`. */
  readonly property: string;
  readonly holds: FieldKind;
  readonly isRepeated: boolean;
  /** It can be absent, which is not the same as its zero. */
  readonly hasPresence: boolean;
}

/** A message of the API: its name, and its fields by the name of the proto. */
export interface MessageShape {
  readonly message: string;
  readonly fields: ReadonlyMap<string, FieldShape>;
}

const NUMBERS: ReadonlySet<string> = new Set([
  'double',
  'float',
  'int32',
  'uint32',
  'sint32',
  'fixed32',
  'sfixed32',
]);
const WHOLES_64: ReadonlySet<string> = new Set(['int64', 'uint64', 'sint64', 'fixed64', 'sfixed64']);

const shapes = new Map<string, MessageShape>();
let loaded: protobuf.Root | undefined;

function root(): protobuf.Root {
  if (loaded !== undefined) return loaded;
  const fresh = new protobuf.Root();
  // Types of Google's that the library brings along are not in the folder.
  fresh.resolvePath = (_, target) =>
    target.startsWith('google/protobuf/') ? target : join(PROTO_FOLDER, target);
  loaded = fresh.loadSync(PROTO_FILES, { keepCase: true });
  loaded.resolveAll();
  return loaded;
}

/**
 * The shape of a message of waggle.v1, from the protos.
 * @param message as `Vip`
 * @throws Error for a message that the protos do not have
 */
export function shapeOf(message: string): MessageShape {
  return shapeOfType(root().lookupType(`waggle.v1.${message}`));
}

function shapeOfType(type: protobuf.Type): MessageShape {
  const known = shapes.get(type.fullName);
  if (known !== undefined) return known;
  const fields = new Map<string, FieldShape>();
  const shape = { message: type.name, fields };
  // Before its fields: a message may hold itself.
  shapes.set(type.fullName, shape);
  for (const field of type.fieldsArray) {
    const holds = kindOf(field);
    fields.set(field.name, {
      name: field.name,
      property: propertyOf(field.name),
      holds,
      isRepeated: field.repeated,
      hasPresence: field.partOf !== null || field.resolvedType instanceof protobuf.Type,
    });
  }
  return shape;
}

function kindOf(field: protobuf.Field): FieldKind {
  if (field.map) return { kind: 'map' };
  const { resolvedType, type } = field;
  if (resolvedType instanceof protobuf.Enum) return { kind: 'enum', names: Object.keys(resolvedType.values) };
  if (resolvedType instanceof protobuf.Type) {
    if (resolvedType.fullName === '.google.protobuf.Timestamp') return { kind: 'timestamp' };
    if (resolvedType.fullName === '.google.protobuf.Duration') return { kind: 'duration' };
    return { kind: 'message', shape: shapeOfType(resolvedType) };
  }
  if (type === 'string') return { kind: 'text' };
  if (type === 'bool') return { kind: 'bool' };
  if (type === 'bytes') return { kind: 'bytes' };
  if (WHOLES_64.has(type)) return { kind: 'whole64' };
  if (NUMBERS.has(type)) return { kind: 'number' };
  throw new Error(`field ${field.fullName}: a field of type ${type} cannot be compared`);
}

/** The name in lowerCamelCase, as proto3's JSON mapping has it. */
export function propertyOf(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
