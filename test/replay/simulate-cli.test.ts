import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatListen } from '../../control-plane/grpc/listen.js';
import { flowFrame, parseFlow } from '../../lb/simulate-flow.js';
import { ApiBed } from '../support/api-bed.js';
import { hex } from '../support/packets.js';
import { Files, linesOf, missingBuild, NODE, spaced, waggle } from './cli.js';

const files = new Files();
afterAll(() => files.remove());
const FLOW = 'tcp 192.168.1.1:4000 -> 10.200.1.1:80';

describe.skipIf(missingBuild)(`waggle simulate${missingBuild ? ` (skipped: ${missingBuild})` : ''}`, () => {
  const config = files.write('node.yaml', NODE);
  const json = async (...args: string[]) => {
    const run = await waggle('simulate', ...args, '-o', 'json');
    expect(run.stderr).toBe('');
    return JSON.parse(run.stdout) as Record<string, unknown>;
  };

  it('says what replay does', async () => {
    const input = files.capture('in.pcap', spaced([flowFrame(parseFlow(FLOW))]));
    const [line] = linesOf(await waggle('replay', '--config', config, '--in', input, '--json'));
    const answer = await json(FLOW, '--config', config);
    expect(answer).toMatchObject({
      verdict: 'forward',
      reason: 'forwarded',
      vip: line?.vip,
      backend: line?.backend,
      table: line?.table,
      bytes: line?.bytes,
    });
    expect(await json('--frame', hex(flowFrame(parseFlow(FLOW))), '--config', config)).toEqual(answer);
  });

  it('for a person: what, then why', async () => {
    const { stdout } = await waggle('simulate', FLOW, '--config', config, '--syn');
    const [first, ...steps] = stdout.trimEnd().split('\n');
    expect(first).toMatch(
      /^tcp 192\.168\.1\.1:4000 -> 10\.200\.1\.1:80, SYN: goes to 10\.0\.0\.\d \(10\.200\.1\.1:80\/tcp\)$/,
    );
    expect(steps.join('\n')).toMatch(/hash 0x[0-9a-f]{8}, slot \d+ of 65537 of the ring: 10\.0\.0\.\d/);
    expect(steps.at(-1)).toMatch(
      /^ {2}outer header: 172\.16\.\d+\.\d+ → 10\.0\.0\.\d, IP in IP \(IPv4 inside\), TTL 64$/,
    );
  });

  it('IPv6, and flows that go nowhere', async () => {
    expect(await json('tcp [2001:db8::1]:4000 -> [fc00:1::1]:80', '--config', config)).toMatchObject({
      verdict: 'forward',
    });
    expect(await json('udp 192.168.1.1:4000 -> 10.200.1.1:80', '--config', config)).toMatchObject({
      verdict: 'pass',
      reason: 'no_vip',
    });
    expect(
      Object.keys(await json('udp 192.168.1.1:4000 -> 10.200.1.1:80', '--config', config)),
    ).not.toContain('slot');
    expect(await json('tcp 192.168.1.1:4000 -> 10.200.1.2:80', '--config', config)).toMatchObject({
      verdict: 'drop',
      reason: 'empty_ring',
    });
  });

  const wrong: readonly { rule: string; args: readonly string[]; says: RegExp; status?: number }[] = [
    { rule: 'nothing is asked', args: [], says: /one of a flow and --frame/ },
    { rule: 'no flow', args: ['tcp'], says: /a flow is written/ },
    { rule: 'two questions', args: [FLOW, '--frame', '00'], says: /one of a flow and --frame/ },
    { rule: 'a frame that is none', args: ['--frame', 'xy'], says: /--frame: .*hexadecimal/, status: 1 },
    { rule: 'a short frame', args: ['--frame', '00'], says: /1 bytes are not in 14/ },
    { rule: 'SYN of UDP', args: ['udp 192.0.2.1:1 -> 192.0.2.2:2', '--syn'], says: /--syn goes with tcp/ },
  ];
  it.each(wrong)('refuses: $rule', async ({ args, says, status = 2 }) => {
    const run = await waggle('simulate', ...args, '--config', config);
    expect(run.stderr).toMatch(says);
    expect([run.status, run.stderr.trimEnd().split('\n').length]).toEqual([status, 1]);
  });

  describe('on a server', () => {
    let bed: ApiBed;
    beforeAll(async () => {
      bed = await ApiBed.start();
      await bed.createPool('web');
      await bed.createBackend('web', 'a', '10.0.0.1');
      await bed.createVip('shop', '10.200.1.1');
    });
    afterAll(() => bed.stop());

    it('asks its tables, connections among them', async () => {
      const server = ['--server', formatListen(bed.control.address)];
      expect(await json(FLOW, ...server)).toMatchObject({
        verdict: 'forward',
        vip: 'vips/shop',
        backend: '10.0.0.1',
        table: 'ring',
      });
      bed.datapath.run(flowFrame(parseFlow(FLOW)));
      expect(await json(FLOW, ...server)).toMatchObject({
        table: 'lru',
        worker: bed.datapath.replay.cpu,
      });
      const { stdout } = await waggle('simulate', FLOW, ...server);
      expect(stdout).toMatch(/the connection table knows the flow: 10\.0\.0\.1/);
    });
  });
});
