import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { applianceSettings, loadConfig } from '../../control-plane/config/index.js';
import { RUN_CAPABILITIES } from '../../lb/engine/run-capabilities.js';
import { SecurityBed } from '../support/security-bed.js';

const page = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text = '']) => text);

/** The token whose hash the page has. */
const TOKEN = 'a'.repeat(32);

let folder: string;
const path = (file: string) => join(folder, file);
let bed: SecurityBed | undefined;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'waggle-docs-'));
});
afterAll(async () => {
  await bed?.stop();
  rmSync(folder, { recursive: true });
});

it('its commands make what its files name, and a server of them lets in whom they say', async () => {
  const commands = blocks('sh');
  expect(commands).toHaveLength(3);
  for (const script of commands) execFileSync('sh', ['-ec', script], { cwd: folder, stdio: 'pipe' });
  const [access = '', node = ''] = blocks('yaml');
  writeFileSync(path('access.yaml'), access);
  const config = loadConfig(node, path('node.yaml'));
  const { audit, ...security } = applianceSettings(config).security ?? {};
  expect(audit).toMatchObject({ file: '/var/log/waggle/audit.log' });

  bed = await SecurityBed.start(security);
  const ca = readFileSync(path('ca.pem'));
  const alice = credentials.createSsl(ca, readFileSync(path('alice.key')), readFileSync(path('alice.pem')));
  expect((await bed.client(alice).view()).error).toBeUndefined();
  expect((await bed.client(alice).createPool('web')).error?.code).toBe(status.PERMISSION_DENIED);
  const ci = bed.client(credentials.createSsl(ca), TOKEN);
  expect((await ci.createPool('web')).error).toBeUndefined();
  expect((await bed.client(credentials.createSsl(ca)).view()).error?.code).toBe(status.UNAUTHENTICATED);
});

it('names the capabilities that are kept', () => {
  expect([...page.matchAll(/^\| `(CAP_\w+)` \|/gm)].map(([, name]) => name)).toEqual(RUN_CAPABILITIES);
});
