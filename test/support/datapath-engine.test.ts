import { expect, it } from 'vitest';
import { KernelMap } from '../../lb/sys/bpf.js';
import { datapathEngine } from './datapath-engine.js';
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
