import { z } from 'zod';
import { fileSchema } from './schema.js';
import { infoOf } from './shapes.js';

/**
 * JSON Schema (2020-12) of the file, for editors: shapes and keys of the file's own form; the rules on values are in the
 * reader alone.
 */
export function jsonSchema(): object {
  const schema = z.toJSONSchema(fileSchema, {
    io: 'input',
    reused: 'inline',
    override: ({ zodSchema, jsonSchema: shown }) => {
      const { apiOnly = [], required } = infoOf(zodSchema) ?? {};
      for (const key of apiOnly) delete shown.properties?.[key];
      if (required !== undefined) shown.required = [...required];
    },
  });
  return { ...schema, title: 'Waggle node configuration' };
}
