import { readdirSync, readlinkSync } from 'node:fs';
import { expect, it } from 'vitest';
import { BalancerTables } from '../../lb/balancer/tables.js';
import { KernelMap } from '../../lb/sys/bpf.js';
import { closeDatapaths, datapathEngine, TEST_ENGINE } from './datapath-engine.js';
import { tcpFrame } from './packets.js';

const XDP_PASS = 2;

it('the datapath of these tests is where the suite says', ({ task }) => {
  const engine = datapathEngine(16);
  const isKernel = task.file.projectName === 'kernel';
  expect(engine.name).toBe(isKernel ? 'kernel' : 'interpreter');
  expect([...engine.maps.values()].every((map) => map instanceof KernelMap === isKernel)).toBe(true);
  const frame = tcpFrame({ src: '198.51.100.7', dst: '192.0.2.1', sport: 1000, dport: 80 });
  expect(engine.run(frame).verdict).toBe(XDP_PASS);
});

/** Descriptors of BPF that this process has: of maps, programs, and what wakes their readers. */
function descriptors(): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // That of the folder itself: it was gone with the listing.
      return '';
    }
  });
  return targets.filter((target) => /bpf|eventpoll/.test(target)).length;
}

it('what datapaths have of the kernel is given back', () => {
  closeDatapaths();
  const before = descriptors();
  const engine = datapathEngine(16);
  new BalancerTables(engine.maps, { host: engine.host }).attachConnectionTables(engine.host, engine.cpus, 16);
  engine.events();
  engine.simulator();
  if (TEST_ENGINE === 'kernel') expect(descriptors()).toBeGreaterThan(before + engine.maps.size);
  closeDatapaths();
  expect(descriptors()).toBe(before);
});
