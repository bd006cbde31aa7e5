import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { durationOf, msText, parseSpan, spanText } from './duration.js';
import { CliError } from './faults.js';
import { flowText, parseFlowText } from './flow-text.js';
import { plain, rate, structured, table } from './format.js';
import { OPTION_NAMES, optionRows, parseOptions } from './node-options.js';

const PROTOS = fileURLToPath(new URL('../../proto/waggle/v1', import.meta.url));

describe('spans of time', () => {
  const rows: readonly [text: string, ms: number, again: string][] = [
    ['0', 0, '0s'],
    ['500ms', 500, '500ms'],
    ['1.5s', 1500, '1500ms'],
    ['10m', 600_000, '10m'],
    ['1h30m', 5_400_000, '90m'],
    ['2d', 172_800_000, '2d'],
  ];
  for (const [text, ms, again] of rows) {
    it(`${text} is ${ms} ms, and ${again} when it is told`, () => {
      expect(parseSpan(text)).toBe(ms);
      expect(msText(ms)).toBe(again);
      const { seconds, nanos } = durationOf(ms);
      expect(spanText({ seconds: String(seconds), nanos: Number(nanos) })).toBe(again);
    });
  }
  for (const text of ['', '10', 's', '10 m', '-1s', '1h-1m', '1x', '5s '])
    it(`"${text}" is none`, () => expect(() => parseSpan(text)).toThrow(InvalidArgumentError));
});

describe('flows', () => {
  for (const text of ['tcp 192.0.2.1:4000 -> 198.51.100.1:80', 'udp [2001:db8::1]:5 -> [2001:db8::2]:53']) {
    it(text, () => {
      const flow = parseFlowText(text);
      expect(flow.protocol).toBe(text.startsWith('tcp') ? 'PROTOCOL_TCP' : 'PROTOCOL_UDP');
      expect(
        flowText({
          sourceAddress: flow.sourceAddress ?? '',
          sourcePort: flow.sourcePort ?? 0,
          destinationAddress: flow.destinationAddress ?? '',
          destinationPort: flow.destinationPort ?? 0,
          protocol: flow.protocol === 'PROTOCOL_UDP' ? 'PROTOCOL_UDP' : 'PROTOCOL_TCP',
        }),
      ).toBe(text);
    });
  }
  for (const text of [
    '',
    'icmp 1.2.3.4:1 -> 1.2.3.4:1',
    'tcp 1.2.3:1 -> 1.2.3.4:1',
    'tcp 1.2.3.4:1 -> 1.2.3.4:65536',
  ])
    it(`"${text}" is none`, () => expect(() => parseFlowText(text)).toThrow(CliError));
});

describe('options of the program', () => {
  /** Fields of a message of the protos, by name, with their types. */
  const fields = (file: string, message: string) => {
    const proto = readFileSync(join(PROTOS, file), 'utf8');
    const body = new RegExp(`^message ${message} \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(proto)?.[1] ?? '';
    return [...body.matchAll(/^ {2}(?:optional )?[\w.]+ (\w+) = \d+;/gm)].map(([, name = '']) => name);
  };

  it('are those of the API', () =>
    expect([...OPTION_NAMES].sort()).toEqual(
      fields('config.proto', 'Options')
        .map((name) => name.replaceAll('_', '-'))
        .sort(),
    ));
  it('are read, and told again', () => {
    const { options, paths } = parseOptions([
      'gue-port=6081',
      'vlan_tags=off',
      'udp-timeout=1m',
      'events=default',
    ]);
    expect(options).toEqual({ guePort: 6081, vlanTags: false, udpTimeout: { seconds: '60', nanos: 0 } });
    expect(paths).toEqual(['options.gue_port', 'options.vlan_tags', 'options.udp_timeout', 'options.events']);
    const rows = optionRows({
      encapsulation: 'ENCAPSULATION_GUE',
      guePort: 6081,
      vlanTags: false,
      udpTimeout: { seconds: '60', nanos: 0 },
    });
    expect(rows.filter(({ value }) => value !== 'default')).toEqual([
      { name: 'encapsulation', value: 'gue' },
      { name: 'gue-port', value: '6081' },
      { name: 'vlan-tags', value: 'off' },
      { name: 'udp-timeout', value: '1m' },
    ]);
  });
});

describe('messages as data', () => {
  it('points in time and spans are told apart by their names, in every message', () => {
    for (const file of readdirSync(PROTOS)) {
      const proto = readFileSync(join(PROTOS, file), 'utf8');
      for (const [, type, name = ''] of proto.matchAll(/google\.protobuf\.(Timestamp|Duration) (\w+) = /g)) {
        const json = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
        const value = plain({ [json]: { seconds: '60', nanos: 0 } });
        expect(value, `${file}: ${name}`).toEqual({
          [json]: type === 'Duration' ? '60s' : '1970-01-01T00:01:00.000Z',
        });
      }
    }
  });
  it('spans are in seconds, bytes in base 64, the name comes first, lists last', () =>
    expect(
      structured(
        { rows: [1], interval: { seconds: '1', nanos: 50_000_000 }, send: Buffer.from('x'), name: 'n' },
        'yaml',
      ),
    ).toBe('name: n\ninterval: 1.05s\nsend: eA==\nrows:\n  - 1'));
  it('which field of a group is set is not said twice', () => {
    expect(plain({ probe: 'tcp', tcp: { port: 1 } })).toEqual({ tcp: { port: 1 } });
    expect(plain({ probe: 'tcp' })).toEqual({ probe: 'tcp' });
  });
});

describe('tables', () => {
  const columns = [
    { title: 'A', value: (row: string) => row },
    { title: 'B', value: () => 'b', wide: true as const },
    { title: 'C', value: () => 'c', tone: () => 'bad' as const },
  ];
  it('wide columns are shown when they are asked for', () => {
    expect(table(columns, ['x'], false)).toBe('A  C\nx  c');
    expect(table(columns, ['x'], false, true)).toBe('A  B  C\nx  b  c');
  });
  it('colours are there when they are asked for', () =>
    expect(table(columns, ['x'], true)).toBe('\u001b[1mA  C\u001b[0m\nx  \u001b[31mc\u001b[0m'));
});

describe('rates', () => {
  const rows: readonly [perSecond: number, text: string][] = [
    [0, '0'],
    [0.25, '0.3'],
    [9.96, '10'],
    [999, '999'],
    [999.6, '1.0 k'],
    [12_345, '12 k'],
    [1_234_567_890, '1.2 G'],
  ];
  for (const [perSecond, text] of rows)
    it(`${perSecond} is ${text}`, () => expect(rate(perSecond)).toBe(text));
});
