import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { readCapture } from '../../lb/net/pcap.js';
import { missingRoot } from '../support/capabilities.js';
import { hex, TCP_FLAGS, tcpFrame, udpFrame } from '../support/packets.js';
import { echoFrame } from '../support/packets-icmp.js';
import { tagged } from '../support/packets-tunnel.js';
import { Files, linesOf, MS, missingBuild, NODE, START_NS, spaced, waggle, wagglePipe } from './cli.js';

const files = new Files();
afterAll(() => files.remove());

const CLIENT = { src: '192.168.1.1', dst: '10.200.1.1' } as const;
const web = (sport: number, flags: number = TCP_FLAGS.ack) =>
  tcpFrame({ ...CLIENT, sport, dport: 80 }, { flags });
const dns = (sport: number) => udpFrame({ ...CLIENT, sport, dport: 53 });
const FRAMES = [
  web(4000, TCP_FLAGS.syn),
  web(4000),
  web(4001),
  tcpFrame({ src: '2001:db8::1', dst: 'fc00:1::1', sport: 4000, dport: 80 }),
  dns(5000),
  tcpFrame({ ...CLIENT, sport: 1, dport: 81 }),
  tcpFrame({ src: '192.168.1.1', dst: '10.200.1.2', sport: 1, dport: 80 }),
  echoFrame({ src: '192.168.1.1', dst: '10.200.1.1' }, new Uint8Array(16)),
  tagged(web(4002), { control: 7 }),
];
const WEB = '10.200.1.1:80/tcp';
const WANT = [
  { verdict: 'XDP_TX', reason: 'forwarded', vip: WEB, table: 'ring' },
  { verdict: 'XDP_TX', reason: 'forwarded', vip: WEB, table: 'lru' },
  { verdict: 'XDP_TX', reason: 'forwarded', vip: WEB, table: 'ring' },
  { verdict: 'XDP_TX', reason: 'forwarded', vip: '[fc00:1::1]:80/tcp', table: 'ring' },
  { verdict: 'XDP_TX', reason: 'forwarded', vip: '10.200.1.1:53/udp', table: 'ring' },
  { verdict: 'XDP_PASS', reason: 'no_vip', vip: null, table: null },
  { verdict: 'XDP_DROP', reason: 'empty_ring', vip: '10.200.1.2:80/tcp', table: null },
  { verdict: 'XDP_TX', reason: 'echo_reply', vip: null, table: null },
  { verdict: 'XDP_TX', reason: 'forwarded', vip: WEB, table: 'ring' },
];

describe.skipIf(missingBuild)(`waggle replay${missingBuild ? ` (skipped: ${missingBuild})` : ''}`, () => {
  const config = files.write('node.yaml', NODE);
  const input = files.capture('in.pcap', spaced(FRAMES));

  it('--json: one line a packet, with exactly these keys', async () => {
    const run = await waggle('replay', '--config', config, '--in', input, '--json');
    expect(run).toMatchObject({ status: 0, stderr: '' });
    const lines = linesOf(run);
    expect(lines.map(({ verdict, reason, vip, table }) => ({ verdict, reason, vip, table }))).toEqual(WANT);
    for (const [index, line] of lines.entries()) {
      expect(Object.keys(line)).toEqual(['index', 'verdict', 'reason', 'vip', 'backend', 'table', 'bytes']);
      expect(line.index).toBe(index);
      expect(line.backend === null).toBe(line.reason !== 'forwarded');
    }
    expect(lines[5]?.bytes).toBe(hex(FRAMES[5]!));
    expect(lines[6]?.bytes).toBe(hex(FRAMES[6]!));
  });

  it('pcapng says the same as pcap', async () => {
    const other = files.capture('in.pcapng', spaced(FRAMES));
    const [one, two] = await Promise.all(
      [input, other].map((path) => waggle('replay', '--config', config, '--in', path, '--json')),
    );
    expect(two?.stdout).toBe(one?.stdout);
  });

  it.skipIf(missingRoot)(
    `every engine says the same${missingRoot ? ` (kernel skipped: ${missingRoot})` : ''}`,
    async () => {
      const [jit, ...others] = await Promise.all(
        ['jit', 'interpreter', 'kernel'].map((engine) =>
          waggle('replay', '--config', config, '--in', input, '--json', '--engine', engine),
        ),
      );
      for (const run of others) expect(run).toEqual(jit);
    },
  );

  it.each(['out.pcap', 'out.pcapng'])(
    '--out %s: what leaves, in order, at the time it came',
    async (name) => {
      const run = await waggle(
        'replay',
        '--config',
        config,
        '--in',
        input,
        '--json',
        '--out',
        files.path(name),
      );
      expect(run.status).toBe(0);
      const sent = linesOf(run).filter(({ verdict }) => verdict === 'XDP_TX');
      const written = files.read(name);
      expect(written.map(({ bytes }) => hex(bytes))).toEqual(sent.map(({ bytes }) => bytes));
      expect(written.map(({ timestampNs }) => timestampNs)).toEqual(
        sent.map(({ index }) => START_NS + BigInt(index) * MS),
      );
      expect(
        written.every(({ linkType, bytes, wireBytes }) => linkType === 1 && wireBytes === bytes.length),
      ).toBe(true);
      if (name.endsWith('ng'))
        expect(written[0]?.comment).toMatch(/^forwarded 10\.200\.1\.1:80\/tcp → 10\.0\.0\.\d \(ring\)$/);
    },
  );

  it('- is standard input and standard output', async () => {
    const run = await wagglePipe(new Uint8Array(0), 'replay', '--config', config, '--in', '-');
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^Error: standard input: capture\+0: 4 bytes are needed, 0 are there\n$/);
    const piped = await wagglePipe(
      new Uint8Array(readFileSync(input)),
      'replay',
      '--config',
      config,
      '--in',
      '-',
      '--out',
      '-',
    );
    expect(piped.status).toBe(0);
    expect([...readCapture(piped.bytes)]).toHaveLength(7);
    expect(piped.stderr).toMatch(/9 packets: XDP_TX 7, XDP_PASS 1, XDP_DROP 1/);
  });

  it('without --json: a line a packet under a heading, and a summary', async () => {
    const { stdout } = await waggle('replay', '--config', config, '--in', input);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(1 + FRAMES.length + 2);
    expect(lines[0]).toMatch(/PACKET +VERDICT +REASON +VIP +TABLE +BACKEND +BYTES/);
    expect(lines[2]).toMatch(/^ +1 +XDP_TX +forwarded +10\.200\.1\.1:80\/tcp +lru +10\.0\.0\.\d +61 -> 81$/);
    expect(lines.at(-2)).toBe('9 packets: XDP_TX 7, XDP_PASS 1, XDP_DROP 1');
    const quiet = await waggle('replay', '--config', config, '--in', input, '--quiet');
    expect(quiet.stdout).toMatch(/^9 packets/);
  });

  it('--counters: a table, or the last line of --json', async () => {
    const json = await waggle('replay', '--config', config, '--in', input, '--json', '--counters');
    const last: unknown = JSON.parse(json.stdout.trimEnd().split('\n').at(-1) ?? '');
    expect(last).toMatchObject({
      counters: {
        global: { lru: { v1: 7 }, xdp_total: { v1: 9 }, xdp_tx: { v1: 7 } },
        vips: { [WEB]: { packets: 4 } },
        reasons: { none: { no_vip: { packets: 1 } } },
        quic: { ch_routed: 0 },
        tcp_server_ids: { sid_routed: 0 },
        stable_routing: { cid_routed: 0 },
      },
    });
    const table = await waggle('replay', '--config', config, '--in', input, '-q', '--counters');
    expect(table.stdout).toMatch(/^global xdp_total v1 +9 +packets$/m);
    expect(table.stdout).toMatch(/^vips 10\.200\.1\.1:80\/tcp packets +4 +-$/m);
  });

  describe('the clock is that of the capture', () => {
    const at = (ms: number, bytes: Uint8Array) => ({ timestampNs: START_NS + BigInt(ms) * MS, bytes });
    const tablesOf = async (name: string, frames: readonly ReturnType<typeof at>[], clock = '') => {
      const path = files.capture(name, frames);
      const file = files.write(`${name}.yaml`, `${NODE}${clock}`);
      return linesOf(await waggle('replay', '--config', file, '--in', path, '--json')).map(
        ({ table }) => table,
      );
    };

    it.each(['', 'clock: 0\n', 'clock: 10s\n'])(
      'a silent UDP flow is forgotten after 30 s: "%s"',
      async (clock) => {
        const frames = [at(0, dns(5000)), at(29_999, dns(5000)), at(60_001, dns(5000))];
        expect(await tablesOf('udp.pcap', frames, clock)).toEqual(['ring', 'lru', 'ring']);
      },
    );

    it('and never goes back', async () => {
      const frames = [at(50_000, dns(5000)), at(0, dns(5000)), at(50_001, dns(5000))];
      expect(await tablesOf('back.pcap', frames)).toEqual(['ring', 'lru', 'lru']);
    });
  });

  it('workers have connection tables of their own, and a flow keeps its worker', async () => {
    const file = files.write('workers.yaml', `${NODE}workers: 4\n`);
    const flows = Array.from({ length: 40 }, (_, index) => web(6000 + index));
    const path = files.capture('workers.pcap', spaced([...flows, ...flows]));
    const run = await waggle('replay', '--config', file, '--in', path, '--json', '--counters');
    const all = run.stdout.trimEnd().split('\n');
    const lines = linesOf({ stdout: all.slice(0, -1).join('\n') });
    expect(lines.slice(0, 40).every(({ table }) => table === 'ring')).toBe(true);
    expect(lines.slice(40).every(({ table }) => table === 'lru')).toBe(true);
    const { counters } = JSON.parse(all.at(-1) ?? '') as { counters: { workers: Record<string, unknown> } };
    expect(Object.keys(counters.workers)).toEqual(['0', '1', '2', '3']);
  });
});
