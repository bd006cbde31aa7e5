import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliBed } from '../../../test/support/cli-bed.js';
import { createProgram } from '../program.js';
import { type AskNames, complete } from './complete.js';
import { SHELLS } from './scripts.js';
import { NAME_SOURCES, sourceOf } from './sources.js';

const program = createProgram();

describe('what fits', () => {
  const asked: { source: string; given: object }[] = [];
  const ask: AskNames = async (source, given) => {
    asked.push({ source, given });
    return [`${source}-1`, `${source}-2`].map((value) => ({ value, says: 'a name' }));
  };
  const fits = async (line: string) => {
    const { candidates, look } = await complete(program, line.split(' '), ask);
    return look === 'nothing' ? candidates.map(({ value }) => value) : look;
  };

  const rows: readonly [rule: string, line: string, fits: readonly string[] | string][] = [
    ['commands', 'expl', ['explain']],
    ['commands below', 'context ', ['list', 'show', 'use', 'set', 'delete']],
    ['kinds', 'describe ', ['vip', 'pool', 'backend', 'health-check', 'node']],
    ['names of a kind', 'get vip ', ['vip-1', 'vip-2']],
    ['names of a kind in the plural', 'delete backends ', ['backend-1', 'backend-2']],
    ['names of a short kind', 'get hc ', ['health-check-1', 'health-check-2']],
    ['names again, where there can be several', 'delete vip vip-1 ', ['vip-1', 'vip-2']],
    ['nothing, where there can be no more', 'get vip vip-1 ', []],
    ['names of an argument', 'weight backend-', ['backend-1', 'backend-2']],
    ['values of an option', 'create vip x --protocol ', ['tcp', 'udp']],
    ['values behind an equals sign', '--output=j', ['--output=json']],
    ['values of a short option', '-o w', ['wide']],
    ['names of an option', 'create vip x --pool pool-1', ['pool-1']],
    ['the next item of a list', 'set vip x --flags lru-bypass,quic', ['lru-bypass,quic-vip']],
    [
      'options of the command and of all',
      'export --',
      expect.arrayContaining(['--server', '--output', '--help']),
    ],
    ['an option whose name is begun', 'drain backend x --wa', ['--wait']],
    ['a short option too', 'apply -', expect.arrayContaining(['-f', '--file', '-o'])],
    ['an option does not hide what follows', '--server x:1 -o json get vip ', ['vip-1', 'vip-2']],
    ['nothing is an option behind --', 'explain -- code-', ['code-1', 'code-2']],
    ['files', 'apply -f ', 'files'],
    ['files behind an equals sign', 'apply --file=x', 'files'],
    ['folders', 'up --state ', 'directories'],
    ['interfaces', 'decap --interface ', ['interface-1', 'interface-2']],
    ['options of the program', 'set node --option option-1', ['option-1']],
    ['shells', 'completion ', [...SHELLS]],
    ['nothing of a new name', 'create vip ', []],
    ['nothing of a command that is none', 'gte ', []],
  ];
  for (const [rule, line, expected] of rows)
    it(`${rule}: ${line}`, async () => expect(await fits(line)).toEqual(expected));

  it('names are asked for with the options of the line', async () => {
    asked.length = 0;
    await fits('--server lb:1 --tls --ca=x.pem get vip ');
    expect(asked).toEqual([{ source: 'vip', given: { server: 'lb:1', tls: true, ca: 'x.pem' } }]);
  });

  it('every kind that has names is a source of them', () => {
    for (const kind of ['vip', 'pool', 'backend', 'health-check', 'server-id', 'source-route', 'host'])
      expect(NAME_SOURCES).toContain(sourceOf('name', undefined, [kind]));
  });
});

const MAIN = fileURLToPath(new URL('../../../dist/control-plane/cli/main.js', import.meta.url));
const isBuilt = existsSync(MAIN);
const has = (shell: string) => spawnSync(shell, ['-c', 'true']).status === 0;
/** What a title says of a shell that is not there. */
const lacking = (shell: string) => (has(shell) ? '' : ` (needs ${shell})`);

describe.skipIf(!isBuilt)(`shells (${isBuilt ? 'dist/' : 'dist/ is not built'})`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'waggle-completion-'));
  let bed: CliBed;
  beforeAll(async () => {
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'bin', 'waggle'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    chmodSync(join(folder, 'bin', 'waggle'), 0o755);
    writeFileSync(join(folder, 'node.yaml'), '');
    bed = await CliBed.start();
    await bed.must('create', 'pool', 'web');
    await bed.must('create', 'backend', 'web/a', '--address', '10.0.0.1');
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await bed.stop();
  });
  // Not the synchronous one: the server that answers is in this process.
  const shell = async (name: string, args: readonly string[], script: string) => {
    const env = {
      ...process.env,
      PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}`,
      WAGGLE_SERVER: bed.server,
      HOME: folder,
    };
    const { stdout } = await promisify(execFile)(name, [...args, script], { cwd: folder, env });
    return stdout.trim().split('\n');
  };

  it('bash completes words, names, values and files', async () => {
    const script = `source <(waggle completion bash)
t() { COMP_LINE=$1 COMP_POINT=\${#1}; COMPREPLY=(); _waggle; echo "\${COMPREPLY[*]}"; }
t 'waggle expl'
t 'waggle weight '
t 'waggle --output=y'
t 'waggle --server 127.0.0.1:1 weight '
t 'waggle apply -f no'`;
    expect(await shell('bash', ['--norc', '-c'], script)).toEqual([
      'explain',
      'web/a',
      'yaml',
      '',
      'node.yaml',
    ]);
  });

  it.skipIf(!has('zsh'))(`zsh completes words with what they mean, and files${lacking('zsh')}`, async () => {
    // compadd is what the script hands its words to; outside of a line editor it does nothing.
    const script = `autoload -Uz compinit; compinit -u -d ${folder}/dump
source <(waggle completion zsh)
compadd() { print -r -- "$shown" }
_files() { print -r -- files }
t() { words=("$@"); CURRENT=$#words; PREFIX=$words[-1]; _waggle }
t waggle weig
t waggle weight ''
t waggle apply -f no`;
    expect(await shell('zsh', ['-f', '-c'], script)).toEqual([
      "weight  -- set a backend's weight",
      'web/a  -- 10.0.0.1',
      'files',
    ]);
  });

  it.skipIf(!has('fish'))(
    `fish completes words with what they mean, and files${lacking('fish')}`,
    async () => {
      const script = `waggle completion fish | source
complete -C 'waggle weig'
complete -C 'waggle weight '
complete -C 'waggle apply -f no'`;
      expect(await shell('fish', ['--no-config', '-c'], script)).toEqual([
        "weight\tset a backend's weight",
        'web/a\t10.0.0.1',
        'node.yaml',
      ]);
    },
  );
});
