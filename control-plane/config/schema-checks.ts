import { z } from 'zod';
import {
  bytes,
  checkId,
  delay,
  displayName,
  flag,
  milliseconds,
  statusRange,
  text,
  whole,
  word,
} from './scalars.js';
import { listOf, object, RESOURCE_OUTPUT } from './shapes.js';

const PORT = whole(0, 65_535).optional().describe('0: the port of the VIP. 0 unless given.');
const TLS = flag.optional().describe('Over TLS. False unless given.');
const SKIP_VERIFY = flag
  .optional()
  .describe('Accept whatever certificate the backend shows. False unless given.');
const REUSE_CONNECTION = flag
  .optional()
  .describe('Keep the connection from one probe to the next while the backend does. False unless given.');

const payload = object('a payload', {
  text: text.optional().describe('As UTF-8.'),
  hex: bytes('hex').optional().describe('Pairs of hexadecimal digits.'),
  base64: bytes('base64').optional().describe('RFC 4648 §4.'),
});
/** The API's form is base64 without a word of it. */
const payloadSchema = z.union([bytes('base64'), payload]);

const expectPrefix = payloadSchema.optional().describe('The answer must begin with it: text, hex or base64.');

const tcp = object('tcp', {
  port: PORT,
  send: payloadSchema.optional().describe('Sent once the connection stands: text, hex or base64.'),
  expectPrefix,
});

const range = object('a range of statuses', {
  first: whole(0, 599),
  last: whole(0, 599).optional(),
});
const http = object('http', {
  port: PORT,
  tls: TLS,
  tlsInsecureSkipVerify: SKIP_VERIFY,
  host: text
    .optional()
    .describe(
      "Host header, and the name that the certificate must have. The backend's address unless given.",
    ),
  path: text.optional().describe('From the slash on. / unless given.'),
  method: text.optional().describe('GET unless given.'),
  expectedStatuses: listOf(z.union([statusRange, range]))
    .optional()
    .describe('As 204 or 200-299. 200-399 unless given; redirects are not followed.'),
  expectBody: text.optional().describe('The first 64 KiB of the body must contain it.'),
  reuseConnection: REUSE_CONNECTION,
});

const grpc = object('grpc', {
  port: PORT,
  service: text.optional().describe('Unless given: the server as a whole.'),
  tls: TLS,
  tlsInsecureSkipVerify: SKIP_VERIFY,
  host: text
    .optional()
    .describe(":authority, and the name that the certificate must have. The backend's address unless given."),
  reuseConnection: REUSE_CONNECTION,
});

const icmp = object('icmp', {
  payloadBytes: whole(0, 65_535).optional().describe('0 to 1412. 56 unless given.'),
});

const udp = object('udp', {
  port: PORT,
  send: payloadSchema.optional().describe('The datagram: text, hex or base64. Empty unless given.'),
  expectPrefix: payloadSchema
    .optional()
    .describe('The answer must begin with it. Unless given: healthy unless "port unreachable" comes.'),
});

/** Kinds of probes; a check has one. */
export const PROBE_KINDS = ['tcp', 'http', 'grpc', 'icmp', 'udp'] as const;

const COUNT = whole(0, 0xffffffff).optional();
export const checkSchema = object(
  'a health check',
  {
    name: checkId.describe('Name of the check.'),
    displayName: displayName.optional().describe('Text for people, 255 characters at most.'),
    tcp: tcp.optional().describe('A connection; {} for one to the port of the VIP.'),
    http: http.optional().describe('One HTTP/1.1 request, over TLS with tls.'),
    grpc: grpc.optional().describe('grpc.health.v1.Health/Check.'),
    icmp: icmp.optional().describe('An echo request.'),
    udp: udp.optional().describe('A datagram.'),
    path: word(['direct', 'tunnel'], { path_direct: 'direct', path_tunnel: 'tunnel' })
      .optional()
      .describe(
        "direct: to the backend's address. tunnel: encapsulated, to the VIP's, as clients' packets go. direct unless given.",
      ),
    interval: milliseconds.optional().describe("From a probe's start to the next one's. 5s unless given."),
    timeout: milliseconds.optional().describe('2s unless given, or the interval if that is less.'),
    rise: COUNT.describe('Passes in a row that make a backend healthy. 2 unless given.'),
    fall: COUNT.describe('Failures in a row that make it unhealthy. 3 unless given.'),
    jitter: COUNT.describe(
      'Percent of the interval that is taken off at random, 50 at most. 10 unless given.',
    ),
    fastInterval: milliseconds
      .optional()
      .describe('Interval while a change is being confirmed. A fifth of it unless given, 100ms at least.'),
    initialDelay: delay.optional().describe('A new backend is left alone for so long. 0 unless given.'),
    firstResultDecides: flag
      .optional()
      .describe("A new backend's first result decides at once. True unless given."),
  },
  {
    renamed: { healthyThreshold: 'rise', unhealthyThreshold: 'fall', jitterPercent: 'jitter' },
    output: [...RESOURCE_OUTPUT, 'probe'],
  },
);
