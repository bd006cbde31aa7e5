import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { jsonSchema } from './json-schema.js';
import { loadConfig } from './load.js';

const SCHEMA = new URL('../../docs/waggle.schema.json', import.meta.url);
const PAGE = new URL('../../docs/configuration.md', import.meta.url);

it('docs/waggle.schema.json is what the reader has (UPDATE=1 writes it)', () => {
  const text = `${JSON.stringify(jsonSchema(), null, 2)}\n`;
  if (process.env.UPDATE === '1') writeFileSync(SCHEMA, text);
  expect(readFileSync(SCHEMA, 'utf8')).toBe(text);
});

/** Names of all keys that a schema has, at any depth. */
function keysOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const properties = 'properties' in schema ? Object.keys(schema.properties as object) : [];
  return [...properties, ...Object.values(schema).flatMap(keysOf)];
}

it('docs/configuration.md names every key', () => {
  const page = readFileSync(PAGE, 'utf8');
  // The companions have a page of their own.
  const { properties } = jsonSchema() as { readonly properties: Readonly<Record<string, unknown>> };
  const { healthcheck: _, decap: __, ...own } = properties;
  const missing = [...new Set(keysOf({ properties: own }))].filter((key) => !page.includes(`\`${key}\``));
  expect(missing).toEqual([]);
});

it('docs/configuration.md has samples that can be read', () => {
  const samples = [...readFileSync(PAGE, 'utf8').matchAll(/^```yaml\n(.*?)^```/gms)].map(
    ([, text]) => text ?? '',
  );
  expect(samples.length).toBeGreaterThan(2);
  for (const sample of samples) expect(loadConfig(sample, 'docs/configuration.md').fileName).not.toBe('');
});
