import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliBed, vipFlags } from '../../test/support/cli-bed.js';

let bed: CliBed;
beforeAll(async () => {
  bed = await CliBed.start();
  await bed.serve('--weight', '3');
  await bed.must('create', 'backend', 'web/b', '--address', '10.0.0.2');
});
afterAll(() => bed.stop());

describe('every field of a resource has a flag, which create and set put where the API has it', () => {
  const rows: readonly [kind: string, create: string[], set: string[], is: object, becomes: object][] = [
    [
      'vip',
      [
        ...vipFlags('192.0.2.2', '53', 'udp'),
        '--flags',
        'lru-bypass,quic-vip',
        '--ring',
        'maglev-v1',
        '--display-name',
        'DNS',
      ],
      ['--flags', '', '--ring', 'pool', '--down-backends', '10.0.0.1', '--display-name', 'Names'],
      {
        address: '192.0.2.2',
        port: 53,
        protocol: 'PROTOCOL_UDP',
        pool: 'pools/web',
        flags: ['VIP_FLAG_LRU_BYPASS', 'VIP_FLAG_QUIC_VIP'],
        ringAlgorithm: 'RING_ALGORITHM_MAGLEV_V1',
        displayName: 'DNS',
      },
      {
        flags: [],
        ringAlgorithm: 'RING_ALGORITHM_UNSPECIFIED',
        downBackends: ['10.0.0.1'],
        displayName: 'Names',
      },
    ],
    [
      'pool',
      [
        '--display-name',
        'X',
        '--drain-timeout',
        '10m',
        '--slow-start',
        '30s,20%,5',
        '--panic-policy',
        'drop',
        '--panic-threshold',
        '50',
        '--ring',
        'maglev-v1',
      ],
      [
        '--drain-timeout',
        'none',
        '--slow-start',
        'none',
        '--panic-policy',
        'last-resort',
        '--ring',
        'maglev-v2',
      ],
      {
        displayName: 'X',
        drainTimeout: '600s',
        slowStart: { window: '30s', minWeightPercent: 20, steps: 5 },
        panicPolicy: 'PANIC_POLICY_DROP',
        panicThresholdPercent: 50,
        ringAlgorithm: 'RING_ALGORITHM_MAGLEV_V1',
      },
      {
        panicPolicy: 'PANIC_POLICY_LAST_RESORT',
        ringAlgorithm: 'RING_ALGORITHM_MAGLEV_V2',
      },
    ],
    [
      'backend',
      ['--address', '10.0.0.3', '--weight', '5', '--mac', '02:00:00:00:00:07', '--local', 'on'],
      ['--weight', '6', '--mac', '', '--local', 'off', '--state', 'disabled'],
      { address: '10.0.0.3', weight: 5, macAddress: '02:00:00:00:00:07', local: true },
      { weight: 6, macAddress: '', local: false, adminState: 'ADMIN_STATE_DISABLED' },
    ],
    [
      'health-check',
      [
        '--probe',
        'https',
        '--port',
        '8443',
        '--http-path',
        '/up',
        '--method',
        'POST',
        '--statuses',
        '200-299,304',
        '--host',
        'web.example',
        '--expect',
        'ok',
        '--verify',
        'off',
        '--via',
        'tunnel',
        '--interval',
        '10s',
        '--timeout',
        '1500ms',
        '--fast-interval',
        '1s',
        '--initial-delay',
        '30s',
        '--rise',
        '4',
        '--fall',
        '5',
        '--jitter',
        '20',
        '--first-result-decides',
        'off',
        '--display-name',
        'Up',
      ],
      ['--probe', 'udp', '--send', '0x01ff', '--expect', 'pong', '--via', 'direct', '--rise', '1'],
      {
        http: {
          port: 8443,
          tls: true,
          tlsInsecureSkipVerify: true,
          host: 'web.example',
          path: '/up',
          method: 'POST',
          expectedStatuses: [
            { first: 200, last: 299 },
            { first: 304, last: 304 },
          ],
          expectBody: 'ok',
        },
        path: 'PATH_TUNNEL',
        interval: '10s',
        timeout: '1.5s',
        fastInterval: '1s',
        initialDelay: '30s',
        healthyThreshold: 4,
        unhealthyThreshold: 5,
        jitterPercent: 20,
        firstResultDecides: false,
        displayName: 'Up',
      },
      {
        udp: { send: 'Af8=', expectPrefix: Buffer.from('pong').toString('base64') },
        path: 'PATH_DIRECT',
        healthyThreshold: 1,
        unhealthyThreshold: 5,
      },
    ],
  ];
  for (const [kind, create, set, is, becomes] of rows) {
    it(kind, async () => {
      const name = kind === 'backend' ? 'web/x' : 'x';
      expect(await bed.must('create', kind, name, ...create)).toContain(
        `${kind.replace('-', ' ')} ${name} created`,
      );
      expect(await bed.json('get', kind, name)).toMatchObject(is);
      await bed.must('set', kind, name, ...set);
      expect(await bed.json('get', kind, name)).toMatchObject(becomes);
      expect(await bed.must('delete', kind, name)).toBe(`${kind.replace('-', ' ')} ${name} deleted\n`);
    });
  }

  it('what is none is not set', async () => {
    await bed.must('create', 'pool', 'n', '--drain-timeout', '1m', '--slow-start', '10s');
    await bed.must('set', 'pool', 'n', '--drain-timeout', 'none', '--slow-start', 'none');
    const pool = await bed.json('get', 'pool', 'n');
    expect(pool).not.toHaveProperty('drainTimeout');
    expect(pool).not.toHaveProperty('slowStart');
    await bed.must('delete', 'pool', 'n');
  });

  it('probes of every kind', async () => {
    const probes: readonly [flags: string[], message: object][] = [
      [
        ['tcp', '--send', 'PING', '--expect', '+PONG'],
        { tcp: { send: 'UElORw==', expectPrefix: 'K1BPTkc=' } },
      ],
      [['http'], { http: { tls: false, reuseConnection: false } }],
      [['https', '--reuse-connection', 'on'], { http: { tls: true, reuseConnection: true } }],
      [['grpc', '--service', 's', '--host', 'h'], { grpc: { service: 's', host: 'h', tls: false } }],
      [
        ['grpcs', '--verify', 'on', '--reuse-connection', 'on'],
        { grpc: { tls: true, tlsInsecureSkipVerify: false, reuseConnection: true } },
      ],
      [['icmp', '--payload-bytes', '100'], { icmp: { payloadBytes: 100 } }],
    ];
    for (const [flags, message] of probes) {
      await bed.must('create', 'hc', 'p', '--probe', ...flags);
      expect(await bed.json('get', 'hc', 'p')).toMatchObject(message);
      await bed.must('delete', 'hc', 'p');
    }
  });
});

describe('what is no field of the API', () => {
  it('server ids, source routes and flows from outside are set together, and deleted', async () => {
    expect(await bed.must('set', 'server-id', '17=10.0.0.1', '18=10.0.0.2')).toBe(
      '2 server ids set, 2 in all\n',
    );
    expect(await bed.json('get', 'server-ids')).toEqual([
      { id: 17, backendAddress: '10.0.0.1' },
      { id: 18, backendAddress: '10.0.0.2' },
    ]);
    expect(await bed.must('delete', 'server-id', '17')).toBe('1 server id deleted, 1 left\n');
    await bed.must('set', 'source-route', '203.0.113.0/24=10.0.0.1', '198.51.100.0/24=10.0.0.1');
    expect(await bed.must('get', 'source-routes')).toContain('198.51.100.0/24  10.0.0.1');
    await bed.must('delete', 'source-route', '203.0.113.0/24');
    const flow = 'tcp 198.51.100.7:4000 -> 192.0.2.1:80';
    await bed.must('set', 'global-flow', flow, '10.0.0.1');
    expect(await bed.must('get', 'global-flows')).toContain(flow);
    expect(await bed.must('delete', 'global-flow', flow)).toBe('1 global flow deleted, 0 left\n');
  });

  it('options of the program', async () => {
    await bed.must(
      'set',
      'node',
      '--option',
      'udp-timeout=1m',
      '--option',
      'encapsulation=ipip',
      '--option',
      'vlan-tags=off',
    );
    expect(await bed.must('get', 'options')).toMatch(
      /encapsulation +ipip\n[\s\S]*vlan-tags +off\n[\s\S]*udp-timeout +1m/,
    );
    await bed.must('set', 'node', '--option', 'vlan-tags=default', '--counted-vip', 'web');
    expect(await bed.must('get', 'options')).toMatch(/vlan-tags +default/);
    expect(await bed.json('describe', 'node')).toMatchObject({ config: { countedVip: 'vips/web' } });
  });

  it('a filter and an order are the server’s', async () => {
    const names = (await bed.json('get', 'backends', '--filter', 'weight > 1')) as { name: string }[];
    expect(names.map(({ name }) => name)).toEqual(['pools/web/backends/a']);
    const ordered = (await bed.json('get', 'backends', '--order-by', 'address desc')) as {
      address: string;
    }[];
    expect(ordered.map(({ address }) => address)).toEqual(['10.0.0.2', '10.0.0.1']);
  });

  it('wide tables have more columns', async () => {
    const [table, wide] = [await bed.must('get', 'vips'), await bed.must('get', 'vips', '-o', 'wide')];
    expect(table).not.toContain('REVISION');
    expect(wide).toMatch(/FLAGS +RING +REVISION/);
  });

  it('an etag that is not current is refused, and says which code explains it', async () => {
    const result = await bed.run('set', 'backend', 'web/a', '--weight', '9', '--etag', 'old');
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/^Error: .*has changed since it was read.* \[ETAG_MISMATCH\]\n$/);
  });
});

describe('drain', () => {
  it('of a backend, with a deadline, waiting', async () => {
    expect(await bed.must('drain', 'backend', 'web/b', '--timeout', '10m', '--wait')).toBe(
      'backend web/b is drained: no connection is left\n',
    );
    expect(await bed.must('get', 'backend', 'web/b', '-o', 'wide')).toMatch(/drained .* in (10m 0s|9m \d+s)/);
    expect(await bed.must('undrain', 'backend', 'web/b')).toBe('backend web/b is in service\n');
  });

  it('of a host', async () => {
    expect(await bed.must('drain', 'host', '10.0.0.1')).toMatch(
      /^1 backend with the address 10\.0\.0\.1 is drained\n[\s\S]*web\/a/,
    );
    expect(await bed.must('undrain', 'host', '10.0.0.1')).toBe(
      '1 backend with the address 10.0.0.1 is in service\n',
    );
    expect(await bed.run('drain', 'host', '10.9.9.9')).toMatchObject({ status: 1 });
  });
});

describe('wrong usage is a line that names the flag and the rule, and status 2', () => {
  const rows: readonly [rule: string, args: string[], says: RegExp][] = [
    [
      'a flag of a VIP that is none',
      ['set', 'vip', 'web', '--flags', 'fast'],
      /--flags.*fast is not one of: hash-no/,
    ],
    [
      'a span of time that is none',
      ['set', 'pool', 'web', '--drain-timeout', '10'],
      /--drain-timeout.*10 is not a span/,
    ],
    ['a slow start that is none', ['set', 'pool', 'web', '--slow-start', '10s,a'], /--slow-start.*WINDOW/],
    ['a share over 100', ['set', 'pool', 'web', '--panic-threshold', '101'], /--panic-threshold.*0\.\.100/],
    ['a probe’s flag without its probe', ['set', 'hc', 'x', '--port', '80'], /--port: goes with --probe/],
    [
      'a flag of another probe',
      ['create', 'hc', 'x', '--probe', 'icmp', '--port', '80'],
      /--port: is not for icmp/,
    ],
    [
      'a status that is none',
      ['create', 'hc', 'x', '--probe', 'http', '--statuses', 'ok'],
      /--statuses.*ok is not/,
    ],
    ['half a byte', ['create', 'hc', 'x', '--probe', 'tcp', '--send', '0x1'], /--send.*even number/],
    ['a switch', ['set', 'backend', 'web/a', '--local', 'yes'], /--local.*on, off/],
    ['a pair without its address', ['set', 'server-id', '17'], /"17" is not of the form ID=/],
    ['a server id that is no number', ['set', 'server-id', 'x=10.0.0.1'], /server id: "x"/],
    [
      'a flow that is none',
      ['set', 'global-flow', 'tcp a -> b', '10.0.0.1'],
      /flow: "tcp a -> b" is not a flow/,
    ],
    ['a port of a flow', ['set', 'global-flow', 'tcp 1.2.3.4:70000 -> 1.2.3.4:1', '10.0.0.1'], /port 70000/],
    ['an option that there is not', ['set', 'node', '--option', 'turbo=on'], /there is no option "turbo"/],
    [
      'a value of an option',
      ['set', 'node', '--option', 'vlan-tags=maybe'],
      /vlan-tags: "maybe" is not on, off/,
    ],
    ['nothing to set on a node', ['set', 'node'], /nothing to set.*--option/],
    ['a name of what has none', ['get', 'revision', '3'], /not asked for by name/],
    ['a filter of what has none', ['get', 'flows', '--filter', 'a = 1'], /--filter: goes with lists/],
    ['a flow’s filter elsewhere', ['get', 'vips', '--client', '10.0.0.0/8'], /--client: goes with flows/],
    ['a drain of a VIP', ['drain', 'vip', 'web'], /vip.*backend, host/],
    ['a host that is no address', ['drain', 'host', 'web/a'], /address: "web\/a" is not/],
    ['a drain of what is no backend', ['delete', 'vip', 'web', '--drain', '1m'], /--drain is for backends/],
    ['an etag for several', ['delete', 'vip', 'a', 'b', '--etag', 'x'], /--etag: goes with one/],
    [
      'a sort that the view has not',
      ['top', '--view', 'vips', '--sort', 'flows', '--count', '1'],
      /--sort.*not sorted by flows/,
    ],
    ['an interval that is too short', ['top', '--interval', '10ms'], /--interval.*100ms\.\.1h/],
  ];
  for (const [rule, args, says] of rows) {
    it(rule, async () => {
      const { status, stdout, stderr } = await bed.run(...args);
      expect({ status, stdout, lines: stderr.trim().split('\n').length }).toEqual({
        status: 2,
        stdout: '',
        lines: 1,
      });
      expect(stderr).toMatch(says);
    });
  }
});
