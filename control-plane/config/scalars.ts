import { z } from 'zod';
import { formatIp, type IpAddress, type Mac, type Prefix, parseIp, parseMac } from '../../lb/index.js';
import { ID_PATTERN, ID_RULE, NAME_FORMS, type RingAlgorithm } from '../state/model.js';
import { hostAddressFault, MAX_DISPLAY_NAME } from '../state/validate.js';

/** Thrown where a text breaks a rule that has words of its own. */
class Rule extends Error {}

/** What an editor can check of a scalar: keywords of JSON Schema. */
interface EditorRules {
  readonly examples?: readonly string[];
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
}

/** A text or number that a function reads; where it throws or gives undefined, `rule` is what it breaks. */
export function scalar<T>(rule: string, read: (text: string) => T | undefined, editor: EditorRules = {}) {
  return verbatim(rule, (text) => read(text.trim()), editor);
}

/** The same, of the text with the blanks around it. */
function verbatim<T>(rule: string, read: (text: string) => T | undefined, editor: EditorRules = {}) {
  const input = z.union([z.string(), z.number()], { error: () => rule }).meta({ ...editor });
  return input.transform((given, context): T => {
    let broken = rule;
    try {
      const value = read(String(given));
      if (value !== undefined) return value;
    } catch (error) {
      if (error instanceof Rule) broken = error.message;
    }
    context.addIssue({ code: 'custom', message: broken });
    return z.NEVER;
  });
}

/** A whole number from `min` to `max`, also between quotes. */
export function whole(min: number, max: number) {
  const rule = `is not a whole number from ${min} to ${max}`;
  const read = (text: string) => {
    const value = /^-?(0x[0-9a-f]+|[0-9][0-9_]*)$/i.test(text)
      ? Number(text.replaceAll('_', ''))
      : Number.NaN;
    return Number.isSafeInteger(value) && value >= min && value <= max ? value : undefined;
  };
  return scalar(rule, read, { minimum: min, maximum: max });
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['false', false],
  ['no', false],
  ['off', false],
]);
/** What a word says; undefined for one that is neither true nor false. */
export const booleanOf = (word: string): boolean | undefined => BOOLEANS.get(word.trim().toLowerCase());
const BOOLEAN_RULE = 'is neither true nor false';
export const flag = z
  .union([z.boolean(), z.string()], { error: () => BOOLEAN_RULE })
  .transform((given, context): boolean => {
    const value = typeof given === 'boolean' ? given : booleanOf(given);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: BOOLEAN_RULE });
    return z.NEVER;
  });

/** One word of a list; case aside, and with other spellings. */
export function word<const W extends string>(
  words: readonly W[],
  spellings: Readonly<Record<string, W>> = {},
) {
  const list = `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
  const read = (text: string): W | undefined => {
    const lower = text.toLowerCase();
    return (
      words.find((known) => known.toLowerCase() === lower) ??
      (Object.hasOwn(spellings, lower) ? spellings[lower] : undefined)
    );
  };
  return scalar(`is not ${list}`, read, { enum: words });
}

/** 192.0.2.1, 2001:db8::1, [2001:db8::1]. */
export function readIp(text: string): IpAddress {
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  return parseIp(bare);
}

const IP_RULE = 'is not an IPv4 or IPv6 address';

function checkHost(address: IpAddress): IpAddress {
  const fault = hostAddressFault(address);
  if (fault !== undefined) throw new Rule(`is ${fault}`);
  return address;
}

/** An address that packets can be sent to. */
export const hostIp = scalar(IP_RULE, (text) => checkHost(readIp(text)));

const PREFIX_RULE = 'is not an address and a number of bits, as in 192.0.2.0/24 or 2001:db8::/32';

/** `192.0.2.0/24`; an address without bits is itself alone. @throws Rule */
function readPrefix(text: string): Prefix {
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  const [head = '', bitsText, ...rest] = bare.split('/');
  const address = readIp(head);
  const max = 8 * address.bytes.length;
  if (bitsText === undefined) return { address, bits: max };
  if (rest.length > 0 || !/^[0-9]{1,3}$/.test(bitsText)) throw new Rule(PREFIX_RULE);
  const bits = Number(bitsText);
  if (bits > max) throw new Rule(`has ${bits} bits, and an IPv${address.family} address has ${max}`);
  const network = networkOf(address, bits);
  if (network.bytes.some((byte, i) => byte !== address.bytes[i])) {
    throw new Rule(`has bits set after the first ${bits}: the prefix is ${formatIp(network)}/${bits}`);
  }
  return { address, bits };
}

/** The address with all bits after the first `bits` zero. */
function networkOf(address: IpAddress, bits: number): IpAddress {
  const bytes = address.bytes.map((byte, i) => byte & (0xff00 >> Math.min(Math.max(bits - 8 * i, 0), 8)));
  return { family: address.family, bytes };
}

export const prefix = scalar(PREFIX_RULE, readPrefix);

/** Address of a VIP: one address, or an IPv6 prefix. */
export const vipAddress = scalar('is not an IPv4 address, IPv6 address or IPv6 prefix', (text): Prefix => {
  const given = readPrefix(text);
  if (given.bits === 8 * given.address.bytes.length) checkHost(given.address);
  else if (given.address.family === 4) throw new Rule('is an IPv4 prefix: only IPv6 VIPs can be prefixes');
  return given;
});

/** An address and a port. */
export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

/** 192.0.2.1:80, [2001:db8::1]:80. */
export const endpoint = scalar(
  'is not an address and a port, as in 192.0.2.1:80 or [2001:db8::1]:80',
  (text): Endpoint | undefined => {
    const [, inner, plain, portText] = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text) ?? [];
    const host = inner ?? plain;
    if (host === undefined || Number(portText) > 65535) return undefined;
    return { address: checkHost(parseIp(host)), port: Number(portText) };
  },
);

const MAC_RULE = 'is not a MAC address, as in 02:00:00:00:00:01';
export const mac = scalar(MAC_RULE, (text): Mac => {
  const address = parseMac(text);
  if (address[0]! & 1) throw new Rule('is a multicast MAC address, not that of one host');
  return address;
});

/** A name; as a resource of the API is named, too: `vips/web` is web where names are those of VIPs. */
const nameIn = (collection: RegExp) =>
  scalar(`is not a name: ${ID_RULE}`, (text) => {
    const name = text.replace(collection, '');
    return ID_PATTERN.test(name) ? name : undefined;
  });
export const vipId = nameIn(/^vips\//);
export const poolId = nameIn(/^pools\//);
export const backendId = nameIn(/^pools\/[^/]+\/backends\//);
export const checkId = nameIn(/^healthChecks\//);

/** Ids of a pool and of a backend in it. */
export interface BackendPath {
  readonly pool: string;
  readonly id: string;
}
export const backendPath = scalar(
  `is not a name of the form ${NAME_FORMS.backend.form}`,
  (text): BackendPath | undefined => {
    if (!NAME_FORMS.backend.pattern.test(text)) return undefined;
    const [, pool = '', , id = ''] = text.split('/');
    return { pool, id };
  },
);

/** Any text. */
export const text = verbatim('is not a text', (given) => given);
/** A text with something in it. */
export const fileName = verbatim('is not the name of a file', (given) => (given === '' ? undefined : given));

/** Text for people, checked as the API checks it. */
export const displayName = verbatim('is not a text', (text) => {
  if (text.length > MAX_DISPLAY_NAME) throw new Rule(`has more than ${MAX_DISPLAY_NAME} characters`);
  if (/\p{Cc}/u.test(text)) throw new Rule('contains a control character');
  return text;
});

const BYTES = {
  hex: { rule: 'is not pairs of hexadecimal digits', pattern: /^(?:[0-9a-f]{2})*$/i },
  base64: {
    rule: 'is not base64; a text is { text: … }',
    pattern: /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  },
} as const;
/** Bytes as text; blanks count for nothing. */
export const bytes = (encoding: keyof typeof BYTES) =>
  scalar(BYTES[encoding].rule, (given): Uint8Array | undefined => {
    const bare = given.replace(/\s/g, '');
    return BYTES[encoding].pattern.test(bare) ? new Uint8Array(Buffer.from(bare, encoding)) : undefined;
  });

/** `204`, `200-299`: statuses of HTTP, both ends included. */
export const statusRange = scalar('is not a status or a range of them, as in 204 or 200-299', (given) => {
  const [, first, last = first] = /^(\d{3})(?:\s*-\s*(\d{3}))?$/.exec(given) ?? [];
  return first === undefined ? undefined : { first: Number(first), last: Number(last) };
});

const ALGORITHMS = { 'maglev-v1': 'v1', 'maglev-v2': 'v2' } as const satisfies Record<string, RingAlgorithm>;
export const ringAlgorithm = word(['maglev-v2', 'maglev-v1'], {
  v1: 'maglev-v1',
  v2: 'maglev-v2',
  maglev: 'maglev-v2',
  ring_algorithm_maglev_v1: 'maglev-v1',
  ring_algorithm_maglev_v2: 'maglev-v2',
}).transform((name): RingAlgorithm => ALGORITHMS[name]);

export const protocol = word(['tcp', 'udp'], { protocol_tcp: 'tcp', protocol_udp: 'udp' });

const NS_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['µs', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 60e9],
  ['min', 60e9],
  ['h', 3600e9],
]);

/** A time as people write it, ns: `30s`, `1500ms`, `2m`; a number without a unit is seconds. */
function readDuration(text: string): number | undefined {
  const [, amount, unit = 's'] = /^([0-9]+(?:\.[0-9]+)?)\s*([a-zµ]+)?$/i.exec(text) ?? [];
  const scale = NS_PER_UNIT.get(unit.toLowerCase());
  if (amount === undefined || scale === undefined) return undefined;
  const ns = Math.round(Number(amount) * scale);
  return Number.isSafeInteger(ns) ? ns : undefined;
}

/** ns, at least 1. */
export const duration = scalar('is not a time of more than 0, as in 30s or 1500ms', (text) => {
  const ns = readDuration(text);
  return ns === 0 ? undefined : ns;
});

const MS_NS = 1e6;
/** ms, at least 1 ns. */
export const milliseconds = scalar('is not a time of more than 0, as in 5s or 500ms', (text) => {
  const ns = readDuration(text);
  return ns === undefined || ns === 0 ? undefined : ns / MS_NS;
});
/** ms, 0 too. */
export const delay = scalar('is not a time, as in 0, 5s or 500ms', (text) => {
  const ns = readDuration(text);
  return ns === undefined ? undefined : ns / MS_NS;
});

const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/i;
/** A moment, ms since 1970. */
export const moment = scalar('is not a time of day with its zone, as in 2026-11-21T14:30:00Z', (text) => {
  const ms = TIME.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
});

/** Where the clock of a replay starts, ns; 'capture' is the time of the first packet. */
export const clock = scalar('is neither "capture" nor a time, as in 0 or 10s', (text) =>
  text.toLowerCase() === 'capture' ? ('capture' as const) : readDuration(text),
);
