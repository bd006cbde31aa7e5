import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { readCapture, writePcapng } from '../../../lb/net/pcap.js';

const MAIN = fileURLToPath(new URL('../../../dist/control-plane/cli/main.js', import.meta.url));
const object = (name: string) =>
  fileURLToPath(new URL(`../../../programs/build/${name}.bpf.o`, import.meta.url));
const DECAP = object('decap');
const scratch = mkdtempSync('/tmp/waggle-bpf-');
afterAll(() => rmSync(scratch, { recursive: true }));

function bpf(...args: string[]) {
  return spawnSync(process.execPath, [MAIN, 'bpf', ...args], { encoding: 'utf8', timeout: 20_000 });
}
function must(...args: string[]): string {
  const result = bpf(...args);
  expect(result).toMatchObject({ status: 0, stderr: '' });
  return result.stdout;
}

/** IPv4 in IPv4 to 10.0.0.9, an inner UDP header of zeros. */
const OUTER = '4500003000000000400400000a0000010a000009';
const INNER = '4500001c0000000040110000c0000201c00002500000000000080000';
const ETHERNET = '0200000000010200000000020800';
const TUNNELLED = `${ETHERNET}${OUTER}${INNER}`;
/** decap_dst has 10.0.0.9. */
const ADDRESSES = join(scratch, 'addresses.json');
writeFileSync(ADDRESSES, JSON.stringify([{ key: { address: [0x0900000a, 0, 0, 0] }, value: 1 }]));

describe('waggle bpf dump', () => {
  it('lists instructions with labels, names and source lines', () => {
    const text = must('dump', DECAP);
    expect(text).toMatch(/^; map decap_dst: HASH, key 16 bytes/m);
    expect(text).toMatch(/^decap_ingress:$/m);
    expect(text).toMatch(/^; .* @ decap\.bpf\.c:\d+$/m);
    expect(text).toMatch(/^ +\d+: r1 = map\[decap_dst\]$/m);
    expect(text).toMatch(/^ +\d+: call bpf_map_lookup_elem#1$/m);
    expect(text).toMatch(/^ +\d+: if .* goto L\d+$/m);
    expect(must('dump', DECAP, '--no-source')).not.toMatch(/@ decap\.bpf\.c/);
  });

  it('writes WebAssembly, C, TypeScript and JSON', () => {
    expect(must('dump', DECAP, '--as', 'wat')).toMatch(/\(export "run"/);
    expect(must('dump', DECAP, '--as', 'c')).toMatch(/^struct ip_address \{$/m);
    expect(must('dump', DECAP, '--as', 'ts')).toMatch(/^export interface IpAddress \{$/m);
    expect(JSON.parse(must('dump', DECAP, '--as', 'json'))).toMatchObject({
      programs: [{ name: 'decap_ingress', type: 'xdp' }],
      maps: expect.arrayContaining([expect.objectContaining({ name: 'decap_dst', type: 'HASH' })]),
    });
  });

  it('says what is wrong in one line', () => {
    for (const [args, message] of [
      [['dump', join(scratch, 'nope')], /nope: cannot be read \(ENOENT\)/],
      [['dump', ADDRESSES], /addresses\.json: object file\+0/],
      [['dump', DECAP, '--program', 'x'], /no program x; there are decap_ingress/],
    ] as const) {
      const { status, stderr } = bpf(...args);
      expect(status).toBe(1);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      expect(stderr).toMatch(message);
    }
  });
});

describe('waggle bpf run FILE', () => {
  for (const engine of ['jit', 'interpreter']) {
    it(`${engine}: a packet, with maps filled and shown`, () => {
      const args = [
        'run',
        DECAP,
        '--engine',
        engine,
        '--map',
        `decap_dst=${ADDRESSES}`,
        '--packet',
        TUNNELLED,
      ];
      const [line, bytes, sum, ...maps] = must(...args, '--show', 'decap_counters').split('\n');
      expect(line).toMatch(/^ +0 +XDP_PASS +62 → 42 bytes, changed$/);
      expect(bytes).toBe(`${ETHERNET}${INNER}`);
      expect(sum).toBe('decap_ingress: 1 packets: XDP_PASS 1');
      expect(maps[0]).toMatch(/^decap_counters: 0 → \[\{/);
      expect(JSON.parse(must(...args, '--json'))).toMatchObject({
        index: 0,
        verdict: 'XDP_PASS',
        returnValue: 2,
      });
    });
  }

  it('the packets of a capture, and writes those that it left', () => {
    const [input, output] = [join(scratch, 'in.pcapng'), join(scratch, 'out.pcapng')];
    const frames = [TUNNELLED, `${ETHERNET}${INNER}`].map((hex, i) => ({
      timestampNs: 1000n * BigInt(i),
      bytes: Uint8Array.from(Buffer.from(hex, 'hex')),
    }));
    writeFileSync(input, writePcapng(frames));
    const text = must('run', DECAP, '--map', `decap_dst=${ADDRESSES}`, '--pcap', input, '--out', output);
    expect(text).toMatch(/decap_ingress: 2 packets: XDP_PASS 2/);
    const left = [...readCapture(readFileSync(output))].map(({ bytes }) =>
      Buffer.from(bytes).toString('hex'),
    );
    expect(left).toEqual([`${ETHERNET}${INNER}`, `${ETHERNET}${INNER}`]);
  });

  it('refuses what it cannot do in one line', () => {
    for (const [args, message] of [
      [['run', DECAP], /--packet and --pcap/],
      [['run', DECAP, '--packet', 'zz'], /--packet: "zz"/],
      [['run', DECAP, '--packet', '00', '--set', 'nope=1'], /nope/],
      [['run', DECAP, '--packet', '00', '--map', 'nope'], /NAME=VALUE/],
      [['run', DECAP, '--packet', '00', '--map', `nope=${ADDRESSES}`], /no map nope/],
      [['run', object('bench'), '--packet', '00'], /--program says which/],
    ] as const) {
      const { status, stderr } = bpf(...args);
      expect(status, args.join(' ')).not.toBe(0);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      expect(stderr).toMatch(message);
    }
  });
});

it('waggle bpf trace shows what each instruction does', () => {
  const text = must('trace', DECAP, '--map', `decap_dst=${ADDRESSES}`, '--packet', TUNNELLED);
  expect(text).toMatch(/^ +\d+: r2 = \*\(u32 \*\)\(r1 \+ 4\) +; r2 = packet\+62 \(was 0\) from \[ctx\+4\]$/m);
  expect(text).toMatch(/call bpf_map_lookup_elem#1 +; \(map decap_dst, fp-\d+\) → 0x/);
  expect(text).toMatch(/goto L\d+ +; not taken$/m);
  expect(text).toMatch(/^XDP_PASS after \d+ instructions$/m);
});
