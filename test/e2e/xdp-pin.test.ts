/** Forwarding goes on in the kernel while `waggle up --engine xdp --pin` is killed, ends and comes again. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Appliance, WAGGLE } from '../../demo/appliance.js';
import { until } from '../../demo/lines.js';
import { missingRoot, noting } from '../support/capabilities.js';
import { type Asked, Bed, HeldConnections, LINE_PORT, PORT, VIP4 } from './bed.js';

const HELD = 30;

describe.skipIf(missingRoot)(`waggle up --engine xdp --pin${noting(missingRoot)}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'waggle-pin-'));
  /** A namespace's /sys is its own: a bpffs elsewhere is seen in all of them. */
  const mount = join(folder, 'bpf');
  const pins = join(mount, 'lb');
  const flags = ['--engine', 'xdp', '--pin', pins, '--state', join(folder, 'state')];
  let bed: Bed;
  let held: HeldConnections;
  /** Those that took over. */
  let next: Appliance | undefined;

  beforeAll(async () => {
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'bpf', 'bpf', mount]);
    bed = await Bed.start({ backends: 3, workers: 1, engine: 'xdp', flags });
    for (const [id, port] of [
      ['web', PORT],
      ['lines', LINE_PORT],
    ] as const)
      await bed.serve({ id, vip: VIP4, protocol: 'tcp', port, backends: ['a', 'b'], family: 4 });
    held = new HeldConnections(bed, VIP4, HELD);
    await held.answered(HELD * 3);
  });
  afterAll(async () => {
    await next?.stop();
    await bed?.stop();
    execFileSync('umount', [mount]);
    rmSync(folder, { recursive: true });
  });

  const link = () => bed.topology.run('lb', ['ip', 'link', 'show', bed.topology.host('lb').interface]);
  const serves = () => bed.client<Asked>('ask', VIP4, String(PORT), '30');
  /** Every connection goes on, and new ones are made. */
  const goesOn = async (): Promise<void> => {
    await held.answered(HELD * 3);
    expect(serves().errors).toEqual([]);
    expect(await held.now()).toMatchObject({ resets: [], moved: 0 });
  };
  const start = async (...more: readonly string[]): Promise<Appliance> => {
    next = await Appliance.start(bed.topology, 'lb', { workers: 1, flags: [...flags, ...more] });
    return next;
  };

  it('forwards when its process was killed', async () => {
    process.kill(bed.lb.pid, 'SIGKILL');
    await bed.lb.stop();
    expect(link()).toMatch(/prog\/xdp/);
    await goesOn();
  });

  it('is taken over by the next one, which goes on from there', async () => {
    const lb = await start();
    await goesOn();
    expect(await lb.must('status')).toMatch(/\(xdp_native, \d+ workers\): ready/);
    expect(await lb.must('get', 'backends')).toMatch(/web\/a/);
    const address = bed.topology.host('c').address4;
    await lb.must('create', 'backend', 'web/c', '--address', address);
    await until('the third backend to serve', () => Object.hasOwn(serves().names, 'c'));
    await goesOn();
  });

  it('a second one is refused meanwhile', async () => {
    await expect(Appliance.start(bed.topology, 'lb', { workers: 1, flags })).rejects.toThrow(
      /another waggle runs on interface/,
    );
  });

  it('forwards when it ended in order, which it says', async () => {
    const lb = next!;
    await lb.stop();
    expect(lb.log()).toMatch(/"msg":"forwarding goes on"/);
    await goesOn();
  });

  it('is taken over with other tables', async () => {
    const lb = await start('--connections', '4096');
    await goesOn();
    expect(Object.keys(serves().names)).toContain('c');
    await lb.must('delete', 'backend', 'web/c');
    expect(Object.keys(serves().names).sort()).toEqual(['a', 'b']);
    await lb.stop();
    const end = await held.stop();
    expect(end).toMatchObject({ resets: [], moved: 0, answered: end.asked });
  });

  it('ends by waggle down', () => {
    const { interface: device } = bed.topology.host('lb');
    const down = ['down', '--interface', device, '--pin', pins];
    const said = bed.topology.run('lb', [process.execPath, WAGGLE, ...down]);
    expect(said).toContain(`the program is off ${device}`);
    expect(link()).not.toMatch(/xdp/);
    expect(existsSync(pins)).toBe(false);
  });
});
