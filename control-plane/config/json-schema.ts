import { z } from 'zod';
import { fileSchema } from './schema.js';

/** JSON Schema (2020-12) of the file, for editors: shapes and keys; the rules on values are in the reader alone. */
export function jsonSchema(): object {
  const schema = z.toJSONSchema(fileSchema, { io: 'input', reused: 'inline' });
  return { ...schema, title: 'Waggle node configuration' };
}
