// Everything that a command of this project needs, on a machine that has Node and nothing else:
// npm's dependencies when the lock file changed, Debian packages that are missing, the build when a source
// changed. Says what it does; a second run skips what is done. Runs without node_modules.
//   node tools/setup.mjs [--for demo|test|bench]
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const MIN_NODE = [20, 19];

/** Commands that each purpose runs, and the Debian package that brings each. */
const COMMANDS = {
  ip: 'iproute2',
  nft: 'nftables',
  ethtool: 'ethtool',
  tcpdump: 'tcpdump',
  gcc: 'gcc',
  haproxy: 'haproxy',
  make: 'make',
  openssl: 'openssl',
  zsh: 'zsh',
  fish: 'fish',
  'clang-19': 'clang-19',
  'llvm-strip-19': 'llvm-19',
};
const NEEDED = {
  demo: ['ip', 'nft', 'ethtool'],
  test: ['ip', 'nft', 'ethtool', 'tcpdump', 'openssl', 'zsh', 'fish', 'make', 'clang-19', 'llvm-strip-19'],
  bench: ['ip', 'nft', 'ethtool', 'gcc', 'haproxy'],
};

const say = (text) => console.log(`setup: ${text}`);
const fail = (text) => {
  console.error(`Error: ${text}`);
  process.exit(1);
};

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
    fail(`Node.js ${process.versions.node} is too old: waggle needs ${MIN_NODE.join('.')} or newer`);
  }
}

const digest = (parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
};

/** True when `stamp` holds `want` already. */
const isDone = (stamp, want) => existsSync(stamp) && readFileSync(stamp, 'utf8') === want;

function installDependencies() {
  const stamp = join(root, 'node_modules', '.waggle-lock');
  const want = digest([readFileSync(join(root, 'package-lock.json')), process.versions.modules]);
  if (isDone(stamp, want)) return;
  say('installing npm dependencies (the lock file changed)');
  // Not `npm ci`: a mirror may lack the packages of other platforms, which then have no entry in the lock file.
  const result = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (result.status !== 0) fail('npm install failed: see above; is the npm registry within reach?');
  writeFileSync(stamp, want);
}

const onPath = (command) =>
  [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'].some((dir) =>
    existsSync(join(dir, command)),
  );

function installPackages(purpose) {
  const missing = NEEDED[purpose].filter((command) => !onPath(command)).map((command) => COMMANDS[command]);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    say(
      `missing: ${missing.join(', ')}; not root, so they are not installed, and what needs them is left out`,
    );
    return;
  }
  if (!onPath('apt-get'))
    fail(`missing: ${missing.join(', ')}: install them with this system's package manager`);
  say(`installing Debian packages: ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) =>
    spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], {
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    }).status === 0;
  apt('update');
  if (!apt('install', '-y', '--no-install-recommends', ...missing))
    fail(`apt-get could not install ${missing.join(' ')}: see above`);
}

/** Files that the build reads, sorted. */
function sources() {
  const found = [];
  const walk = (dir) => {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== 'generated') walk(path);
      } else if (!/\.(gen|test)\.ts$/.test(entry.name)) found.push(path);
    }
  };
  for (const dir of ['lb', 'control-plane', 'programs/build', 'proto', 'bench', 'demo', 'tools']) {
    if (existsSync(join(root, dir))) walk(join(root, dir));
  }
  for (const file of ['package-lock.json', 'package.json', 'tsconfig.json', 'tsconfig.build.json'])
    found.push(join(root, file));
  return found.filter((path) => statSync(path).isFile()).sort();
}

function build() {
  const stamp = join(root, 'dist', '.built-from');
  const want = digest(sources().flatMap((path) => [relative(root, path), readFileSync(path)]));
  if (isDone(stamp, want)) return;
  say('building (sources changed)');
  try {
    execFileSync(process.execPath, [join(root, 'tools', 'build.mjs')], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } catch {
    fail('the build failed: see above');
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, want);
}

const option = process.argv.indexOf('--for');
const purpose = option < 0 ? undefined : process.argv[option + 1];
if (purpose !== undefined && !(purpose in NEEDED))
  fail(`--for ${purpose}: one of ${Object.keys(NEEDED).join(', ')}`);
checkNode();
if (purpose) installPackages(purpose);
installDependencies();
build();
