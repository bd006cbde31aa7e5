/** The same control plane, the same object, the same traffic, with worker threads over AF_XDP sockets. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WAGGLE } from '../../demo/appliance.js';
import { until } from '../../demo/lines.js';
import { missingRoot, noting } from '../support/capabilities.js';
import {
  type Asked,
  Bed,
  type Datagrams,
  HeldConnections,
  LINE_PORT,
  PORT,
  type Transferred,
  VIP4,
  VIP6,
} from './bed.js';

const TEN_MEGABYTES = 10 * 1024 * 1024;
const CONNECTIONS = 60;
const HELD = 20;
const OBJECT = new URL('../../programs/build/balancer.bpf.o', import.meta.url).pathname;
const FAMILIES = [
  [VIP4, 4],
  [VIP6, 6],
] as const;

describe.skipIf(missingRoot)(`waggle up --engine af_xdp${noting(missingRoot)}`, () => {
  let bed: Bed;
  const ask = (vip: string, connections = CONNECTIONS) =>
    bed.client<Asked>('ask', vip, String(PORT), String(connections));
  const link = () => bed.topology.run('lb', ['ip', 'link', 'show', bed.topology.host('lb').interface]);

  beforeAll(async () => {
    bed = await Bed.start({ backends: 3, workers: 1, engine: 'af_xdp' });
    for (const [vip, family] of FAMILIES) {
      const pool = `pool${family}`;
      await bed.serve({ id: pool, vip, protocol: 'tcp', backends: ['a', 'b'], family });
      for (const [protocol, port] of [
        ['udp', PORT],
        ['tcp', LINE_PORT],
      ] as const) {
        const place = ['--address', vip, '--port', String(port), '--protocol', protocol];
        await bed.lb.must('create', 'vip', `${protocol}${family}`, ...place, '--pool', pool);
      }
    }
  }, 120_000);
  afterAll(() => bed?.stop());

  it('steers in the driver, and says how its frames come', async () => {
    expect(link()).toMatch(/ xdp .*prog\/xdp id \d+ name steer_ingress/s);
    expect(await bed.lb.must('status')).toMatch(/\(af_xdp_copy, 1 worker\): ready/);
    expect(await bed.lb.must('bpf', 'prog', 'list')).toMatch(/^balancer_ingress +xdp +jit/m);
  });

  it.each(FAMILIES)('%s: every backend serves, flows stay, everything arrives whole', (vip) => {
    const asked = ask(vip);
    expect([asked.errors, Object.keys(asked.names).sort()]).toEqual([[], ['a', 'b']]);
    const datagrams = bed.client<Datagrams>('datagrams', vip, String(PORT), String(CONNECTIONS), '5');
    expect([datagrams.errors, datagrams.moved]).toEqual([[], 0]);
    for (const way of ['upload', 'download']) {
      const moved = bed.client<Transferred>(way, vip, String(PORT), String(TEN_MEGABYTES));
      expect(moved).toMatchObject({ bytes: TEN_MEGABYTES, sha256: moved.expected });
    }
  });

  it('the host keeps all else: its own addresses answer', () => {
    const connect = (address: string) => {
      const script = `require('node:net').connect(9, '${address}').on('error', ({ code }) => console.log(code))`;
      return bed.topology.run('client', [process.execPath, '--eval', script]).trim();
    };
    const { address4, address6 } = bed.topology.host('lb');
    expect([address4, address6].map(connect)).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
  });

  it('backends that join and leave, another build and a killed worker move and reset no connection', async () => {
    const held = FAMILIES.map(([vip]) => new HeldConnections(bed, vip, HELD));
    const answered = () => Promise.all(held.map((one) => one.answered(HELD * 5)));
    await answered();
    for (const [, family] of FAMILIES) await bed.addBackend(`pool${family}`, 'c', family);
    await answered();
    for (const [vip] of FAMILIES) expect(Object.keys(ask(vip).names).sort()).toEqual(['a', 'b', 'c']);
    await bed.lb.must('bpf', 'prog', 'swap', OBJECT);
    await answered();
    await bed.lb.must('restart', 'worker', '0');
    await answered();
    for (const [, family] of FAMILIES) await bed.lb.must('drain', 'backend', `pool${family}/a`);
    await answered();
    for (const [vip] of FAMILIES) {
      const asked = ask(vip);
      expect([asked.errors, Object.keys(asked.names).sort()]).toEqual([[], ['b', 'c']]);
    }
    for (const one of held) {
      const { asked, answered: got, resets, moved } = await one.stop();
      expect([got, resets, moved]).toEqual([asked, [], 0]);
    }
    await until('the restart in the log', () => /worker restarted/.test(bed.lb.log()));
  }, 120_000);

  it('goes when the load balancer ends', async () => {
    await bed.lb.stop();
    expect(link()).not.toMatch(/xdp/);
  });
});

describe.skipIf(missingRoot)(`waggle up --engine af_xdp elsewhere${noting(missingRoot)}`, () => {
  const namespace = `waggle-af-xdp-${process.pid}`;
  /** A device whose driver has no XDP of its own. */
  const device = 'behind0';
  const ip = (...args: string[]) => execFileSync('ip', ['-n', namespace, ...args]);
  const commandOf = (...before: string[]) => {
    const flags = [
      '--engine',
      'af_xdp',
      '--workers',
      '1',
      '--connections',
      '2048',
      '--listen',
      '127.0.0.1:0',
    ];
    const command = [process.execPath, WAGGLE, 'up', '--interface', device, ...flags];
    return ['netns', 'exec', namespace, ...before, ...command];
  };
  beforeAll(() => {
    execFileSync('ip', ['netns', 'add', namespace]);
    ip('link', 'add', device, 'type', 'ifb');
    ip('link', 'set', device, 'up');
    ip('link', 'set', 'lo', 'up');
  });
  afterAll(() => {
    execFileSync('ip', ['netns', 'delete', namespace]);
  });

  it('a driver without XDP: frames are steered behind it, which is said, and nothing stays behind', async () => {
    const child = spawn('ip', commandOf(), { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    await until('the load balancer to be ready', () => /"msg":"ready"/.test(stderr), 30_000);
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('close', resolve));
    expect(stderr).toMatch(/EOPNOTSUPP.*"msg":"the driver runs no XDP programs/);
    expect(stderr).toMatch(/"mode":"af_xdp_copy"/);
    expect(execFileSync('ip', ['-n', namespace, 'link', 'show', device], { encoding: 'utf8' })).not.toMatch(
      /xdp/,
    );
  });

  it('no right to: one line says what is missing', () => {
    const nobody = ['setpriv', '--reuid', '65534', '--clear-groups', '--bounding-set', '-all'];
    const { status, stderr } = spawnSync('ip', commandOf(...nobody), { encoding: 'utf8', timeout: 30_000 });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^Error: bpf MAP_CREATE .*EPERM; run as root, or with CAP_BPF[^\n]*\n$/);
  });
});
