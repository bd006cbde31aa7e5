import { formatIp } from '../../../lb/index.js';
import type { ProbeResult, Target, TcpProbe } from '../types.js';
import { agrees, attempt, quote } from './attempt.js';
import { drop, portOf } from './dial.js';
import type { StreamOptions } from './stream.js';

/**
 * Connect; with a question, ask it; with an expectation, wait for the answer to begin so.
 */
export function probeTcp(target: Target, probe: TcpProbe, options: StreamOptions): Promise<ProbeResult> {
  const { clock, dial, timeoutMs, signal } = options;
  const { send, expect } = probe;
  return attempt(clock, signal, timeoutMs, (finish, elapsed) => {
    const socket = dial(formatIp(target.address), portOf(probe, target));
    let isConnected = false;
    let answer = Buffer.alloc(0);
    socket.on('error', finish.error);
    socket.on('connect', () => {
      isConnected = true;
      if (send !== undefined && send.length > 0) socket.write(send, () => sent());
      else if (expect === undefined) finish.pass('connected');
    });
    const sent = () => {
      if (expect === undefined) finish.pass('connected, and the question was sent');
    };
    if (expect !== undefined) {
      socket.on('data', (chunk) => {
        answer = Buffer.concat([answer, chunk]);
        if (!agrees(answer, expect))
          finish.fail(`answer does not start with ${quote(expect)} but with ${quote(answer)}`);
        else if (answer.length >= expect.length) finish.pass(`answer starts with ${quote(expect)}`);
      });
      socket.on('end', () => {
        const so = answer.length === 0 ? 'before an answer' : `after ${quote(answer)} alone`;
        finish.fail(`connection closed ${so}, ${Math.round(elapsed())} ms after its start`);
      });
    }
    return {
      release: () => {
        socket.removeAllListeners();
        // A socket that is being connected may still raise one.
        socket.on('error', () => {});
        drop(socket);
      },
      onTimeout: () => ({ ok: false, detail: isConnected ? 'no answer' : 'no connection' }),
    };
  });
}
