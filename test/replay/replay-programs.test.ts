import { afterAll, describe, expect, it } from 'vitest';
import { missingRoot, noting } from '../support/capabilities.js';
import { hex, tcpFrame } from '../support/packets.js';
import { ipipFrame } from '../support/packets-tunnel.js';
import { Files, linesOf, missingBuild, NODE, objectFile, spaced, waggle } from './cli.js';

const files = new Files();
afterAll(() => files.remove());

const ENGINES = ['jit', 'interpreter', ...(missingRoot === undefined ? ['kernel'] : [])];
const PROBE = tcpFrame({ src: '192.0.2.1', dst: '10.0.0.9', sport: 4000, dport: 80 });
const COMPANIONS = `
healthcheck:
  marks: [{ mark: 0x11, backend: 10.0.0.1 }, { mark: 18, backend: 10.0.0.2 }]
  sources: { ipv4: 10.0.0.254 }
  macs: { source: "02:00:00:00:00:01", destination: "02:00:00:00:00:99" }
  interface: 5
decap: { destinations: [10.0.0.1] }
`;

describe.skipIf(missingBuild)(
  `waggle replay --program${missingBuild ? ` (skipped: ${missingBuild})` : ''}`,
  () => {
    const config = files.write('companions.yaml', COMPANIONS);

    describe.each(ENGINES)('on %s', (engine) => {
      it('TC: the mark is that of the comment, else of --mark; what is redirected leaves', async () => {
        const marked = spaced([PROBE, PROBE, PROBE, PROBE]).map((frame, index) => ({
          ...frame,
          ...[{}, { comment: 'mark=0x11' }, { comment: 'seen on eth0, mark=18.' }, { comment: 'mark=99' }][
            index
          ],
        }));
        const input = files.capture('marked.pcapng', marked);
        const args = [
          '--config',
          config,
          '--program',
          objectFile('healthcheck'),
          '--in',
          input,
          '--engine',
          engine,
        ];
        const run = await waggle(
          'replay',
          ...args,
          '--mark',
          '0x12',
          '--json',
          '--counters',
          '--out',
          files.path('hc.pcap'),
        );
        expect(run.stderr).toBe('');
        const all = run.stdout.trimEnd().split('\n');
        const lines = linesOf({ stdout: all.slice(0, -1).join('\n') });
        expect(lines.map(({ verdict, reason }) => [verdict, reason])).toEqual([
          ['TC_ACT_REDIRECT', 'processed'],
          ['TC_ACT_REDIRECT', 'processed'],
          ['TC_ACT_REDIRECT', 'processed'],
          ['TC_ACT_UNSPEC', 'skipped'],
        ]);
        // The outer destination: 14 + 16 bytes in.
        const reals = lines.slice(0, 3).map(({ bytes }) => bytes.slice(60, 68));
        expect(reals).toEqual(['0a000002', '0a000001', '0a000002']);
        expect(files.read('hc.pcap').map(({ bytes }) => hex(bytes))).toEqual(
          lines.slice(0, 3).map(({ bytes }) => bytes),
        );
        expect(JSON.parse(all.at(-1) ?? '')).toMatchObject({
          counters: { healthcheck: { processed: 3, skipped: 1, dropped: 0 } },
        });
      });

      it("the backend's program takes outer headers off", async () => {
        const inner = PROBE.subarray(14);
        const ours = ipipFrame({ src: '10.9.9.9', dst: '10.0.0.1' }, inner);
        const others = ipipFrame({ src: '10.9.9.9', dst: '10.0.0.7' }, inner);
        const input = files.capture('tunnel.pcap', spaced([ours, others]));
        const args = [
          '--config',
          config,
          '--program',
          objectFile('decap'),
          '--in',
          input,
          '--engine',
          engine,
        ];
        const lines = linesOf(await waggle('replay', ...args, '--json'));
        expect(lines.map(({ verdict, reason }) => [verdict, reason])).toEqual([
          ['XDP_PASS', 'decapsulated'],
          ['XDP_PASS', 'pass'],
        ]);
        expect(lines[0]?.bytes.slice(28)).toBe(hex(inner));
        expect(lines[1]?.bytes).toBe(hex(others));
      });
    });

    it("a balancer's object takes the configuration, without one it has empty tables", async () => {
      const node = files.write('node.yaml', NODE);
      const frame = tcpFrame({ src: '192.0.2.1', dst: '10.200.1.1', sport: 4000, dport: 80 });
      const input = files.capture('web.pcap', spaced([frame]));
      const args = ['--program', objectFile('balancer'), '--in', input, '--json'];
      const [withTables, without, shipped] = await Promise.all([
        waggle('replay', ...args, '--config', node),
        waggle('replay', ...args),
        waggle('replay', '--in', input, '--json', '--config', node),
      ]);
      expect(withTables?.stdout).toBe(shipped?.stdout);
      expect(linesOf(withTables!)[0]).toMatchObject({ verdict: 'XDP_TX', reason: 'forwarded' });
      expect(linesOf(without!)[0]).toMatchObject({ verdict: 'XDP_PASS', reason: 'no_vip', vip: null });
    });

    it('--section names a program by its function', async () => {
      const input = files.capture('probe.pcap', spaced([PROBE]));
      const args = ['--program', objectFile('healthcheck'), '--in', input, '--json'];
      const run = await waggle('replay', ...args, '--section', 'healthcheck_tunnel');
      expect(linesOf(run)[0]).toMatchObject({ verdict: 'TC_ACT_UNSPEC', reason: 'skipped' });
      const wrong = await waggle('replay', ...args, '--section', 'nowhere');
      expect(wrong).toMatchObject({ status: 1, stdout: '' });
      expect(wrong.stderr).toMatch(
        /no program nowhere; the object has healthcheck_egress, healthcheck_routed, healthcheck_tunnel\n$/,
      );
    });

    it.skipIf(missingRoot)(
      `frames that the kernel does not take are told, and not sent there${noting(missingRoot)}`,
      async () => {
        const node = files.write('node.yaml', NODE);
        const long = tcpFrame(
          { src: '192.0.2.1', dst: '192.0.2.2', sport: 1, dport: 2 },
          { data: new Uint8Array(4000) },
        );
        const input = files.capture('odd.pcap', spaced([new Uint8Array(13), long, PROBE]));
        const run = await waggle('replay', '--config', node, '--in', input, '--json', '--engine', 'kernel');
        expect(linesOf(run).map(({ verdict, reason }) => [verdict, reason])).toEqual([
          ['XDP_DROP', 'short_frame'],
          ['NOT_RUN', 'too_long_for_engine'],
          ['XDP_PASS', 'no_vip'],
        ]);
        expect(run.stderr).toBe('Note: 2 packets were not run: engine kernel takes 14 to 3520 bytes\n');
      },
    );
  },
);
