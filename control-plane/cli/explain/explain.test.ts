import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../../test/support/cli.js';
import { CODES } from './codes.js';
import { find } from './find.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Codes of faults in the sources: `code: 'AREA_REASON'`, in types, in unions of them and where they are thrown. */
function codesOfSources(): Map<string, string> {
  const codes = new Map<string, string>();
  for (const folder of ['lb', 'control-plane']) {
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile() || !/\.ts$/.test(path) || /\.(test|gen)\.ts$|\/generated\//.test(path)) continue;
      const text = readFileSync(path, 'utf8');
      const groups = text.matchAll(/(?:\bcode:|\btype \w*Code =)\s*((?:\|?\s*'[A-Z][A-Z0-9_]+'\s*)+)/g);
      for (const [, group = ''] of groups)
        for (const [, code = ''] of group.matchAll(/'([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)'/g))
          codes.set(code, path);
    }
  }
  return codes;
}

describe('what there is an explanation of', () => {
  const codes = codesOfSources();

  it('every code of the sources', () => {
    expect(codes.size).toBeGreaterThan(200);
    expect([...codes].filter(([code]) => !CODES.has(code))).toEqual([]);
  });

  it('no code that there is not', () => {
    const isStatus = (word: string) => word in status || word === 'ETAG_MISMATCH';
    const unknown = [...CODES.keys()].filter(
      (word) => /^[A-Z_0-9]+$/.test(word) && !isStatus(word) && !codes.has(word),
    );
    expect(unknown).toEqual([]);
  });

  it('every status of gRPC that a refusal can have', () => {
    const names = Object.keys(status).filter((name) => /^[A-Z_]+$/.test(name));
    const never = ['OK', 'UNKNOWN', 'DATA_LOSS'];
    expect(names.filter((name) => !never.includes(name) && !CODES.has(name))).toEqual([]);
  });

  it('each says what it means and what to do, in a sentence', () => {
    for (const [word, all] of CODES)
      for (const { means, do: advice } of all) {
        expect(means.length, word).toBeGreaterThan(10);
        expect(advice.length, word).toBeGreaterThan(5);
        expect(`${means}${advice}`, word).not.toMatch(/\n|\.$/);
      }
  });
});

describe('what a text is about', () => {
  const rows: readonly [text: string, words: string[]][] = [
    ['STATE_ETAG', ['STATE_ETAG']],
    ['state_etag', ['STATE_ETAG']],
    ['state etag', ['STATE_ETAG']],
    ['empty_ring', ['empty_ring']],
    ['empty-ring', ['empty_ring']],
    ['exit 69', ['exit 69']],
    ['Error: vips/x has changed since it was read: read it again [ETAG_MISMATCH]', ['ETAG_MISMATCH']],
    ['Error: cannot listen on 127.0.0.1:9443: the address is in use; stop what uses it', ['LISTEN_IN_USE']],
    ['Error: cannot reach the server at 127.0.0.1:9443 (ECONNREFUSED)', ['exit 69']],
    ['waggle_drops_total{reason="no_real"}', ['no_real']],
  ];
  for (const [text, words] of rows)
    it(text, () => expect(find(CODES, text)).toEqual({ kind: 'found', words }));

  it('of a mistyped word the like are told', () => {
    expect(find(CODES, 'STATE_ETG')).toMatchObject({
      kind: 'similar',
      words: expect.arrayContaining(['STATE_ETAG']),
    });
    expect(find(CODES, 'PINS')).toMatchObject({
      kind: 'similar',
      words: expect.arrayContaining(['PINS_ABSENT']),
    });
    expect(find(CODES, 'xyzzy')).toEqual({ kind: 'similar', words: [] });
  });
});

describe('waggle explain', () => {
  it('a word that is a reason and a counter is told as both', async () => {
    const { stdout } = await runCli(['explain', 'truncated']);
    expect(stdout.match(/^truncated$/gm)).toHaveLength(2);
  });
  it('a message as it was printed', async () => {
    expect((await runCli(['explain', 'Error:', 'x', '[STATE_LIMIT]'])).stdout).toMatch(
      /^STATE_LIMIT\n {2}means: .+\n {2}do: {4}.+\n$/,
    );
  });
  it('as data', async () => {
    expect(JSON.parse((await runCli(['explain', 'no_vip', '-o', 'json'])).stdout)).toMatchObject([
      { code: 'no_vip' },
    ]);
  });
  it('nothing known is status 1, with what is like it', async () => {
    expect(await runCli(['explain', 'JOURNAL_IOO'])).toEqual({
      status: 1,
      stdout: '',
      stderr: 'Error: explain: nothing is known of "JOURNAL_IOO"; did you mean JOURNAL_IO?\n',
    });
  });
});
