import { z } from 'zod';
import { parseListen } from '../grpc/listen.js';
import { booleanOf, fileName, flag, scalar, whole, word } from './scalars.js';
import { object } from './shapes.js';

/** Worker threads that the datapath can have. */
const MAX_WORKERS = 64;
const MAX_KEEP = 1000;

const address = scalar('is not HOST:PORT, [IPV6]:PORT or unix:PATH', (text) => {
  parseListen(text);
  return text;
});

const file = (text: string) => fileName.describe(text);
const tls = object('tls', {
  cert: file("PEM: the server's certificate, and those between it and the root."),
  key: file('PEM: its private key.'),
  clientCa: file(
    'PEM: authorities whose client certificates are good. Unless given, clients have tokens.',
  ).optional(),
});

const audit = object('audit', {
  file: file('Where a line is written for each change and each refusal.'),
  maxBytes: whole(4096, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('Size from which a new file is begun. 67108864 unless given.'),
  keep: whole(0, MAX_KEEP).optional().describe('Old files that are kept. 9 unless given.'),
  onFault: word(['refuse', 'continue'])
    .optional()
    .describe(
      'While it cannot be written: refuse changes, or make them and log them whole. continue unless given.',
    ),
});

const rate = (what: string) =>
  object('a rate', {
    perSecond: whole(1, 1e9).describe('In the long run.'),
    burst: whole(1, 1e9).describe('At once.'),
  }).describe(what);
const rates = (what: string) =>
  object('rate limits', {
    reads: rate('Calls that change nothing.').optional(),
    changes: rate('Calls that change something.').optional(),
    streams: whole(1, 1e6).optional().describe('Streams that are open at the same time.'),
  }).describe(what);

/** The process: what `waggle up` has flags for, and more. */
export const applianceSchema = object('appliance', {
  engine: word(['af_packet', 'af_xdp', 'xdp'])
    .optional()
    .describe(
      'Where the program runs: worker threads over packet or XDP sockets, or the kernel. af_packet unless given.',
    ),
  workers: whole(1, MAX_WORKERS)
    .optional()
    .describe('Worker threads; xdp has none. As many as there are CPUs unless given.'),
  pin: z
    .union([z.boolean(), fileName.transform((name) => booleanOf(name) ?? name)], {
      error: () => 'is neither true, false nor a directory',
    })
    .optional()
    .describe(
      'Keep forwarding while the process restarts (xdp): true, or a directory of a bpffs. false unless given.',
    ),
  listen: address.optional().describe('Where the API listens. 127.0.0.1:9443 unless given.'),
  metrics: address.optional().describe('Where Prometheus metrics are served. Nowhere unless given.'),
  state: file('Directory where changes are kept over restarts. In memory unless given.').optional(),
  log: object('log', {
    level: word(['debug', 'info', 'warn', 'error'])
      .optional()
      .describe('Least level that is logged. info unless given.'),
    format: word(['auto', 'text', 'json'])
      .optional()
      .describe('auto: text on a terminal, JSON lines elsewhere. auto unless given.'),
  })
    .optional()
    .describe('The log.'),
  tls: tls.optional().describe('TLS of the API. None unless given.'),
  access: file(
    'File of roles and tokens. Unless given, whoever reaches the socket of this host may do all.',
  ).optional(),
  insecure: flag.optional().describe('Let other hosts reach the API without TLS. False unless given.'),
  audit: audit.optional().describe('A file of who changed what. The log alone unless given.'),
  rateLimits: object('rateLimits', {
    eachCaller: rates('Of one caller.').optional(),
    all: rates('Of all callers together.').optional(),
  })
    .optional()
    .describe('How often the API may be called.'),
});
