// Build: AssemblyScript to wasm, embedded as modules; protos to types; TypeScript to dist/.
// `node tools/build.mjs [wasm] [proto] [ts]`, everything without arguments. Needs node_modules.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (name) => join(root, 'node_modules', '.bin', name);
const run = (command, args) =>
  execFileSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });

/** AssemblyScript modules: source, the TypeScript module that holds the bytes, the name of its constant. */
const WASM_MODULES = [
  { entry: 'lb/bpf/maps/wasm/index.ts', out: 'lb/bpf/maps/runtime-wasm.gen.ts', name: 'runtimeWasm' },
  { entry: 'lb/worker/wasm/pump.ts', out: 'lb/worker/pump-wasm.gen.ts', name: 'pumpWasm' },
  { entry: 'lb/worker/wasm/xsk-pump.ts', out: 'lb/worker/xsk-pump-wasm.gen.ts', name: 'xskPumpWasm' },
];

function buildWasm() {
  for (const { entry, out, name } of WASM_MODULES) {
    const wasm = join(root, out.replace(/\.gen\.ts$/, '.wasm'));
    run(bin('asc'), [
      entry,
      '-o',
      wasm,
      '-O3',
      '--runtime',
      'stub',
      '--importMemory',
      '--sharedMemory',
      '--enable',
      'threads,simd',
      '--initialMemory',
      '2',
      '--maximumMemory',
      '65536',
      '--noAssert',
      '--use',
      'abort=',
      '--noExportMemory',
    ]);
    const base64 = readFileSync(wasm).toString('base64');
    rmSync(wasm);
    writeFileSync(
      join(root, out),
      `// Built from ${entry}; do not edit.\nexport const ${name}: Uint8Array<ArrayBuffer> = Uint8Array.from(atob(\n  '${base64}',\n), (c) => c.charCodeAt(0));\n`,
    );
  }
}

function buildProto() {
  const out = 'control-plane/grpc/generated';
  rmSync(join(root, out), { recursive: true, force: true });
  run(bin('proto-loader-gen-types'), [
    // -I takes every word up to the next flag.
    '-I',
    'proto',
    '--longs=String',
    '--enums=String',
    '--defaults',
    '--oneofs',
    '--grpcLib=@grpc/grpc-js',
    '--importFileExtension=.js',
    `--outDir=${out}`,
    ...readdirSync(join(root, 'proto', 'waggle', 'v1')).map((file) => `waggle/v1/${file}`),
  ]);
}

function buildTypeScript() {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run(bin('tsc'), ['-p', 'tsconfig.build.json']);
  // dist mirrors the tree, so that a URL relative to a module is the same in both.
  mkdirSync(join(root, 'dist', 'programs'), { recursive: true });
  cpSync(join(root, 'programs', 'build'), join(root, 'dist', 'programs', 'build'), { recursive: true });
  cpSync(join(root, 'proto'), join(root, 'dist', 'proto'), { recursive: true });
  cpSync(join(root, 'package.json'), join(root, 'dist', 'package.json'));
}

const STEPS = { wasm: buildWasm, proto: buildProto, ts: buildTypeScript };
const wanted = process.argv.slice(2);
const unknown = wanted.filter((step) => !(step in STEPS));
if (unknown.length > 0 || !existsSync(bin('tsc'))) {
  console.error(
    unknown.length > 0 ? `unknown step: ${unknown.join(', ')}` : 'node_modules is missing: run npm run setup',
  );
  process.exit(1);
}
for (const step of wanted.length > 0 ? wanted : Object.keys(STEPS)) {
  console.log(`build: ${step}`);
  STEPS[step]();
}
