import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';
import { CONTEXTS } from '../../lb/bpf/context/fields.js';
import { HELPERS, type HelperPrototype } from '../../lb/bpf/helpers/prototypes.js';
import * as door from '../../lb/bpf/index.js';
import { MAP_TYPES, type MapTypeName } from '../../lb/bpf/maps/map.js';
import { MapError, mapBytes } from '../../lb/bpf/maps/registry.js';
import { BPF_PRELUDE } from '../support/bpf-helpers.js';
import { compileC, missingClang } from '../support/clang.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = join(ROOT, 'docs/bpf.md');
const page = readFileSync(PAGE, 'utf8');

function block(language: string): string {
  const found = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(page)?.[1];
  if (found === undefined) throw new Error(`docs/bpf.md has no ${language} block`);
  return found;
}

const skip = missingClang === undefined ? '' : ` (skipped: ${missingClang})`;
it.skipIf(missingClang)(`the sample of docs/bpf.md prints what the page says${skip}`, async () => {
  const headers = `${BPF_PRELUDE}
#define BPF_MAP_TYPE_HASH 1
#define BPF_ANY 0
enum { XDP_ABORTED, XDP_DROP, XDP_PASS };
struct ethhdr { __u8 dest[6], source[6]; __be16 proto; } __attribute__((packed));
struct iphdr { __u8 version, tos; __be16 total, id, fragment; __u8 ttl, protocol; __u16 check; __be32 saddr, daddr; };
`;
  const folder = mkdtempSync(join(tmpdir(), 'waggle-docs-'));
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  try {
    const object = join(folder, 'counter.bpf.o');
    writeFileSync(object, compileC(`${headers}${block('c').replace(/^#include.*$/gm, '')}`));
    const sample = join(folder, 'sample.ts');
    const text = block('ts')
      .replace("'waggle/bpf'", JSON.stringify(join(ROOT, 'lb/bpf/index.ts')))
      .replace("'counter.bpf.o'", JSON.stringify(object));
    writeFileSync(sample, text);
    await import(sample);
    expect(log.mock.calls).toEqual([['XDP_PASS'], ['XDP_DROP'], [{ packets: 6n, bytes: 360n }, 2n]]);
    expect(text.trim().split('\n').length).toBeLessThanOrEqual(32);
  } finally {
    log.mockRestore();
    rmSync(folder, { recursive: true });
  }
});

it('the sample of docs/bpf.md compiles', () => {
  const folder = mkdtempSync(join(tmpdir(), 'waggle-docs-'));
  try {
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'sample.ts'), block('ts'));
    const config = {
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: { paths: { 'waggle/bpf': [join(ROOT, 'lb/bpf/index.ts')] } },
      include: [],
      files: ['sample.ts'],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const { stdout } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', folder], {
      cwd: folder,
      encoding: 'utf8',
    });
    // Faults of the library itself are those of the types job.
    expect(stdout.split('\n').filter((line) => line.startsWith('sample.ts'))).toEqual([]);
    writeFileSync(join(folder, 'sample.ts'), `${block('ts')}\nflows.set({ source: 1 }, {});\n`);
    const wrong = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', folder], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(wrong.stdout).toMatch(/sample\.ts.*'source'/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('every class that docs/bpf.md names for errors is at the door', () => {
  const table = page.slice(page.indexOf('## Errors'));
  const names = [...table.matchAll(/`(\w+Error)`/g)].map((match) => match[1] ?? '');
  expect(names.length).toBeGreaterThan(8);
  expect(names.filter((name) => !(name in door))).toEqual([]);
});

const code = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ');

function programs(): string {
  const rows = Object.entries(CONTEXTS).map(([type, { type: context, fields }]) => {
    const written = fields.filter(({ writes }) => writes.length > 0).map(({ name }) => name);
    const read = fields.map(({ name }) => name);
    return `| \`${type}\` | \`${context}\` | ${code(read)} | ${code(written) || '–'} |`;
  });
  return ['| type | context | fields | that can be written |', '|---|---|---|---|', ...rows].join('\n');
}

/** Types that the arena has: the others are refused by their type, whatever else the definition says. */
function maps(): string {
  const isOffered = (type: MapTypeName): boolean => {
    try {
      mapBytes({ name: 'm', type, keySize: 4, valueSize: 4, maxEntries: 1, flags: 0 }, 2);
      return true;
    } catch (error) {
      if (!(error instanceof MapError)) throw error;
      return error.fault.code !== 'MAP_SPEC' || error.fault.field !== 'type';
    }
  };
  const names = Object.keys(MAP_TYPES) as MapTypeName[];
  const others = names.filter((name) => !isOffered(name));
  return [
    `${code(names.filter(isOffered))}.`,
    '',
    `Known by name, and refused when they are to be created: ${code(others) || 'none'}.`,
  ].join('\n');
}

const rows: readonly HelperPrototype[] = HELPERS;
const short = ({ name }: HelperPrototype) => name.replace(/^bpf_/, '');

function helpers(): string {
  const offered = rows.filter(({ notOffered }) => notOffered === undefined);
  const of = (users: string) =>
    code(
      offered
        .filter((row) => row.users.join() === users)
        .map(short)
        .sort(),
    );
  return [
    '| called by | `bpf_…` |',
    '|---|---|',
    `| XDP and TC | ${of('xdp,sched_cls') || '–'} |`,
    `| XDP | ${of('xdp') || '–'} |`,
    `| TC | ${of('sched_cls') || '–'} |`,
  ].join('\n');
}

function notOffered(): string {
  const reasons = new Map<string, string[]>();
  for (const row of rows) {
    if (row.notOffered === undefined) continue;
    reasons.set(row.notOffered, [...(reasons.get(row.notOffered) ?? []), short(row)]);
  }
  if (reasons.size === 0) return 'None.';
  const lines = [...reasons].map(([reason, names]) => `| ${reason} | ${code(names.sort())} |`);
  return ['| because | `bpf_…` |', '|---|---|', ...lines].join('\n');
}

/** Parts of the page between markers, and what stands there. */
const PARTS = { programs, maps, helpers, 'not-offered': notOffered };

it('the lists of docs/bpf.md are those of the tables (UPDATE=1 writes them)', () => {
  let wanted = page;
  for (const [name, write] of Object.entries(PARTS)) {
    const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
    expect(wanted).toContain(begin);
    const [before, rest] = [wanted.slice(0, wanted.indexOf(begin)), wanted.slice(wanted.indexOf(end))];
    wanted = `${before}${begin}\n${write()}\n${rest}`;
  }
  if (process.env.UPDATE === '1') writeFileSync(PAGE, wanted);
  else expect(page).toBe(wanted);
});
