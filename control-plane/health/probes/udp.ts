import { createSocket } from 'node:dgram';
import { formatIp } from '../../../lb/index.js';
import type { Clock, ProbeResult, Target, UdpProbe } from '../types.js';
import { agrees, attempt, quote } from './attempt.js';
import { portOf } from './dial.js';

/**
 * Send a datagram from a connected socket: the system passes an ICMP "port unreachable" on as ECONNREFUSED
 * (RFC 1122 §4.1.3.3) and drops what others send. Without an expectation, any answer or none until the timeout passes.
 */
export function probeUdp(
  target: Target,
  probe: UdpProbe,
  options: { readonly clock: Clock; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<ProbeResult> {
  const { clock, timeoutMs, signal } = options;
  const { send, expect } = probe;
  return attempt(clock, signal, timeoutMs, (finish) => {
    const socket = createSocket(target.address.family === 4 ? 'udp4' : 'udp6');
    let isOpen = true;
    const fail = (error: unknown) => {
      const isRefused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
      if (isRefused) finish.fail('port unreachable');
      else finish.error(error);
    };
    socket.on('error', fail);
    socket.on('message', (answer) => {
      if (expect === undefined) finish.pass(`answered with ${answer.length} bytes`);
      else if (answer.length >= expect.length && agrees(answer, expect))
        finish.pass(`answer starts with ${quote(expect)}`);
      else finish.fail(`answer does not start with ${quote(expect)} but is ${quote(answer)}`);
    });
    socket.connect(portOf(probe, target), formatIp(target.address), () => {
      // Released in the meantime: connecting takes a turn of the event loop.
      if (isOpen) socket.send(send, (error) => error && fail(error));
    });
    return {
      release: () => {
        isOpen = false;
        socket.removeAllListeners();
        socket.on('error', () => {});
        socket.close();
      },
      onTimeout: () =>
        expect === undefined
          ? { ok: true, detail: `no answer and no "port unreachable" within ${timeoutMs} ms` }
          : { ok: false, detail: 'no answer' },
    };
  });
}
