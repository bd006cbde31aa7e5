/** The same control plane, the same object, the same traffic, with the program in the kernel. */
import { execFileSync, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WAGGLE } from '../../demo/appliance.js';
import { missingRoot, noting } from '../support/capabilities.js';
import { type Asked, Bed, type Datagrams, PORT, type Transferred, VIP4, VIP6 } from './bed.js';

const TEN_MEGABYTES = 10 * 1024 * 1024;
const CONNECTIONS = 60;
const OBJECT = new URL('../../programs/build/balancer.bpf.o', import.meta.url).pathname;
const DECAP_OBJECT = new URL('../../programs/build/decap.bpf.o', import.meta.url).pathname;

describe.skipIf(missingRoot)(`waggle up --engine xdp${noting(missingRoot)}`, () => {
  let bed: Bed;
  beforeAll(async () => {
    bed = await Bed.start({ backends: 2, workers: 1, engine: 'xdp' });
    for (const [vip, family] of [
      [VIP4, 4],
      [VIP6, 6],
    ] as const) {
      for (const protocol of ['tcp', 'udp'] as const)
        await bed.serve({ id: `${protocol}${family}`, vip, protocol, backends: bed.backends, family });
    }
  });
  afterAll(() => bed?.stop());
  const link = () => bed.topology.run('lb', ['ip', 'link', 'show', bed.topology.host('lb').interface]);

  it('runs in the driver, and says so', async () => {
    expect(link()).toMatch(/ xdp .*prog\/xdp id \d+ name balancer_ingres/s);
    expect(await bed.lb.must('status')).toMatch(/\(xdp_native, \d+ workers\): ready/);
    expect(await bed.lb.must('bpf', 'prog', 'list')).toMatch(/^balancer_ingress +xdp +kernel/m);
    expect(await bed.lb.must('bpf', 'maps')).toMatch(/^vip_map +\d+ +HASH/m);
  });

  it.each([
    ['IPv4', VIP4],
    ['IPv6', VIP6],
  ])('%s: every backend serves, flows stay, everything arrives whole', (_, vip) => {
    const asked = bed.client<Asked>('ask', vip, String(PORT), String(CONNECTIONS));
    expect([asked.errors, Object.keys(asked.names).sort()]).toEqual([[], bed.backends]);
    const datagrams = bed.client<Datagrams>('datagrams', vip, String(PORT), String(CONNECTIONS), '5');
    expect([datagrams.errors, datagrams.moved]).toEqual([[], 0]);
    for (const way of ['upload', 'download']) {
      const moved = bed.client<Transferred>(way, vip, String(PORT), String(TEN_MEGABYTES));
      expect(moved).toMatchObject({ bytes: TEN_MEGABYTES, sha256: moved.expected });
    }
  });

  it('says where a flow goes, as it then goes', async () => {
    const text = await bed.lb.must('simulate', `tcp 10.77.0.1:4000 -> ${VIP4}:${PORT}`);
    expect(text).toMatch(/goes to 10\.77\.0\.1[12] \(vips\/tcp4\)/);
    expect(text).toMatch(/hash 0x[0-9a-f]{8}, slot \d+ of 65537/);
  });

  it('another build runs from the next packet on, or is refused and nothing changes', async () => {
    await bed.lb.must('bpf', 'prog', 'swap', OBJECT);
    const { status, stderr } = await bed.lb.command('bpf', 'prog', 'swap', DECAP_OBJECT);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/^Error: the object has no program balancer_ingress/);
    expect(bed.client<Asked>('ask', VIP4, String(PORT), '10').errors).toEqual([]);
  });

  it('a CPU is no worker that could be restarted', async () => {
    const { status, stderr } = await bed.lb.command('restart', 'worker', '0');
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/^Error: the kernel runs the program: there is no worker to restart/);
  });

  it('goes when the load balancer ends', async () => {
    await bed.lb.stop();
    expect(link()).not.toMatch(/xdp/);
  });
});

describe.skipIf(missingRoot)(`waggle up --engine xdp elsewhere${noting(missingRoot)}`, () => {
  const namespace = `waggle-xdp-${process.pid}`;
  /** A device whose driver has no XDP of its own. */
  const device = 'behind0';
  const ip = (...args: string[]) => execFileSync('ip', ['-n', namespace, ...args]);
  const up = (...before: string[]) => {
    const command = [WAGGLE, 'up', '--interface', device, '--engine', 'xdp', '--connections', '2048'];
    const listen = ['--listen', '127.0.0.1:0'];
    const args = ['netns', 'exec', namespace, ...before, process.execPath, ...command, ...listen];
    return spawnSync('ip', args, { encoding: 'utf8', timeout: 20_000 });
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

  it('a driver without XDP: the program runs behind it, which is said', () => {
    const { stderr } = up('timeout', '6');
    expect(stderr).toMatch(/EOPNOTSUPP.*"msg":"the driver runs no XDP programs/);
    expect(stderr).toMatch(/"mode":"xdp_generic"/);
    expect(execFileSync('ip', ['-n', namespace, 'link', 'show', device], { encoding: 'utf8' })).not.toMatch(
      /xdp/,
    );
  });

  it('no right to: one line says what is missing', () => {
    const { status, stderr } = up('setpriv', '--reuid', '65534', '--clear-groups', '--bounding-set', '-all');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^Error: bpf BTF_LOAD .*EPERM; run as root, or with CAP_BPF[^\n]*\n$/);
  });
});
