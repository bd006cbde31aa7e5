import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { Replay } from '../../engine/replay.js';
import { formatIp } from '../../net/address.js';
import { balancerObject } from '../object.js';
import {
  type CompanionConfig,
  companionCounters,
  companionProgram,
  companionSections,
  configureCompanion,
  withCompanionOptions,
} from './config.js';
import { HealthcheckTables } from './healthcheck.js';
import { decapProgramObject, healthcheckObject, rootObject, sourceMatchObject } from './object.js';

const schema = z.strictObject(companionSections);
const read = (input: unknown): CompanionConfig => schema.parse(input);

const HEALTHCHECK = {
  marks: [
    { mark: 1000, backend: '10.0.0.1' },
    { mark: 2000, backend: 'fc00::2' },
  ],
  sources: { ipv4: '10.0.13.37', ipv6: 'fc00:2307::1337' },
  macs: { source: '02:00:00:00:00:01', destination: '02:00:00:00:00:fe' },
  interface: 5,
} as const;

/** A configuration's section as the file has it, and where it is wrong. */
const WRONG: readonly (readonly [string, object, readonly (string | number)[]])[] = [
  ['an unknown key', { healthcheck: { mark: [] } }, ['healthcheck']],
  [
    'a mark of 0',
    { healthcheck: { ...HEALTHCHECK, marks: [{ mark: 0, backend: '10.0.0.1' }] } },
    ['healthcheck', 'marks', 0, 'mark'],
  ],
  [
    'a mark of more than 32 bits',
    { healthcheck: { ...HEALTHCHECK, marks: [{ mark: 2 ** 32, backend: '10.0.0.1' }] } },
    ['healthcheck', 'marks', 0, 'mark'],
  ],
  [
    'a mark twice',
    { healthcheck: { ...HEALTHCHECK, marks: [...HEALTHCHECK.marks, { mark: 1000, backend: '10.0.0.2' }] } },
    ['healthcheck', 'marks', 2, 'mark'],
  ],
  [
    'a backend that is no address',
    { healthcheck: { ...HEALTHCHECK, marks: [{ mark: 1, backend: 'web1' }] } },
    ['healthcheck', 'marks', 0, 'backend'],
  ],
  [
    'a source of the other family',
    { healthcheck: { ...HEALTHCHECK, sources: { ...HEALTHCHECK.sources, ipv4: 'fc00::1' } } },
    ['healthcheck', 'sources', 'ipv4'],
  ],
  [
    'no source for a backend’s family',
    { healthcheck: { ...HEALTHCHECK, sources: { ipv4: '10.0.13.37' } } },
    ['healthcheck', 'sources', 'ipv6'],
  ],
  ['no MAC addresses', { healthcheck: { ...HEALTHCHECK, macs: undefined } }, ['healthcheck', 'macs']],
  [
    'a MAC address that is none',
    { healthcheck: { ...HEALTHCHECK, macs: { ...HEALTHCHECK.macs, source: '02:00' } } },
    ['healthcheck', 'macs', 'source'],
  ],
  ['no interface', { healthcheck: { ...HEALTHCHECK, interface: undefined } }, ['healthcheck', 'interface']],
  ['an interface of 0', { healthcheck: { ...HEALTHCHECK, interface: 0 } }, ['healthcheck', 'interface']],
  [
    'no tunnel interface for a family',
    { healthcheck: { ...HEALTHCHECK, encapsulation: 'tunnel', tunnelInterfaces: { ipv4: 3 } } },
    ['healthcheck', 'tunnelInterfaces', 'ipv6'],
  ],
  [
    'another encapsulation',
    { healthcheck: { ...HEALTHCHECK, encapsulation: 'vxlan' } },
    ['healthcheck', 'encapsulation'],
  ],
  ['GUE to port 0', { healthcheck: { ...HEALTHCHECK, guePort: 0 } }, ['healthcheck', 'guePort']],
  ['no length at all', { healthcheck: { ...HEALTHCHECK, maxBytes: 0 } }, ['healthcheck', 'maxBytes']],
  [
    'a match’s port',
    {
      healthcheck: {
        ...HEALTHCHECK,
        sourceMatches: [{ address: '10.0.0.1', port: 65536, backend: '10.0.0.1' }],
      },
    },
    ['healthcheck', 'sourceMatches', 0, 'port'],
  ],
  [
    'a key’s protocol',
    { healthcheck: { ...HEALTHCHECK, keys: [{ address: '10.0.0.1', protocol: 'sctp' }] } },
    ['healthcheck', 'keys', 0, 'protocol'],
  ],
  [
    'a tunnel address that is none',
    { decap: { destinations: ['10.0.0.256'] } },
    ['decap', 'destinations', 0],
  ],
  ['a port for GUE', { decap: { guePort: 65536 } }, ['decap', 'guePort']],
  ['a server id of more than 32 bits', { decap: { serverId: 2 ** 32 } }, ['decap', 'serverId']],
];

describe('sections are checked', () => {
  it.each(WRONG)('%s', (_rule, input, path) => {
    const { error } = schema.safeParse(input);
    expect(error?.issues.map((issue) => issue.path)).toEqual([path]);
  });

  it('nothing is needed', () => {
    expect(read({})).toEqual({});
    expect(read({ decap: {} })).toEqual({
      decap: { destinations: [], anyDestination: false, guePort: 6080, serverId: 0 },
    });
    expect(read({ healthcheck: {} }).healthcheck).toMatchObject({
      encapsulation: 'ipip',
      guePort: 6080,
      marks: [],
    });
  });

  it('takes what docs/companions.md shows', () => {
    const text = readFileSync(new URL('../../../docs/companions.md', import.meta.url), 'utf8');
    const samples = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, sample]) => read(parse(sample ?? '')));
    expect(samples.map((sample) => Object.keys(sample))).toEqual([['healthcheck'], ['decap']]);
    expect(samples[0]?.healthcheck?.destinationMatches?.[0]?.port).toBe(80);
  });

  it('has a JSON schema', () => {
    expect(z.toJSONSchema(schema, { io: 'input' })).toMatchObject({
      properties: { healthcheck: { type: 'object' }, decap: { additionalProperties: false } },
    });
  });
});

/** Constants of an object that differ from what it was built with. */
function changedBytes(before: ReturnType<typeof healthcheckObject>, after: typeof before): string[] {
  const rodata = (object: typeof before) => object.maps.find(({ name }) => name === '.rodata')?.initial;
  return after.globals
    .filter(({ map, offset, bytes }) => {
      const [a, b] = [rodata(before), rodata(after)];
      return (
        map === '.rodata' && !a?.subarray(offset, offset + bytes).every((byte, i) => byte === b?.[offset + i])
      );
    })
    .map(({ name }) => name)
    .sort();
}

describe('options of the object', () => {
  const plain = healthcheckObject();
  it.each([
    ['as it was built', { healthcheck: HEALTHCHECK }, []],
    ['GUE', { healthcheck: { ...HEALTHCHECK, encapsulation: 'gue', guePort: 9886 } }, ['gue', 'gue_port']],
    ['a length', { healthcheck: { ...HEALTHCHECK, maxBytes: 1000 } }, ['max_frame_bytes']],
    [
      'a length of tunnels',
      {
        healthcheck: {
          ...HEALTHCHECK,
          maxBytes: 1000,
          encapsulation: 'tunnel',
          tunnelInterfaces: { ipv4: 3, ipv6: 4 },
        },
      },
      ['max_tunnel_frame_bytes'],
    ],
    [
      'matches',
      { healthcheck: { ...HEALTHCHECK, destinationMatches: [], sourceMatches: [] } },
      ['match_destinations', 'match_sources'],
    ],
    ['another section', { decap: { guePort: 9886 } }, []],
  ])('healthcheck: %s', (_rule, input, changed) => {
    expect(changedBytes(plain, withCompanionOptions(plain, read(input)))).toEqual(changed);
  });

  const backend = decapProgramObject();
  it.each([
    ['as it was built', { decap: { destinations: ['10.0.0.1'] } }, []],
    [
      'everything',
      { decap: { anyDestination: true, guePort: 0, serverId: 1 } },
      ['any_destination', 'check_server_id', 'gue_port'],
    ],
  ])('decap: %s', (_rule, input, changed) => {
    expect(changedBytes(backend, withCompanionOptions(backend, read(input)))).toEqual(changed);
  });

  it('an object that is no companion stays', () => {
    const balancer = balancerObject();
    expect(withCompanionOptions(balancer, read({ healthcheck: HEALTHCHECK, decap: {} }))).toBe(balancer);
    expect(companionProgram(balancer, {})).toBeUndefined();
  });

  it('names the program', () => {
    const tunnel = { ...HEALTHCHECK, encapsulation: 'tunnel', tunnelInterfaces: { ipv4: 3, ipv6: 4 } };
    expect(companionProgram(plain, read({ healthcheck: tunnel }))).toBe('healthcheck_tunnel');
    expect(companionProgram(plain, {})).toBe('healthcheck_egress');
    expect(companionProgram(backend, {})).toBe('decap_ingress');
    expect(companionProgram(rootObject(), {})).toBe('root_ingress');
    expect(companionProgram(sourceMatchObject(), {})).toBe('match_source');
  });
});

describe('content of the maps', () => {
  it('healthcheck', () => {
    const config = read({
      healthcheck: {
        ...HEALTHCHECK,
        destinationMatches: [{ address: '10.0.0.1', port: 80, backend: '10.0.0.1' }],
        sourceMatches: [{ address: 'fc00::1', backend: 'fc00::2' }],
        keys: [
          { address: '198.51.100.10', port: 80 },
          { address: 'fc00::9', port: 53, protocol: 'udp' },
          { address: '198.51.100.10', protocol: 1 },
        ],
      },
    });
    const object = withCompanionOptions(healthcheckObject(), config);
    const { maps } = new Replay({ object, program: 'healthcheck_egress', engine: 'interpreter' });
    configureCompanion(maps, config);
    const dump = Object.fromEntries(
      [...maps]
        .filter(([name]) => /^hc_(reals|dst|src|ctrl|pckt)/.test(name))
        .map(([name, map]) => {
          const rows: string[] = [];
          for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key))
            rows.push(`${Buffer.from(key).toString('hex')} ${Buffer.from(map.lookup(key)!).toString('hex')}`);
          return [name, rows.sort()];
        }),
    );
    const zeros = (bytes: number): string => '00'.repeat(bytes);
    expect(dump).toEqual({
      hc_reals_map: [`d0070000 fc00${zeros(13)}0201000000`, `e8030000 0a000001${zeros(16)}`],
      hc_dst_reals_map: [`0a000001${zeros(12)}00500000 0a000001${zeros(16)}`],
      hc_src_reals_map: [`fc00${zeros(13)}0100000100 fc00${zeros(13)}0201000000`],
      hc_ctrl_map: ['00000000 00000000', '01000000 00000000', '02000000 00000000', '03000000 05000000'],
      hc_pckt_srcs_map: [`00000000 0a000d25${zeros(16)}`, `01000000 fc002307${zeros(10)}133701000000`],
      hc_pckt_macs: ['00000000 020000000001', '01000000 0200000000fe'],
    });
    const keys = new HealthcheckTables(maps).keyStats();
    expect(keys.map(({ key }) => `${formatIp(key.address)} ${key.port} ${key.protocol}`).sort()).toEqual([
      '198.51.100.10 0 1',
      '198.51.100.10 80 6',
      'fc00::9 53 17',
    ]);
    expect(companionCounters(maps)).toEqual({
      processed: 0n,
      dropped: 0n,
      skipped: 0n,
      too_big: 0n,
      dst_matched: 0n,
      src_matched: 0n,
    });
  });

  it('decap', () => {
    const config = read({ decap: { destinations: ['10.0.0.1', 'fc00::1'], serverId: 7 } });
    const { maps } = new Replay({
      object: decapProgramObject(),
      program: 'decap_ingress',
      engine: 'interpreter',
    });
    configureCompanion(maps, config);
    let destinations = 0;
    for (
      let key = maps.get('decap_dst')?.nextKey();
      key !== undefined;
      key = maps.get('decap_dst')?.nextKey(key)
    )
      destinations++;
    expect(destinations).toBe(2);
    expect(maps.get('tpr_server_id')?.lookup(new Uint8Array(4))).toEqual(Uint8Array.of(7, 0, 0, 0));
    expect(companionCounters(maps)).toMatchObject({ outer_ipv4: 0n, drop_fragment: 0n });
  });

  it('maps of no companion stay as they are', () => {
    configureCompanion(new Map(), read({ healthcheck: HEALTHCHECK, decap: {} }));
    expect(companionCounters(new Map())).toBeUndefined();
  });
});
