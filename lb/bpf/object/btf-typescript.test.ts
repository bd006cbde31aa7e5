import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { compileTypes, missingClang } from '../../../test/support/clang.js';
import { caught } from '../../../test/support/objects.js';
import type { BtfError } from './btf.js';
import { formatTypeScript } from './btf-typescript.js';
import { decodeValue } from './values.js';

const TSC = fileURLToPath(new URL('../../../node_modules/.bin/tsc', import.meta.url));

/** What the TypeScript compiler says of a module, '' when it takes it. */
function typeFaults(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'waggle-types-'));
  try {
    writeFileSync(join(folder, 'types.ts'), source);
    execFileSync(TSC, ['--strict', '--noEmit', '--target', 'es2023', '--types', '', 'types.ts'], {
      cwd: folder,
      stdio: 'pipe',
    });
    return '';
  } catch (error) {
    return String((error as { stdout?: unknown }).stdout ?? error);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A decoded value as the source of a literal. */
function literal(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (value instanceof Uint8Array) return `Uint8Array.of(${value.join(', ')})`;
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{ ${Object.entries(value)
    .map(([name, field]) => `${JSON.stringify(name)}: ${literal(field)}`)
    .join(', ')} }`;
}

const SOURCE = `
enum proto { TCP = 6, UDP = 17, ALSO_UDP = 17 };
typedef unsigned int u32; typedef struct { u32 x, y; } point_t; typedef enum { ON, OFF } onoff_t;
struct flow_key { u32 saddr; unsigned short port[2]; enum proto proto; };
struct stats {
  unsigned long long packets; _Bool up; double rate; char name[16]; unsigned char mac[6]; int table[9];
  struct flow_key key; union { u32 v4; u32 v6[4]; }; union { int a; long b; } either; struct { int in; } unnamed[2];
  point_t points[10]; onoff_t state; enum { X = 1 } mode; void *next; u32 bits:3; struct string { int n; } str; struct {} none;
};
struct stats s; u32 plain; struct Flow_Key { int other; } other;
`;

describe.skipIf(missingClang)(
  `formatTypeScript${missingClang === undefined ? '' : ` (skipped: ${missingClang})`}`,
  () => {
    const btf = compileTypes(SOURCE);
    const id = (name: string) => btf.find('struct', name)?.id ?? -1;

    it('writes interfaces with what decodeValue gives', () => {
      expect(formatTypeScript(btf, [id('stats'), id('Flow_Key'), btf.find('typedef', 'u32')?.id ?? -1])).toBe(
        `export type Proto = 'TCP' | 'UDP' | number;

export interface FlowKey {
  readonly saddr: number;
  readonly port: readonly [number, number];
  readonly proto: Proto;
}

export interface PointT {
  readonly x: number;
  readonly y: number;
}

export type OnoffT = 'ON' | 'OFF' | number;

export interface String2 {
  readonly n: number;
}

export interface Stats {
  readonly packets: bigint;
  readonly up: boolean;
  readonly rate: number;
  readonly name: string;
  readonly mac: Uint8Array;
  readonly table: readonly number[];
  readonly key: FlowKey;
  readonly v4?: number;
  readonly v6?: readonly [number, number, number, number];
  readonly either: {
    readonly a?: number;
    readonly b?: bigint;
  };
  readonly unnamed: readonly [{
    readonly in: number;
  }, {
    readonly in: number;
  }];
  readonly points: readonly PointT[];
  readonly state: OnoffT;
  readonly mode: 'X' | number;
  readonly next: bigint;
  readonly bits: number;
  readonly str: String2;
  readonly none: {};
}

export interface FlowKey2 {
  readonly other: number;
}

export type U32 = number;
`,
      );
    });

    it('the compiler takes it, and values that were decoded are of it; a wrong one is not', {
      timeout: 60_000,
    }, () => {
      const size = btf.sizeOf(id('stats'));
      const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 7) % 96);
      const text = formatTypeScript(btf, [id('stats')]);
      const value = literal(decodeValue(btf, id('stats'), bytes));
      expect(typeFaults(`${text}\nexport const value: Stats = ${value};\n`)).toBe('');
      expect(
        typeFaults(
          `${text}\nexport const value: Stats = ${value.replace(/"packets": \d+n/, '"packets": 1')};\n`,
        ),
      ).toContain("'number' is not assignable to type 'bigint'");
    });

    it('a type that has no values is refused', () => {
      expect((caught(() => formatTypeScript(btf, [0])) as BtfError).code).toBe('BTF_KIND');
    });
  },
);
