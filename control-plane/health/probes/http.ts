import { request as requestHttp } from 'node:http';
import { formatIp } from '../../../lb/index.js';
import type { HttpProbe, ProbeResult, StatusRange, Target } from '../types.js';
import { attempt, authority } from './attempt.js';
import { drop, hostName, portOf, type StreamOptions, secure } from './dial.js';

const USER_AGENT = 'waggle-health-check';
const MAX_HEADER_BYTES = 16_384;
/** What is read of a body; the rest is cut off. */
export const MAX_BODY_BYTES = 65_536;

/**
 * Ask once, on a connection of its own: one that is kept would not show that new ones are taken. The answer passes
 * with its last byte, or with the 65,536th of its body: one that stalls half-way is a fault too.
 */
export function probeHttp(target: Target, probe: HttpProbe, options: StreamOptions): Promise<ProbeResult> {
  const { clock, dial, timeoutMs, signal, ca } = options;
  return attempt(clock, signal, timeoutMs, (finish) => {
    const address = formatIp(target.address);
    const port = portOf(probe, target);
    let phase = 'no connection';
    const socket = dial(address, port);
    const connect = () => {
      socket.once('connect', () => {
        phase = probe.tls ? 'no end of the TLS handshake' : 'no answer';
      });
      if (!probe.tls) return socket;
      const secured = secure(socket, hostName(probe.host, address), { ...probe, ca });
      secured.once('secureConnect', () => {
        phase = 'no answer';
      });
      return secured;
    };
    const request = requestHttp({
      // Without an agent, which would hand out connections of its own.
      createConnection: connect,
      method: probe.method,
      path: probe.path,
      headers: {
        Host: probe.host === '' ? authority(target.address, port) : probe.host,
        'User-Agent': USER_AGENT,
        Accept: '*/*',
        Connection: 'close',
      },
      maxHeaderSize: MAX_HEADER_BYTES,
    });
    request.on('error', finish.error);
    request.on('response', (response) => {
      phase = 'no end of the answer';
      const status = response.statusCode ?? 0;
      if (!probe.expectedStatuses.some(({ from, to }) => status >= from && status <= to)) {
        finish.fail(`HTTP ${status}, expected ${formatStatuses(probe.expectedStatuses)}`);
        return;
      }
      let bytes = 0;
      const chunks: Buffer[] = [];
      const judge = () => {
        const { expectBody } = probe;
        const body = Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES);
        if (expectBody === undefined || body.includes(expectBody)) finish.pass(`HTTP ${status}`);
        else finish.fail(`HTTP ${status}, but the body does not contain ${JSON.stringify(expectBody)}`);
      };
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (probe.expectBody !== undefined) chunks.push(chunk);
        if (bytes >= MAX_BODY_BYTES) judge();
      });
      // Before the client's own listener, which begins to shut the connection down.
      response.prependListener('end', judge);
      response.on('error', finish.error);
    });
    request.end();
    return {
      release: () => {
        request.removeAllListeners();
        request.on('error', () => {});
        socket.on('error', () => {});
        if (!probe.tls) drop(socket);
        request.destroy();
        socket.destroy();
      },
      onTimeout: () => ({ ok: false, detail: phase }),
    };
  });
}

/** Ranges as people write them: "200–299, 301". */
export function formatStatuses(ranges: readonly StatusRange[]): string {
  return ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}–${to}`)).join(', ');
}
