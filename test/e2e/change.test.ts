import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../demo/lines.js';
import { missingRoot, noting } from '../support/capabilities.js';
import { type Asked, Bed, HeldConnections, LINE_PORT, PORT, VIP4, VIP6 } from './bed.js';

const HELD = 40;

describe.skipIf(missingRoot)(`change under load${noting(missingRoot)}`, () => {
  let bed: Bed | undefined;
  afterEach(async () => {
    await bed?.stop();
    bed = undefined;
  });

  for (const [vip, family] of [
    [VIP4, 4],
    [VIP6, 6],
  ] as const) {
    it(`IPv${family}: adding, re-weighting and draining move and reset no connection`, async () => {
      bed = await Bed.start({ backends: 4, workers: 2 });
      await bed.serve({
        id: 'lines',
        vip,
        protocol: 'tcp',
        port: LINE_PORT,
        backends: ['a', 'b', 'c'],
        family,
      });
      await bed.serve({ id: 'web', vip, protocol: 'tcp', backends: ['a', 'b', 'c'], family });
      const held = new HeldConnections(bed, vip, HELD);
      await held.answered(HELD * 5);

      await bed.addBackend('lines', 'd', family);
      await bed.addBackend('web', 'd', family);
      await held.answered(HELD * 5);
      expect(Object.keys(bed.client<Asked>('ask', vip, String(PORT), '80').names).sort()).toEqual([
        'a',
        'b',
        'c',
        'd',
      ]);

      await bed.lb.must('weight', 'lines/a', '3');
      await held.answered(HELD * 5);

      await bed.lb.must('drain', 'backend', 'lines/b');
      await bed.lb.must('drain', 'backend', 'web/b');
      await held.answered(HELD * 5);
      const afterDrain = bed.client<Asked>('ask', vip, String(PORT), '80');
      expect(afterDrain.errors).toEqual([]);
      expect(Object.keys(afterDrain.names).sort()).toEqual(['a', 'c', 'd']);

      const end = await held.stop();
      expect(end.resets).toEqual([]);
      expect(end.moved).toBe(0);
      expect(end.answered).toBe(end.asked);
      expect(end.names).toHaveProperty('b');
    });
  }

  it('a worker that is killed is replaced, and no connection is reset', async () => {
    bed = await Bed.start({ backends: 2, workers: 2 });
    await bed.serve({
      id: 'lines',
      vip: VIP4,
      protocol: 'tcp',
      port: LINE_PORT,
      backends: bed.backends,
      family: 4,
    });
    const held = new HeldConnections(bed, VIP4, HELD);
    await held.answered(HELD * 5);
    for (const worker of ['0', '1']) {
      await bed.lb.must('restart', 'worker', worker);
      await held.answered(HELD * 10);
    }
    const end = await held.stop();
    expect(end.resets).toEqual([]);
    expect(end.moved).toBe(0);
    expect(end.answered).toBe(end.asked);
    const lb = bed.lb;
    await until(
      'the fault in the log',
      () => /worker/.test(lb.log()) && /restart|replac|died|fault/i.test(lb.log()),
    );
  });
});
