import { describe, expect, it } from 'vitest';
import { BPF_PRELUDE } from '../../../test/support/bpf-helpers.js';
import { compileC, missingClang } from '../../../test/support/clang.js';
import { caught } from '../../../test/support/objects.js';
import { CodedError } from '../../errors.js';
import { loadObject } from '../object/load.js';
import { ENGINES } from '../sandbox.js';
import { VerifyError } from '../verifier/admit.js';
import { MachineError } from './fault.js';
import { Machine, type MachineOptions } from './machine.js';

const SOURCE = `${BPF_PRELUDE}
struct flow { __u32 saddr; __u32 dport; };
struct event { __u32 length; __u8 first[4]; };
struct { __uint(type, 1); __uint(max_entries, 16); __type(key, struct flow); __type(value, __u64); } flows SEC(".maps");
struct { __uint(type, 6); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } runs SEC(".maps");
struct { __uint(type, 27); __uint(max_entries, 4096); } ring SEC(".maps");
struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
struct { __uint(type, 14); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4); } devices SEC(".maps");
char LICENSE[] SEC("license") = "GPL";
const volatile __u32 limit = 3; __u64 seen = 10; __u32 times[2]; struct event *described;

SEC("xdp") int count(struct xdp_md *ctx) {
  struct flow key = { ctx->ingress_ifindex, ctx->rx_queue_index };
  __u64 one = 1, *known = bpf_map_lookup_elem(&flows, &key);
  __sync_fetch_and_add(&seen, 1);
  if (!known) return bpf_map_update_elem(&flows, &key, &one, 0) ? 0 : 2;
  return ++*known > limit ? 1 : 2;
}
SEC("xdp") int swap(struct xdp_md *ctx) {
  __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  if (data + 12 > end) return 1;
  for (int i = 0; i < 6; i++) { __u8 kept = data[i]; data[i] = data[i + 6]; data[i + 6] = kept; }
  return 3;
}
SEC("xdp") int grow(struct xdp_md *ctx) {
  if (bpf_xdp_adjust_head(ctx, -4)) return 0;
  __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  if (data + 1 > end) return 0;
  data[0] = 0xaa;
  return 2;
}
SEC("xdp") int note(struct xdp_md *ctx) {
  __u8 *data = (void *)(long)ctx->data, *meta = (void *)(long)ctx->data_meta;
  if (meta + 4 > data) return 1;
  meta[1]++;
  return 2;
}
SEC("xdp") int careless(struct xdp_md *ctx) { return *(__u8 *)(long)ctx->data == 0xff ? 1 : 2; }
SEC("xdp") int clock(struct xdp_md *ctx) { return bpf_ktime_get_ns(); }
SEC("xdp") int percpu(struct xdp_md *ctx) {
  __u32 zero = 0; __u64 *n = bpf_map_lookup_elem(&runs, &zero);
  if (n) ++*n;
  return 2;
}
SEC("xdp") int tell(struct xdp_md *ctx) {
  __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  if (data + 4 > end) return 1;
  struct event event = { end - data, { data[0], data[1], data[2], data[3] } };
  return bpf_ringbuf_output(&ring, &event, sizeof(event), 0) ? 0 : 2;
}
SEC("xdp") int sample(struct xdp_md *ctx) {
  struct event event = { ctx->data_end - ctx->data, { 1, 2, 3, 4 } };
  return bpf_perf_event_output(ctx, &perf, 0xffffffff | (2ULL << 32), &event, sizeof(event)) ? 1 : 2;
}
SEC("xdp") int send(struct xdp_md *ctx) { return bpf_redirect(7, 0); }
SEC("xdp") int send_by_map(struct xdp_md *ctx) { return bpf_redirect_map(&devices, 2, 1); }
SEC("tc") int mark(struct __sk_buff *skb) {
  skb->mark += 5; skb->cb[2] = skb->len;
  return skb->protocol == 0x0008 ? -1 : 2;
}
SEC("kprobe/nothing") int probe(void *ctx) { return 0; }
`;

const PRINTS = `${BPF_PRELUDE}
static long (*print_trace)(const char *, __u32, ...) = (void *)6;
SEC("xdp") int print(struct xdp_md *ctx) {
  static const char format[] = "length %d\\n";
  print_trace(format, sizeof(format), ctx->data_end - ctx->data);
  return 2;
}
char _license[] SEC("license") = "GPL";
`;

const TAIL_CALLS = `${BPF_PRELUDE}
int first(struct xdp_md *ctx); int second(struct xdp_md *ctx);
struct { __uint(type, 3); __uint(max_entries, 4); __uint(key_size, 4);
  __array(values, int (void *)); } next SEC(".maps") = { .values = { [1] = (void *)&first } };
SEC("xdp") int first(struct xdp_md *ctx) { return 1; }
SEC("xdp") int second(struct xdp_md *ctx) { return 3; }
SEC("xdp") int entry(struct xdp_md *ctx) { bpf_tail_call(ctx, &next, ctx->rx_queue_index); return 2; }
`;

const note = missingClang === undefined ? '' : ` (skipped: ${missingClang})`;
const load = (source: string) => loadObject(compileC(source));
const code = (run: () => unknown) => {
  const error = caught(run);
  return error instanceof CodedError ? error.code : error;
};

describe.skipIf(missingClang).each(ENGINES)(`a machine with the %s${note}`, (engine) => {
  const object = missingClang === undefined ? load(SOURCE) : undefined;
  const machine = (options: MachineOptions = {}) => Machine.create(object!, { engine, ...options });
  const packet = Uint8Array.from({ length: 60 }, (_, i) => i);

  it('runs a program over packets; maps and globals are kept', () => {
    const m = machine();
    const flows = m.map<{ saddr: number; dport: number }, bigint>('flows');
    const verdicts = Array.from(
      { length: 5 },
      () => m.program('count').run(packet, { ingressIfindex: 9 }).verdict,
    );
    expect(verdicts).toEqual(['XDP_PASS', 'XDP_PASS', 'XDP_PASS', 'XDP_DROP', 'XDP_DROP']);
    expect([...flows]).toEqual([[{ saddr: 9, dport: 0 }, 5n]]);
    expect(m.global('seen').value).toBe(15n);
    flows.set({ saddr: 9 }, 1);
    m.program('count').run(packet, { ingressIfindex: 8, fields: { rx_queue_index: 4 } });
    expect(flows.get({ saddr: 8, dport: 4 })).toBe(1n);
  });

  it('globals: initial values, constants, arrays; what cannot be set', () => {
    const m = machine({ globals: { limit: 0, seen: 1n, times: [5, 6] } });
    const verdicts = Array.from({ length: 2 }, () => m.program('count').run(packet).verdict);
    expect(verdicts).toEqual(['XDP_PASS', 'XDP_DROP']);
    expect(m.global('seen').value).toBe(3n);
    expect(m.global('times').value).toEqual([5, 6]);
    const times = m.global<readonly number[]>('times');
    times.value = [7, 8];
    expect(times.value).toEqual([7, 8]);
    expect(m.global('limit').value).toBe(0);
    expect(code(() => m.global<number>('limit').set(1))).toBe('MACHINE_CONSTANT');
    expect(code(() => m.global('nothing'))).toBe('MACHINE_GLOBAL');
    expect(code(() => machine({ globals: { nothing: 1 } }))).toBe('GLOBAL_MISSING');
    expect(code(() => machine({ globals: { limit: -1 } }))).toBe('GLOBAL_VALUE');
    // The object itself is as it was.
    expect(machine().global('limit').value).toBe(3);
  });

  it('a map of a type that is not offered hinders only the programs that use it', () => {
    const m = Machine.create(
      load(`${BPF_PRELUDE}
        struct { __uint(type, 7); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 1016); } traces SEC(".maps");
        struct { __uint(type, 2); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); } runs SEC(".maps");
        SEC("xdp") int counts(struct xdp_md *ctx) {
          __u32 zero = 0, *n = bpf_map_lookup_elem(&runs, &zero);
          return n ? ++*n : 0;
        }
        SEC("xdp") int asks(struct xdp_md *ctx) { __u32 zero = 0; return bpf_map_lookup_elem(&traces, &zero) ? 1 : 2; }`),
      { engine },
    );
    expect([m.program('counts').run(packet), m.program('counts').run(packet)]).toMatchObject([
      { returnValue: 1 },
      { returnValue: 2 },
    ]);
    expect(m.maps).toEqual(['runs']);
    expect(code(() => m.map('traces'))).toBe('MACHINE_MAP_TYPE');
    expect(code(() => m.program('asks'))).toBe('MACHINE_LOAD');
    expect(
      [...m.refused.values()].map((error) =>
        code(() => {
          throw error;
        }),
      ),
    ).toEqual(['MACHINE_MAP_TYPE']);
  });

  it('gives the packet as the program left it', () => {
    const m = machine();
    const { verdict, returnValue, packet: after } = m.program('swap').run(packet);
    expect({ verdict, returnValue }).toEqual({ verdict: 'XDP_TX', returnValue: 3 });
    expect([...after.subarray(0, 13)]).toEqual([6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12]);
    expect([...packet.subarray(0, 2)]).toEqual([0, 1]);
    const grown = m.program('grow').run(packet);
    expect(grown.packet.length).toBe(64);
    expect([...grown.packet.subarray(0, 6)]).toEqual([0xaa, 0, 0, 0, 0, 1]);
    expect(grown.metadata.length).toBe(0);
    expect(m.program('note').run(packet).verdict).toBe('XDP_DROP');
    const noted = m.program('note').run(packet, { metadata: Uint8Array.of(1, 2, 3, 4) });
    expect({ verdict: noted.verdict, metadata: [...noted.metadata] }).toEqual({
      verdict: 'XDP_PASS',
      metadata: [1, 3, 3, 4],
    });
    expect(code(() => m.program('swap').run(new Uint8Array(70000)))).toBe('PACKET_ROOM');
  });

  it('a TC program sees and changes fields of __sk_buff', () => {
    const m = machine();
    const ip = Uint8Array.from(packet);
    ip.set([8, 0], 12);
    const run = m.program('mark').run(ip, { fields: { mark: 2 } });
    expect({ verdict: run.verdict, value: run.returnValue }).toEqual({ verdict: 'TC_ACT_UNSPEC', value: -1 });
    expect(run.fields).toMatchObject({ mark: 7, cb: [0, 0, 60, 0, 0], len: 60, ifindex: 1 });
    expect(m.program('mark').run(packet).verdict).toBe('TC_ACT_SHOT');
    expect(code(() => m.program('mark').run(ip, { fields: { nothing: 1 } }))).toBe('PACKET_FIELD');
    expect(code(() => m.program('mark').run(ip, { fields: { data: 1 } }))).toBe('PACKET_FIELD');
  });

  it('the clock is the one that is given, 0 without', () => {
    let now = 41n;
    const m = machine({ clock: () => ++now });
    expect([1, 2].map(() => m.program('clock').run(packet).returnValue)).toEqual([42, 43]);
    expect(machine().program('clock').run(packet).returnValue).toBe(0);
  });

  it('several CPUs have copies of their own', () => {
    const m = machine({ cpus: 2 });
    for (const cpu of [0, 1, 1]) m.program('percpu').run(packet, { cpu });
    expect(m.map('runs').get(0)).toEqual([1n, 2n, 0n]);
    expect(code(() => m.program('percpu').run(packet, { cpu: 2 }))).toBe('MACHINE_CPU');
  });

  it('events of a ring buffer, by type', () => {
    const m = machine();
    const events = m.events<{ length: number; first: Uint8Array }>('ring', 'event');
    expect(events.read()).toEqual([]);
    for (const byte of [1, 2]) m.program('tell').run(new Uint8Array(20).fill(byte));
    expect(events.read().map(({ value }) => value)).toEqual([
      { length: 20, first: Uint8Array.of(1, 1, 1, 1) },
      { length: 20, first: Uint8Array.of(2, 2, 2, 2) },
    ]);
    expect(events.read()).toEqual([]);
    expect(code(() => m.events('perf', 'nothing'))).toBe('MACHINE_TYPE');
  });

  it('samples of a perf array, with the packet behind them', () => {
    const m = machine({ cpus: 2 });
    expect(m.program('sample').run(packet).verdict).toBe('XDP_DROP');
    const events = m.events<{ length: number; first: Uint8Array }>('perf', 'event');
    expect(m.program('sample').run(packet, { cpu: 1 }).verdict).toBe('XDP_PASS');
    expect(events.read()).toEqual([
      {
        value: { length: 60, first: Uint8Array.of(1, 2, 3, 4) },
        data: Uint8Array.of(60, 0, 0, 0, 1, 2, 3, 4, 0, 1),
        cpu: 1,
      },
    ]);
    expect(events.lost).toBe(0n);
  });

  it('what programs printed', () => {
    const m = Machine.create(load(PRINTS), { engine, clock: () => 77n });
    m.program('print').run(packet);
    m.program('print').run(packet.subarray(0, 20));
    expect(m.traceLog()).toEqual([
      { cpu: 0, timeNs: 77n, text: 'length 60' },
      { cpu: 0, timeNs: 77n, text: 'length 20' },
    ]);
    expect(m.traceLog()).toEqual([]);
  });

  it('says where a packet was redirected', () => {
    const m = machine();
    expect(m.program('send').run(packet)).toMatchObject({ verdict: 'XDP_REDIRECT', redirect: { target: 7 } });
    expect(m.program('send_by_map').run(packet).verdict).toBe('XDP_DROP');
    m.map('devices').set(2, 33);
    const { redirect, verdict } = m.program('send_by_map').run(packet);
    expect({ redirect, verdict }).toEqual({
      verdict: 'XDP_REDIRECT',
      redirect: { target: 33, map: 'devices', key: 2, flags: 0n },
    });
  });

  it('names what it does not have, and refuses everything when closed', () => {
    const m = machine();
    expect(m.programs).toContain('count');
    expect(m.programs).not.toContain('probe');
    expect(code(() => m.program('probe'))).toBe('MACHINE_PROGRAM');
    expect(code(() => m.map('nothing'))).toBe('MACHINE_MAP');
    expect(code(() => machine({ maxEntries: { nothing: 1 } }))).toBe('MACHINE_MAP');
    m.close();
    m.close();
    expect(code(() => m.program('count'))).toBe('MACHINE_CLOSED');
    expect(code(() => m.map('flows'))).toBe('MACHINE_CLOSED');
  });

  it('maps of other sizes', () => {
    const m = machine({ maxEntries: { flows: 1 } });
    expect(m.map('flows').spec.maxEntries).toBe(1);
  });

  it('a program that the verifier refuses is not run; the others are', () => {
    const m = machine({});
    const error = caught(() => m.program('careless'));
    expect(error).toBeInstanceOf(MachineError);
    expect((error as MachineError).code).toBe('MACHINE_LOAD');
    expect((error as MachineError).cause).toBeInstanceOf(VerifyError);
    expect((error as MachineError).message).toContain('compare with its end before the access');
    expect((error as MachineError).message).toContain('R1 offset is outside of the packet');
    expect(m.program('count').run(packet).verdict).toBe('XDP_PASS');
    // Who trusts the object runs it all the same.
    expect(machine({ verify: false }).program('careless').run(packet).verdict).toBe('XDP_PASS');
  });

  it('tail calls go where the slots say, by names of programs', () => {
    const m = Machine.create(load(TAIL_CALLS), { engine });
    const next = m.map<number, string>('next');
    const entry = (rx_queue_index: number) =>
      m.program('entry').run(packet, { fields: { rx_queue_index } }).verdict;
    expect([0, 1, 2].map(entry)).toEqual(['XDP_PASS', 'XDP_DROP', 'XDP_PASS']);
    next.set(2, 'second');
    expect([...next]).toEqual([
      [1, 'first'],
      [2, 'second'],
    ]);
    expect([0, 1, 2].map(entry)).toEqual(['XDP_PASS', 'XDP_DROP', 'XDP_TX']);
    next.set(1, 'second').delete(2);
    expect([0, 1, 2].map(entry)).toEqual(['XDP_PASS', 'XDP_TX', 'XDP_PASS']);
    expect(code(() => next.set(1, 'nothing'))).toBe('MACHINE_PROGRAM');
  });
});
