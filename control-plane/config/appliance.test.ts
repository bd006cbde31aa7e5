import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../security/rate-limit.js';
import { applianceSettings } from './appliance.js';
import { ConfigError } from './faults.js';
import { loadConfig } from './load.js';
import { restartNeeded } from './reload.js';

const settings = (text: string, fileName = '/etc/waggle/node.yaml') =>
  applianceSettings(loadConfig(text, fileName));
const WHOLE = `node: { interface: eth0, limits: { connections: 5, globalFlows: 6, vips: 700, serverIds: 9 } }
appliance:
  engine: AF_XDP
  workers: 4
  listen: unix:/run/waggle.sock
  metrics: "[::1]:9100"
  state: state
  log: { level: Debug, format: json }
  tls: { cert: tls/cert.pem, key: /secret/key.pem, clientCa: ca.pem }
  access: access.yaml
  insecure: no
  audit: { file: ../audit.log, maxBytes: 1_000_000, keep: 3, onFault: refuse }
  rateLimits: { all: { changes: { perSecond: 10, burst: 20 }, streams: 3 } }
`;

describe('what a file says of the process', () => {
  it('all of it; names of files are those beside the file', () => {
    expect(settings(WHOLE)).toMatchObject({
      interface: 'eth0',
      engine: 'af_xdp',
      workers: 4,
      pin: undefined,
      listen: 'unix:/run/waggle.sock',
      metrics: '[::1]:9100',
      state: '/etc/waggle/state',
      logLevel: 'debug',
      logFormat: 'json',
      connections: 5,
      globalFlows: 6,
      sizes: { vip_map: 700, server_id_map: 9 },
      stateLimits: { vips: 700, rings: 512, addresses: 16_383, serverIds: 9, globalFlows: 6 },
      security: {
        tls: {
          certFile: '/etc/waggle/tls/cert.pem',
          keyFile: '/secret/key.pem',
          clientCaFile: '/etc/waggle/ca.pem',
        },
        accessFile: '/etc/waggle/access.yaml',
        isInsecureAllowed: false,
        audit: { file: '/etc/audit.log', maxBytes: 1_000_000, keep: 3, onFault: 'refuse' },
        limits: {
          eachCaller: DEFAULT_LIMITS.eachCaller,
          all: { ...DEFAULT_LIMITS.all, changes: { perSecond: 10, burst: 20 }, streams: 3 },
        },
      },
    });
  });

  it('nothing of it', () => {
    const { limits: _, sizes: __, stateLimits: ___, ...rest } = settings('vips: []');
    const none = [rest.security, rest]
      .flatMap((part) => Object.entries(part))
      .filter(([, value]) => value !== undefined);
    expect(none.map(([key]) => key).sort()).toEqual(['connections', 'globalFlows', 'limits', 'security']);
    expect(rest.security.limits).toEqual(DEFAULT_LIMITS);
  });

  it.each([
    ['pin: true, engine: xdp', true],
    ['pin: /sys/fs/bpf/lb, engine: xdp', '/sys/fs/bpf/lb'],
    ['pin: false', false],
  ])('pins: %s', (text, pin) => {
    expect(settings(`appliance: { ${text} }`).pin).toBe(pin);
  });

  it.each([
    ['engine: dpdk', 'engine: dpdk: is not af_packet, af_xdp or xdp'],
    ['workers: 65', 'workers: 65: is not a whole number from 1 to 64'],
    ['workers: 2, engine: xdp', 'workers: 2: is for engines with threads: xdp has none'],
    ['pin: [/sys/fs/bpf]', 'pin: ["/sys/fs/bpf"]: is neither true, false nor a directory'],
    ['pin: true, engine: af_packet', 'pin: true: is for the engine xdp, and this one is af_packet'],
    ['listen: 127.0.0.1', 'listen: 127.0.0.1: is not HOST:PORT, [IPV6]:PORT or unix:PATH'],
    ['metrics: "1.2.3.4:70000"', 'metrics: 1.2.3.4:70000: is not HOST:PORT, [IPV6]:PORT or unix:PATH'],
    ['state: ""', 'state: "": is not the name of a file'],
    ['log: { level: trace }', 'log.level: trace: is not debug, info, warn or error'],
    ['log: debug', 'log: debug: is not a map of keys: log has level, format'],
    ['tls: { cert: a.pem }', 'tls.key: is required'],
    ['audit: { keep: 1 }', 'audit.file: is required'],
    [
      'rateLimits: { all: { reads: { perSecond: 0, burst: 1 } } }',
      'rateLimits.all.reads.perSecond: 0: is not a whole number from 1 to 1000000000',
    ],
    ['rateLimits: { all: { reads: { burst: 1 } } }', 'rateLimits.all.reads.perSecond: is required'],
    [
      'token: abc',
      'token: abc: is not a key of appliance: the keys are engine, workers, pin, listen, metrics, state, log, tls, access, insecure, audit, rateLimits',
    ],
  ])('refused: %s', (text, fault) => {
    expect(() => settings(`appliance: { ${text} }`, 'f')).toThrow(
      expect.objectContaining({
        constructor: ConfigError,
        message: expect.stringMatching(/^f:1:\d+: appliance\./),
      }) as Error,
    );
    expect(() => settings(`appliance: { ${text} }`, 'f')).toThrow(fault);
  });
});

describe('what waits for a restart', () => {
  const needed = (before: string, after: string) => restartNeeded(settings(before), settings(after));
  it.each([
    ['nothing, where nothing differs', WHOLE, WHOLE, []],
    [
      'the order of keys is no difference',
      'appliance: { tls: { cert: a, key: b } }',
      'appliance: { tls: { key: b, cert: a } }',
      [],
    ],
    [
      'nor is a default that is said',
      'vips: []',
      'appliance: { engine: af_packet, pin: off, insecure: false, log: { format: auto } }',
      [],
    ],
    [
      'not the level of the log, nor what is declared',
      'vips: []',
      'appliance: { log: { level: debug } }\nnode: { routerMac: 02:00:00:00:00:01, options: { vlanTags: false }, limits: { udpTimeout: 1s, maxFrameBytes: 9000 } }\npools: [{ name: a }]',
      [],
    ],
    [
      'the process',
      'vips: []',
      'node: { interface: eth1 }\nappliance: { engine: xdp, pin: true, listen: "127.0.0.1:1", metrics: "127.0.0.1:2", state: s, log: { format: json } }',
      [
        'node.interface',
        'appliance.engine',
        'appliance.pin',
        'appliance.listen',
        'appliance.metrics',
        'appliance.state',
        'appliance.log.format',
      ],
    ],
    [
      'names of files, rates and who is let in',
      'appliance: { tls: { cert: a, key: b } }',
      'appliance: { workers: 2, tls: { cert: a, key: c }, access: d, insecure: true, audit: { file: e }, rateLimits: { all: { streams: 1 } } }',
      [
        'appliance.workers',
        'appliance.tls',
        'appliance.access',
        'appliance.insecure',
        'appliance.audit',
        'appliance.rateLimits',
      ],
    ],
    [
      'more room; not less of it',
      'node: { limits: { vips: 1000, serverIds: 10, connections: 5 } }',
      'node: { limits: { vips: 999, serverIds: 11, connections: 4 } }',
      ['node.limits.connections', 'node.limits.serverIds'],
    ],
  ])('%s', (_, before, after, keys) => {
    expect(needed(before, after)).toEqual(keys);
  });
});
