import { expect, it } from 'vitest';
import { filesOf, importsOf } from './support/import-graph.js';

const FOLDERS = ['lb', 'control-plane', 'demo', 'bench'];
const IMPORTS = FOLDERS.flatMap(filesOf)
  .filter((file) => !file.endsWith('.test.ts'))
  .flatMap(importsOf);
const from = (prefix: string) => IMPORTS.filter(({ file }) => file.startsWith(prefix));
const outside = (prefix: string, allowed: readonly string[]) =>
  from(prefix)
    .filter(
      ({ isPackage, target }) =>
        !isPackage && !allowed.some((path) => target === path || target.startsWith(path)),
    )
    .map(({ file, target }) => `${file} → ${target}`);

it('finds the imports at all', () => {
  expect(IMPORTS.length).toBeGreaterThan(100);
  expect(from('lb/bpf/').some(({ target }) => target === 'lb/errors')).toBe(true);
});

/** Part of the tree → what of the project it may import (prefixes); imports point down. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'lb/errors': [],
  'lb/net/': ['lb/net/', 'lb/errors'],
  'lb/bpf/': ['lb/bpf/', 'lb/errors', 'lb/net/checksum'],
  'lb/bpf/isa/': ['lb/bpf/isa/', 'lb/errors'],
  'lb/bpf/object/': [
    'lb/bpf/object/',
    'lb/bpf/isa/',
    'lb/bpf/maps/map',
    'lb/bpf/helpers/prototypes',
    'lb/errors',
  ],
  'lb/bpf/verifier/': [
    'lb/bpf/verifier/',
    'lb/bpf/isa/',
    'lb/bpf/object/',
    'lb/bpf/helpers/prototypes',
    'lb/bpf/context/',
    'lb/bpf/maps/map',
    'lb/errors',
  ],
  'lb/sys/': [
    'lb/sys/',
    'lb/errors',
    'lb/net/',
    'lb/bpf/maps/map',
    'lb/bpf/maps/uapi',
    'lb/bpf/object/spec',
    'lb/bpf/isa/',
    'lb/bpf/engine/context',
  ],
  'lb/io/': ['lb/io/', 'lb/sys/', 'lb/errors', 'lb/bpf/memory/'],
  'lb/worker/': ['lb/worker/', 'lb/io/', 'lb/bpf/', 'lb/sys/', 'lb/errors'],
  'lb/engine/': ['lb/engine/', 'lb/io/', 'lb/worker/', 'lb/bpf/', 'lb/sys/', 'lb/net/', 'lb/errors'],
  'lb/balancer/': ['lb/balancer/', 'lb/bpf/', 'lb/net/', 'lb/sys/', 'lb/errors'],
  'control-plane/': ['control-plane/', 'lb/index', 'lb/bpf/index'],
};

for (const [part, allowed] of Object.entries(ALLOWED)) {
  it(`${part} imports only ${allowed.join(', ') || 'nothing'}`, () => {
    expect(outside(part, allowed)).toEqual([]);
  });
}

/** Package → the only places that may import it. */
const ONLY_IN: Readonly<Record<string, readonly string[]>> = {
  koffi: ['lb/sys/'],
  '@grpc/grpc-js': ['control-plane/grpc/', 'control-plane/cli/'],
  '@grpc/proto-loader': ['control-plane/grpc/', 'control-plane/cli/'],
  '@grpc/reflection': ['control-plane/grpc/'],
  protobufjs: ['control-plane/grpc/', 'control-plane/cli/'],
  'prom-client': ['control-plane/metrics'],
  autocannon: ['demo/', 'bench/'],
  'raw-socket': ['control-plane/health/'],
};

for (const [name, places] of Object.entries(ONLY_IN)) {
  it(`${name} is imported only in ${places.join(', ')}`, () => {
    const wrong = IMPORTS.filter(
      ({ file, isPackage, target }) =>
        isPackage &&
        (target === name || target.startsWith(`${name}/`)) &&
        !places.some((place) => file.startsWith(place)),
    );
    expect(wrong.map(({ file }) => file)).toEqual([]);
  });
}

it('lb/bpf opens no file, socket or process', () => {
  const wrong = from('lb/bpf/').filter(({ isPackage, target }) => isPackage && target.startsWith('node:'));
  expect(wrong.map(({ file, target }) => `${file} → ${target}`)).toEqual([]);
});
