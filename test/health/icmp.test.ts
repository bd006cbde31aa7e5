import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TIMED_OUT } from '../../control-plane/health/probes/attempt.js';
import { Pinger } from '../../control-plane/health/probes/icmp.js';
import { echoRequest, readAnswer } from '../../control-plane/health/probes/icmp-messages.js';
import { type IcmpProbe, type ProbeResult, SYSTEM_CLOCK } from '../../control-plane/health/types.js';
import { missingRoot, noting } from '../support/capabilities.js';
import { addVeth, enterNamespace, sh } from '../support/namespace.js';
import { targetOf } from './checks.js';

function withoutModule(): string | undefined {
  try {
    createRequire(import.meta.url)('raw-socket');
    return undefined;
  } catch {
    return 'needs the optional package raw-socket';
  }
}
const missing = missingRoot ?? withoutModule();

async function ping(
  pinger: Pinger,
  address: string,
  timeoutMs = 2000,
  payloadBytes = 56,
): Promise<ProbeResult> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(TIMED_OUT), timeoutMs);
  const probe: IcmpProbe = { kind: 'icmp', payloadBytes };
  try {
    return await pinger.probe(targetOf('t', 0, address), probe, timeoutMs, controller.signal);
  } finally {
    clearTimeout(timer);
  }
}

describe.skipIf(missing)(`echo requests${noting(missing)}`, () => {
  const pinger = new Pinger(SYSTEM_CLOCK);
  beforeAll(() => {
    enterNamespace();
    // What the main thread opens from now on belongs to the new namespace; so does what answers it.
    addVeth('gone', 'nobody');
    sh('ip addr add 10.9.0.1/24 dev gone');
    sh('ip -6 addr add fd00:9::1/64 dev gone nodad');
    sh('ip route add unreachable 10.8.0.0/24');
    sh('ip -6 route add unreachable fd00:8::/64');
  });
  afterAll(() => pinger.close());

  const rows: readonly [
    rule: string,
    address: string,
    ok: boolean,
    detail: RegExp,
    timeoutMs?: number,
    payload?: number,
  ][] = [
    ['answers', '127.0.0.1', true, /^echo reply$/],
    ['answers over IPv6', '::1', true, /^echo reply$/],
    ['answers without a payload', '127.0.0.1', true, /^echo reply$/, 2000, 0],
    ['answers with a large one', '::1', true, /^echo reply$/, 2000, 1412],
    ['says nothing', '10.9.0.9', false, /^no echo reply within 150 ms$/, 150],
    ['says nothing over IPv6', 'fd00:9::9', false, /^no echo reply within 150 ms$/, 150],
    ['has no route', '10.8.0.9', false, /^host unreachable$/],
    ['has no route over IPv6', 'fd00:8::9', false, /^(host|network) unreachable$/],
  ];
  for (const [rule, address, ok, detail, timeoutMs, payload] of rows) {
    it(`a target that ${rule}`, async () => {
      const result = await ping(pinger, address, timeoutMs, payload);
      expect(result).toMatchObject({ ok, local: false, detail: expect.stringMatching(detail) });
    });
  }

  it('a router that knows no way says so, and who it is', async () => {
    sh('ip netns add waggle-far');
    try {
      sh('ip link add near type veth peer name far netns waggle-far');
      sh('ip addr add 10.7.0.1/24 dev near');
      sh('ip link set near up');
      for (const line of [
        'addr add 10.7.0.2/24 dev far',
        'link set far up',
        'link set lo up',
        'route add unreachable 10.6.0.0/24',
      ])
        sh(`ip -n waggle-far ${line}`);
      sh('ip netns exec waggle-far sysctl -qw net.ipv4.ip_forward=1');
      sh('ip route add 10.6.0.0/24 via 10.7.0.2');
      const result = await ping(pinger, '10.6.0.9');
      expect(result).toMatchObject({ ok: false, detail: 'host unreachable, says 10.7.0.2' });
    } finally {
      sh('ip netns del waggle-far');
    }
  });

  it('thousands at once are told apart, and those that wait for a dead neighbour hold up nobody', async () => {
    const addresses = Array.from({ length: 2000 }, (_, i) =>
      i % 4 === 3 ? '10.9.0.9' : `127.0.${i >> 8}.${(i % 250) + 1}`,
    );
    const results = await Promise.all(addresses.map((address) => ping(pinger, address, 1500)));
    expect(results.every(({ local }) => !local)).toBe(true);
    expect(results.map(({ ok }) => ok)).toEqual(addresses.map((address) => address.startsWith('127.')));
  });

  it('closes, and opens again when it is wanted', async () => {
    pinger.close();
    pinger.close();
    expect((await ping(pinger, '127.0.0.1')).ok).toBe(true);
  });
});

describe('where no raw socket can be had', () => {
  const rows: readonly [rule: string, load: () => never, detail: string][] = [
    [
      'the package is missing',
      () => {
        throw new Error('Cannot find module');
      },
      'this host: ICMP checks need the optional package raw-socket, which is not installed',
    ],
  ];
  for (const [rule, load, detail] of rows) {
    it(`${rule}: this host is to blame`, async () => {
      const result = await ping(new Pinger(SYSTEM_CLOCK, load), '127.0.0.1');
      expect(result).toMatchObject({ ok: false, local: true, detail });
    });
  }

  it('the right is missing: this host is to blame', async () => {
    const load = () => ({
      createSocket: () => {
        throw new Error('Operation not permitted');
      },
    });
    const result = await ping(new Pinger(SYSTEM_CLOCK, load), '127.0.0.1');
    expect(result).toMatchObject({
      ok: false,
      local: true,
      detail: 'this host: ICMP checks need CAP_NET_RAW: Operation not permitted',
    });
  });
});

describe('messages', () => {
  const ipv4 = (protocol: number, message: Buffer, words = 5) => {
    const header = Buffer.alloc(words * 4);
    header[0] = 0x40 | words;
    header[9] = protocol;
    return Buffer.concat([header, message]);
  };
  const ipv6 = (next: number, message: Buffer) => {
    const header = Buffer.alloc(40);
    header[0] = 0x60;
    header[6] = next;
    return Buffer.concat([header, message]);
  };
  const typed = (type: number, code: number, rest: Buffer) =>
    Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), rest]);
  const request4 = echoRequest(4, 0x1234, 7, Buffer.from('abc'));
  const request6 = echoRequest(6, 0x1234, 7, Buffer.from('abc'));
  const reply4 = Buffer.from(request4).fill(0, 0, 1);
  const reply6 = Buffer.from(request6).fill(129, 0, 1);

  it('a request is what RFC 792 says', () => {
    expect(request4.subarray(0, 2).toString('hex')).toBe('0800');
    let sum = 0;
    for (const at of [0, 2, 4, 6, 8]) sum += request4.readUInt16BE(at);
    sum += request4[10]! << 8;
    expect(((sum & 0xffff) + (sum >>> 16)) & 0xffff).toBe(0xffff);
    expect(request6[0]).toBe(128);
  });

  const rows: readonly [rule: string, family: 4 | 6, packet: Buffer, answer: object | undefined][] = [
    ['a reply', 4, ipv4(1, reply4), { kind: 'reply', id: 0x1234, sequence: 7, payload: Buffer.from('abc') }],
    ['a reply behind IP options', 4, ipv4(1, reply4, 7), { kind: 'reply', sequence: 7 }],
    ['a reply over IPv6', 6, reply6, { kind: 'reply', id: 0x1234, sequence: 7 }],
    [
      'an error',
      4,
      ipv4(1, typed(3, 1, ipv4(1, request4))),
      { kind: 'error', id: 0x1234, sequence: 7, what: 'host unreachable' },
    ],
    [
      'an error of a code without a name',
      4,
      ipv4(1, typed(3, 15, ipv4(1, request4))),
      { what: 'unreachable (code 15)' },
    ],
    ['time exceeded', 4, ipv4(1, typed(11, 0, ipv4(1, request4))), { what: 'time exceeded' }],
    [
      'an error over IPv6',
      6,
      typed(1, 3, ipv6(58, request6)),
      { kind: 'error', sequence: 7, what: 'host unreachable' },
    ],
    ['an error about UDP', 4, ipv4(1, typed(3, 3, ipv4(17, request4))), undefined],
    ['an error about a reply', 4, ipv4(1, typed(3, 1, ipv4(1, reply4))), undefined],
    ['an error with no packet in it', 4, ipv4(1, typed(3, 1, Buffer.alloc(0))), undefined],
    [
      'an error over IPv6 cut in the inner header',
      6,
      typed(1, 0, ipv6(58, request6).subarray(0, 30)),
      undefined,
    ],
    ['a request', 4, ipv4(1, request4), undefined],
    ['cut in the header', 4, ipv4(1, reply4).subarray(0, 25), undefined],
    [
      'a header that is longer than the packet',
      4,
      ipv4(1, reply4).fill(0x4f, 0, 1).subarray(0, 40),
      undefined,
    ],
    ['nothing', 6, Buffer.alloc(0), undefined],
  ];
  for (const [rule, family, packet, answer] of rows) {
    it(rule, () => {
      if (answer === undefined) expect(readAnswer(family, packet)).toBeUndefined();
      else expect(readAnswer(family, packet)).toMatchObject(answer);
    });
  }

  it('a packet cut anywhere raises nothing', () => {
    for (const [, family, packet] of rows) {
      for (let length = 0; length <= packet.length; length++)
        expect(() => readAnswer(family, packet.subarray(0, length))).not.toThrow();
    }
  });
});
