import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChannelCredentials, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { ControlPlane } from '../../control-plane/control.js';
import type { ApiSecurity } from '../../control-plane/grpc/exposure.js';
import { formatListen, type ListenAddress } from '../../control-plane/grpc/listen.js';
import { loadApi } from '../../control-plane/grpc/proto.js';
import { createLog } from '../../control-plane/log.js';
import { LOOPBACK } from './memory-control.js';
import { MemoryDatapath } from './memory-datapath.js';

const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });

/** Certificates of one authority, made by openssl in a folder of their own. */
export class Authority {
  readonly folder = mkdtempSync(join(tmpdir(), 'waggle-security-'));
  readonly ca: string;

  constructor(name = 'test authority') {
    this.ca = join(this.folder, 'ca.pem');
    openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', this.path('ca.key'), '-out', this.ca, '-days', '30', '-subj', `/CN=${name}`],
    );
  }

  path(file: string): string {
    return join(this.folder, file);
  }

  /** A certificate and its key, `name.pem` and `name.key`. @param names as `URI:spiffe://…` or `DNS:…` */
  issue(
    name: string,
    { cn = name, names = [], days = 30 }: { cn?: string; names?: string[]; days?: number } = {},
  ) {
    const [cert, key, request] = [
      this.path(`${name}.pem`),
      this.path(`${name}.key`),
      this.path(`${name}.csr`),
    ];
    openssl(
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', key, '-out', request, '-subj', `/CN=${cn}`],
    );
    const extensions = this.path(`${name}.ext`);
    writeFileSync(extensions, names.length > 0 ? `subjectAltName=${names.join(',')}\n` : '');
    openssl(
      ...['x509', '-req', '-in', request, '-CA', this.ca, '-CAkey', this.path('ca.key'), '-CAcreateserial'],
      ...['-out', cert, '-days', String(days), '-extfile', extensions],
    );
    return { cert, key };
  }

  /** Credentials of a client with a certificate of this authority, or with none. */
  client(name?: string, ca = this.ca): ChannelCredentials {
    const read = (file: string) => readFileSync(this.path(file));
    return name === undefined
      ? credentials.createSsl(readFileSync(ca))
      : credentials.createSsl(readFileSync(ca), read(`${name}.key`), read(`${name}.pem`));
  }

  write(file: string, text: string): string {
    writeFileSync(this.path(`${file}.new`), text);
    renameSync(this.path(`${file}.new`), this.path(file));
    return this.path(file);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

const api = loadApi();

/** What a call came to. */
export interface Answer<T> {
  readonly error: ServiceError | undefined;
  readonly value: T | undefined;
  /** Headers of the answer. */
  readonly metadata: Metadata;
}

/** A control plane over a datapath in memory, with a log that is kept. */
export class SecurityBed {
  readonly lines: string[] = [];
  readonly datapath = new MemoryDatapath();
  #control: ControlPlane | undefined;
  readonly #open: { close(): void }[] = [];

  static async start(security: ApiSecurity, listen: ListenAddress = LOOPBACK): Promise<SecurityBed> {
    const bed = new SecurityBed();
    const log = createLog('debug', { write: (line) => bed.lines.push(line) });
    const { datapath } = bed;
    bed.#control = await ControlPlane.start({ datapath, listen, version: '1.2.3', security, log });
    return bed;
  }

  get control(): ControlPlane {
    if (this.#control === undefined) throw new Error('not started');
    return this.#control;
  }

  get address(): string {
    return formatListen(this.control.address);
  }

  /** Log entries with this message. */
  logged(message: string): Record<string, unknown>[] {
    return this.lines
      .map((line): Record<string, unknown> => JSON.parse(line))
      .filter(({ msg }) => msg === message);
  }

  /** Have the files read again; false: they could not be used, and the log says so. */
  async reload(): Promise<boolean> {
    const faults = () =>
      this.logged('certificates or access rules cannot be used: those of before stay').length;
    const before = faults();
    await this.control.reload();
    return faults() === before;
  }

  client(channel: ChannelCredentials = credentials.createInsecure(), token?: string): SecurityClient {
    const client = new SecurityClient(this.address, channel, token);
    this.#open.push(client);
    return client;
  }

  async stop(): Promise<void> {
    for (const client of this.#open.splice(0)) client.close();
    await this.#control?.stop();
  }
}

/** A caller with credentials of its own, on a connection of its own. */
export class SecurityClient {
  readonly pools;
  readonly nodes;
  readonly #token: string | undefined;

  constructor(address: string, channel: ChannelCredentials, token: string | undefined) {
    // Clients in one process would share a connection, and with it the certificate.
    const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.ssl_target_name_override': 'localhost' };
    this.pools = new api.v1.PoolService(address, channel, options);
    this.nodes = new api.v1.NodeService(address, channel, options);
    this.#token = token;
  }

  ask<T>(
    start: (
      metadata: Metadata,
      options: { deadline: number },
      done: (error: ServiceError | null, value?: T) => void,
    ) => { on(event: 'metadata', listener: (metadata: Metadata) => void): unknown },
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<T>> {
    const metadata = new Metadata();
    if (this.#token !== undefined) metadata.set('authorization', `Bearer ${this.#token}`);
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    let answered = new Metadata();
    return new Promise((resolve) => {
      start(metadata, { deadline: Date.now() + 5000 }, (error, value) =>
        resolve({ error: error ?? undefined, value, metadata: answered }),
      ).on('metadata', (given) => {
        answered = given;
      });
    });
  }

  view(headers?: Readonly<Record<string, string>>) {
    return this.ask((m, o, done) => this.nodes.GetNode({ name: 'nodes/self' }, m, o, done), headers);
  }

  createPool(poolId: string, validateOnly = false) {
    return this.ask((m, o, done) => this.pools.CreatePool({ pool: {}, poolId, validateOnly }, m, o, done));
  }

  createBackend(poolId: string, backendId: string, address: string) {
    return this.ask((m, o, done) =>
      this.pools.CreateBackend({ parent: `pools/${poolId}`, backendId, backend: { address } }, m, o, done),
    );
  }

  updateBackend(name: string, weight: number, paths: readonly string[]) {
    const request = { backend: { name, weight }, updateMask: { paths: [...paths] } };
    return this.ask((m, o, done) => this.pools.UpdateBackend(request, m, o, done));
  }

  drain(name: string) {
    return this.ask((m, o, done) => this.pools.DrainBackend({ name }, m, o, done));
  }

  close(): void {
    this.pools.close();
    this.nodes.close();
  }
}
