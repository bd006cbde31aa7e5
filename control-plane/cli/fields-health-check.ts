import { InvalidArgumentError, type OptionValues } from 'commander';
import type { _waggle_v1_HealthCheck_Path, HealthCheck } from '../grpc/generated/waggle/v1/HealthCheck.js';
import type { StatusRange } from '../grpc/generated/waggle/v1/StatusRange.js';
import { parsePort, wholeNumber } from './arguments.js';
import { durationOf, parseSpan } from './duration.js';
import { usageError } from './faults.js';
import { asList, asText, DISPLAY_NAME, type Field, field, onOff, wordField } from './fields.js';

/** Ways to ask a backend; `https` and `grpcs` are http and grpc over TLS. */
const PROBES = ['tcp', 'http', 'https', 'grpc', 'grpcs', 'icmp', 'udp'] as const;
type Probe = (typeof PROBES)[number];

const PATHS: Readonly<Record<string, _waggle_v1_HealthCheck_Path & string>> = {
  direct: 'PATH_DIRECT',
  tunnel: 'PATH_TUNNEL',
};

function parseProbe(text: string): Probe {
  const probe = PROBES.find((name) => name === text);
  if (probe === undefined) throw new InvalidArgumentError(`It is one of: ${PROBES.join(', ')}.`);
  return probe;
}

/** 200-399, or one status. */
function parseStatus(text: string): StatusRange {
  const match = /^(\d{3})(?:-(\d{3}))?$/.exec(text);
  if (!match) throw new InvalidArgumentError(`${text} is not a status or a range such as 200-399.`);
  return { first: Number(match[1]), last: Number(match[2] ?? match[1]) };
}

/** Bytes: a text as it stands, or hexadecimal digits behind 0x. */
function parseBytes(text: string): Buffer {
  if (!/^0x/i.test(text)) return Buffer.from(text, 'utf8');
  if (!/^0x(?:[0-9a-f]{2})*$/i.test(text))
    throw new InvalidArgumentError(`${text} is not an even number of hexadecimal digits behind 0x.`);
  return Buffer.from(text.slice(2), 'hex');
}

/** What a probe asks; which probes have it stands in PROBE_FLAGS. */
type ProbePart = Readonly<Record<string, unknown>>;
const part = (flags: string, says: string, parse: (text: string) => NonNullable<unknown>, name: string) =>
  field<unknown, ProbePart>({ flags, says, path: name, parse, put: (value) => ({ [name]: value }) });

const PROBE_PARTS: readonly Field<ProbePart>[] = [
  part('--port <n>', 'port of the probe; 0, and without it: the port of the VIP', parsePort, 'port'),
  part('--send <text>', 'tcp, udp: what is sent; bytes behind 0x', parseBytes, 'send'),
  part(
    '--expect <text>',
    'tcp, udp: what the answer begins with; http: what the body contains',
    asText,
    'expect',
  ),
  part('--http-path <path>', 'http: what is asked for (default: /)', asText, 'path'),
  part('--method <name>', 'http: method (default: GET)', asText, 'method'),
  part(
    '--statuses <list>',
    'http: statuses that are good, as 200,204,300-399 (default: 200-399)',
    (text) => asList(text).map(parseStatus),
    'expectedStatuses',
  ),
  part('--host <name>', 'http, grpc: name that is asked for, and that the certificate has', asText, 'host'),
  part(
    '--service <name>',
    'grpc: service that is asked for (default: the server as a whole)',
    asText,
    'service',
  ),
  part('--verify <on|off>', 'https, grpcs: whether the certificate is checked', onOff, 'verify'),
  part(
    '--reuse-connection <on|off>',
    'http, grpc: whether the connection is kept for the next probe (default: off)',
    onOff,
    'reuseConnection',
  ),
  part('--payload-bytes <n>', 'icmp: bytes of data, 0 to 1412', wholeNumber(0, 1412), 'payloadBytes'),
];

/** Flags that each probe takes. */
const PROBE_FLAGS: Readonly<Record<Probe, readonly string[]>> = {
  tcp: ['port', 'send', 'expect'],
  http: ['port', 'path', 'method', 'expectedStatuses', 'host', 'expect', 'reuseConnection'],
  https: ['port', 'path', 'method', 'expectedStatuses', 'host', 'expect', 'verify', 'reuseConnection'],
  grpc: ['port', 'service', 'host', 'reuseConnection'],
  grpcs: ['port', 'service', 'host', 'verify', 'reuseConnection'],
  icmp: ['payloadBytes'],
  udp: ['port', 'send', 'expect'],
};

/** The message of a probe: parts of flags under the API's names. */
function probeOf(probe: Probe, { expect, verify, ...rest }: ProbePart): Partial<HealthCheck> {
  const isTls = probe === 'https' || probe === 'grpcs';
  const tls = { ...(isTls && { tls: true }), ...(verify === false && { tlsInsecureSkipVerify: true }) };
  const text = typeof expect === 'string' ? expect : undefined;
  const prefix = text === undefined ? {} : { expectPrefix: parseBytes(text) };
  switch (probe) {
    case 'tcp':
      return { tcp: { ...rest, ...prefix } };
    case 'udp':
      return { udp: { ...rest, ...prefix } };
    case 'http':
    case 'https':
      return { http: { ...rest, ...tls, ...(text !== undefined && { expectBody: text }) } };
    case 'grpc':
    case 'grpcs':
      return { grpc: { ...rest, ...tls } };
    case 'icmp':
      return { icmp: rest };
  }
}

const probeField = field<Probe, Partial<HealthCheck>>({
  flags: '--probe <kind>',
  says: 'how a backend is asked; the flags below it belong to it',
  path: 'probe',
  when: 'required',
  choices: PROBES,
  parse: parseProbe,
  // Its message needs the other flags: see readProbe.
  put: () => ({}),
});

const spanField = (flags: string, says: string, path: string, name: keyof HealthCheck) =>
  field<number, Partial<HealthCheck>>({
    flags,
    says,
    path,
    parse: parseSpan,
    put: (ms) => ({ [name]: durationOf(ms) }),
  });
const countField = (flags: string, says: string, path: string, name: keyof HealthCheck, most: number) =>
  field<number, Partial<HealthCheck>>({
    flags,
    says,
    path,
    parse: wholeNumber(0, most),
    put: (value) => ({ [name]: value }),
  });

/** Fields of a health check, beside what its probe asks. */
export const CHECK_FIELDS: readonly Field<Partial<HealthCheck>>[] = [
  wordField({
    flags: '--via <way>',
    says: "direct to the backend, or encapsulated as clients' packets are (tcp, http, grpc)",
    path: 'path',
    words: PATHS,
    put: (path) => ({ path }),
  }),
  spanField(
    '--interval <span>',
    "from a probe's start to the next one's (default: 5s)",
    'interval',
    'interval',
  ),
  spanField('--timeout <span>', 'how long an answer may take (default: 2s)', 'timeout', 'timeout'),
  spanField(
    '--fast-interval <span>',
    'interval while a change is being confirmed',
    'fast_interval',
    'fastInterval',
  ),
  spanField(
    '--initial-delay <span>',
    'how long a new backend is left alone',
    'initial_delay',
    'initialDelay',
  ),
  countField(
    '--rise <n>',
    'passes in a row that make it healthy (default: 2)',
    'healthy_threshold',
    'healthyThreshold',
    100,
  ),
  countField(
    '--fall <n>',
    'failures in a row that make it unhealthy (default: 3)',
    'unhealthy_threshold',
    'unhealthyThreshold',
    100,
  ),
  countField(
    '--jitter <percent>',
    'share of the interval that is random (default: 10)',
    'jitter_percent',
    'jitterPercent',
    50,
  ),
  field({
    flags: '--first-result-decides <on|off>',
    says: "a new backend's first result decides at once (default: on)",
    path: 'first_result_decides',
    choices: ['on', 'off'],
    parse: onOff,
    put: (firstResultDecides) => ({ firstResultDecides }),
  }),
  DISPLAY_NAME,
];

/** The flag of the probe and those of its parts, in the order of help. */
export const PROBE_FIELDS = [probeField, ...PROBE_PARTS] as const;

/**
 * The probe that flags describe; undefined where they say nothing of one.
 * @throws CliError of wrong usage: a flag of another probe, or flags without --probe
 */
export function readProbe(
  options: OptionValues,
): { readonly resource: Partial<HealthCheck>; readonly path: string } | undefined {
  const probe: Probe | undefined = options.probe;
  const given = PROBE_PARTS.filter((one) => options[one.attribute] !== undefined);
  if (probe === undefined) {
    if (given.length === 0) return undefined;
    throw usageError(
      `${given[0]?.option(false).long}: goes with --probe, which replaces the probe as a whole`,
    );
  }
  const wrong = given.find((one) => !PROBE_FLAGS[probe].includes(one.path));
  if (wrong !== undefined) throw usageError(`${wrong.option(false).long}: is not for ${probe} probes`);
  const parts = Object.assign({}, ...given.map((one) => one.read(options) ?? {})) as ProbePart;
  return { resource: probeOf(probe, parts), path: probe.replace(/s$/, '') };
}
