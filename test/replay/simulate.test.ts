import { describe, expect, it } from 'vitest';
import { VIP_FLAGS } from '../../lb/balancer/schema.js';
import { parseIp } from '../../lb/net/address.js';
import { PacketReplay, simulatorOf } from '../../lb/replay.js';
import { flowFrame, parseFlow } from '../../lb/simulate-flow.js';
import { arrange, REAL_4, REAL_6, ROUTER_MAC, ringOf, vipOf } from '../balancer/scene.js';
import { MemoryDatapath } from '../support/memory-datapath.js';
import { hex } from '../support/packets.js';
import { echoFrame } from '../support/packets-icmp.js';

const flow = (text: string, syn = false) => flowFrame(parseFlow(text), syn);
const WEB4 = 'tcp 203.0.113.77:4000 -> 198.51.100.10:80';
const WEB6 = 'tcp [2001:db8:cafe::1]:4000 -> [2001:db8::10]:80';

function simulator() {
  const replay = new PacketReplay({ engine: 'jit', options: { simulate: true } });
  arrange({ tables: replay.tables! } as Parameters<typeof arrange>[0]);
  return simulatorOf(replay);
}

describe('FlowSimulator on a configuration', () => {
  const ask = simulator();

  it('says where a new flow goes, by which slot of the ring, and how it would leave', () => {
    const answer = ask.ask(flow(WEB4, true));
    expect(answer).toMatchObject({
      verdict: 'XDP_TX',
      reason: 'forwarded',
      vip: '198.51.100.10:80/tcp',
      backend: REAL_4,
      table: 'ring',
      nextHop: ROUTER_MAC,
    });
    expect(answer.slot).toBe((answer.hash ?? 0) % 65537);
    expect(answer.outer).toMatch(/^172\.16\.\d+\.\d+ → 10\.0\.0\.1, IP in IP \(IPv4 inside\), TTL 64$/);
    expect(answer.steps.join('\n')).toMatch(/slot \d+ of 65537/);
  });

  it('IPv6', () => {
    expect(ask.ask(flow(WEB6))).toMatchObject({
      backend: REAL_6,
      vip: '[2001:db8::10]:80/tcp',
      table: 'ring',
    });
  });

  const refused = [
    {
      name: 'a VIP without backends',
      text: 'tcp 203.0.113.77:1 -> 198.51.100.13:80',
      verdict: 'XDP_DROP',
      reason: 'empty_ring',
    },
    {
      name: 'no VIP',
      text: 'udp 203.0.113.77:1 -> 198.51.100.10:9999',
      verdict: 'XDP_PASS',
      reason: 'no_vip',
    },
    {
      name: 'a backend of the wrong family',
      text: 'tcp [2001:db8:cafe::1]:1 -> [2001:db8::11]:80',
      verdict: 'XDP_DROP',
      reason: 'family_mismatch',
    },
  ];
  it.each(refused)('$name: $verdict, $reason', ({ text, verdict, reason }) => {
    const answer = ask.ask(flow(text));
    expect(answer).toMatchObject({ verdict, reason, outer: null, nextHop: null });
    expect(answer.says).not.toBe('');
    expect(answer.steps.at(-1)).toBe(`the packet ${answer.says}`);
  });

  it('notes nothing: the same question has the same answer', () => {
    const answers = [1, 2, 3].map(() => ask.ask(flow(WEB4)));
    expect(answers.map(({ table }) => table)).toEqual(['ring', 'ring', 'ring']);
    expect(answers[0]?.marks).toEqual(answers[2]?.marks);
  });

  it('an echo request for a VIP is answered', () => {
    const frame = echoFrame({ src: '203.0.113.77', dst: '198.51.100.10' }, new Uint8Array(8));
    expect(ask.ask(frame)).toMatchObject({
      verdict: 'XDP_TX',
      reason: 'echo_reply',
      outer: null,
      table: 'none',
    });
  });
});

describe('on a balancer that runs', () => {
  function running() {
    const datapath = new MemoryDatapath();
    arrange({ tables: datapath.tables } as Parameters<typeof arrange>[0]);
    return datapath;
  }

  it('knows the flows of the connection table, and what the packets would look like', () => {
    const datapath = running();
    const frame = flow(WEB4);
    expect(datapath.simulate(frame).table).toBe('ring');
    const sent = datapath.run(frame);
    // The flow stays where it is, whatever the ring says now.
    datapath.tables.putReal(3, parseIp('10.0.0.3'));
    datapath.tables.putRing(0, ringOf(3));
    const answer = datapath.simulate(frame);
    expect(answer).toMatchObject({ table: 'lru', worker: datapath.replay.cpu, backend: REAL_4 });
    expect(hex(answer.frame)).toBe(hex(sent.frame));
    expect(datapath.simulate(flow(WEB4, true))).toMatchObject({ table: 'ring', backend: '10.0.0.3' });
  });

  it('changes no counter and no connection', () => {
    const datapath = running();
    datapath.run(flow(WEB4));
    const before = [datapath.tables.counters(), datapath.tables.trackedFlows(), datapath.tables.vipStats(0)];
    for (let port = 1; port < 50; port++) {
      datapath.simulate(flow(`tcp 203.0.113.77:${port} -> 198.51.100.10:80`));
      datapath.simulate(flow(`udp 203.0.113.77:${port} -> 198.51.100.10:53`));
      datapath.simulate(flow(`tcp 203.0.113.77:${port} -> 198.51.100.13:80`));
    }
    expect([datapath.tables.counters(), datapath.tables.trackedFlows(), datapath.tables.vipStats(0)]).toEqual(
      before,
    );
    expect(datapath.run(flow('tcp 203.0.113.77:7 -> 198.51.100.10:80')).verdict).toBe(3);
  });

  it('sees what is configured while it runs', () => {
    const datapath = running();
    const text = 'tcp 203.0.113.77:1 -> 198.51.100.77:80';
    expect(datapath.simulate(flow(text)).reason).toBe('no_vip');
    datapath.tables.putVip(vipOf('198.51.100.77', 80, 'tcp'), { flags: VIP_FLAGS.LRU_BYPASS, number: 8 });
    datapath.tables.putVipRing(8, 0);
    expect(datapath.simulate(flow(text))).toMatchObject({ vip: '198.51.100.77:80/tcp', backend: REAL_4 });
  });
});
