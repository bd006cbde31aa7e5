import { execFileSync, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WAGGLE } from '../../demo/appliance.js';
import { missingRoot, noting } from '../support/capabilities.js';
import { Bed, PORT, VIP4, VIP6 } from './bed.js';

/** A fault is told in one clear line. */
function expectOneLine(stderr: string, says: RegExp): void {
  const lines = stderr.trim().split('\n');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^Error: /);
  expect(lines[0]).toMatch(says);
}

const up = (...flags: string[]) =>
  spawnSync(process.execPath, [WAGGLE, 'up', ...flags], { encoding: 'utf8', timeout: 20_000 });

describe.skipIf(missingRoot)(`waggle up refuses${noting(missingRoot)}`, () => {
  const namespace = `waggle-faults-${process.pid}`;
  const inside = (command: readonly string[]) =>
    spawnSync('ip', ['netns', 'exec', namespace, ...command], { encoding: 'utf8', timeout: 20_000 });
  beforeAll(() => {
    execFileSync('ip', ['netns', 'add', namespace]);
    execFileSync('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    execFileSync('ip', ['-n', namespace, 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1']);
    execFileSync('ip', ['-n', namespace, 'link', 'add', 'down0', 'type', 'veth', 'peer', 'name', 'down1']);
    for (const device of ['up0', 'up1']) execFileSync('ip', ['-n', namespace, 'link', 'set', device, 'up']);
  });
  afterAll(() => {
    execFileSync('ip', ['netns', 'delete', namespace]);
  });

  it('a wrong flag', () => {
    const result = up('--no-such-flag');
    expect(result.status).toBe(2);
    expectOneLine(result.stderr, /--no-such-flag/);
  });

  it('a number of workers out of range', () => {
    const result = up('--interface', 'eth0', '--workers', '0');
    expect(result.status).toBe(2);
    expectOneLine(result.stderr, /workers.*0/);
  });

  it('an interface that does not exist', () => {
    const result = inside([
      process.execPath,
      WAGGLE,
      'up',
      '--interface',
      'nowhere0',
      '--listen',
      '127.0.0.1:0',
    ]);
    expect(result.status).toBe(1);
    expectOneLine(result.stderr, /nowhere0/);
  });

  it('an interface without Ethernet frames', () => {
    const result = inside([process.execPath, WAGGLE, 'up', '--interface', 'lo', '--listen', '127.0.0.1:0']);
    expect(result.status).toBe(1);
    expectOneLine(result.stderr, /lo carries no Ethernet/);
  });

  it('an interface that is down', () => {
    const result = inside([
      process.execPath,
      WAGGLE,
      'up',
      '--interface',
      'down0',
      '--listen',
      '127.0.0.1:0',
    ]);
    expect(result.status).toBe(1);
    expectOneLine(result.stderr, /down0.*down/);
  });

  it('a missing capability', () => {
    const result = inside([
      'setpriv',
      '--bounding-set',
      '-net_raw',
      '--inh-caps',
      '-net_raw',
      process.execPath,
      WAGGLE,
      'up',
      '--interface',
      'up0',
      '--listen',
      '127.0.0.1:0',
    ]);
    expect(result.status).toBe(1);
    expectOneLine(result.stderr, /CAP_NET_RAW/);
  });

  it('a port in use', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => holder.once('listening', resolve));
    const address = holder.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    // The interface exists only inside the namespace, so the port has to be taken there as well.
    holder.close();
    const taken = spawnSync(
      'ip',
      [
        'netns',
        'exec',
        namespace,
        process.execPath,
        '-e',
        `const holder = require('node:net').createServer().listen(${address.port}, '127.0.0.1', () => {
           const { spawnSync } = require('node:child_process');
           const result = spawnSync(process.execPath, [${JSON.stringify(WAGGLE)}, 'up', '--interface', 'up0', '--listen', '127.0.0.1:${address.port}'], { encoding: 'utf8', timeout: 15000 });
           console.log(JSON.stringify({ status: result.status, stderr: result.stderr }));
           process.exit(0);
         });`,
      ],
      { encoding: 'utf8', timeout: 20_000 },
    );
    const result = JSON.parse(taken.stdout) as { status: number; stderr: string };
    expect(result.status).toBe(1);
    expectOneLine(result.stderr, new RegExp(`${address.port}`));
    // Nothing is left behind: neither the drop in the host's stack nor a changed offload.
    expect(inside(['nft', 'list', 'tables']).stdout).not.toMatch(/waggle/);
  });
});

describe.skipIf(missingRoot)(`a running appliance refuses${noting(missingRoot)}`, () => {
  let bed: Bed;
  beforeAll(async () => {
    bed = await Bed.start({ backends: 1, workers: 1 });
    await bed.serve({ id: 'web', vip: VIP4, protocol: 'tcp', backends: ['a'], family: 4 });
    await bed.lb.must('create', 'pool', 'six');
    await bed.lb.must(
      'create',
      'vip',
      'six',
      '--address',
      VIP6,
      '--port',
      String(PORT),
      '--protocol',
      'tcp',
      '--pool',
      'six',
    );
  });
  afterAll(() => bed?.stop());

  const FAULTS = [
    { name: 'an unknown VIP', command: ['get', 'vip', 'nope'], status: 1, says: /nope/ },
    { name: 'a weight of -1', command: ['weight', 'web/a', '-1'], status: 2, says: /weight.*-1/ },
    { name: 'a weight of 65536', command: ['weight', 'web/a', '65536'], status: 2, says: /weight.*65536/ },
    {
      name: 'a backend of the wrong family',
      command: ['create', 'backend', 'six/x', '--address', '10.77.0.99'],
      status: 1,
      says: /10\.77\.0\.99/,
    },
    {
      name: 'an address that is none',
      command: ['create', 'backend', 'web/x', '--address', '10.77.0'],
      status: 1,
      says: /10\.77\.0/,
    },
    {
      name: 'an unknown pool',
      command: [
        'create',
        'vip',
        'v',
        '--address',
        '192.0.2.81',
        '--port',
        '80',
        '--protocol',
        'tcp',
        '--pool',
        'nope',
      ],
      status: 1,
      says: /nope/,
    },
    {
      name: 'a VIP that is taken',
      command: [
        'create',
        'vip',
        'again',
        '--address',
        VIP4,
        '--port',
        String(PORT),
        '--protocol',
        'tcp',
        '--pool',
        'web',
      ],
      status: 1,
      says: /web/,
    },
    {
      name: "a VIP that is the host's own address",
      command: [
        'create',
        'vip',
        'own',
        '--address',
        '10.77.0.2',
        '--port',
        '80',
        '--protocol',
        'tcp',
        '--pool',
        'web',
      ],
      status: 1,
      says: /10\.77\.0\.2/,
    },
    { name: 'a worker that does not exist', command: ['restart', 'worker', '7'], status: 1, says: /7/ },
  ] as const;

  for (const fault of FAULTS) {
    it(`${fault.name}, and nothing changes`, async () => {
      const state = async () => {
        const parts = await Promise.all(
          ['vips', 'pools', 'backends'].map((kind) => bed.lb.must('get', kind, '-o', 'json')),
        );
        return parts.join('\n');
      };
      const before = await state();
      const result = await bed.lb.command(...fault.command);
      expect(result.status).toBe(fault.status);
      expectOneLine(result.stderr, fault.says);
      expect(await state()).toBe(before);
    });
  }
});
