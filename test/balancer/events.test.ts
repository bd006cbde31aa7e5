import { expect, it } from 'vitest';
import { makeArenaBed } from '../support/balancer.js';
import { tcpFrame } from '../support/packets.js';
import { EVENT_SUITES } from './cases/events.js';
import { Scene } from './cases/setup.js';
import { testSuites } from './suite.js';

testSuites(EVENT_SUITES);

it('one drop in three is reported, by chance', () => {
  const bed = makeArenaBed('jit', { eventsEnabled: true, dropSampleRate: 3 });
  const scene = new Scene(bed);
  scene.reset();
  EVENT_SUITES[0]!.arrange(scene);
  const lost = tcpFrame({ src: '203.0.113.1', dst: '198.51.100.20', sport: 1, dport: 81 });
  let drops = 0;
  for (let i = 0; i < 600; i++) {
    bed.run(lost);
    drops += bed.readEvents!().filter(({ kind }) => kind === 'drop').length;
  }
  // 200 are expected, 12 the standard deviation.
  expect(drops).toBeGreaterThan(100);
  expect(drops).toBeLessThan(300);
});
