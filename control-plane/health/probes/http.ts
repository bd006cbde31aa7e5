import { formatIp } from '../../../lb/index.js';
import type { HttpProbe, ProbeResult, StatusRange, Target } from '../types.js';
import { attempt, authority } from './attempt.js';
import { portOf } from './dial.js';
import { HttpAnswer } from './http-answer.js';
import { askOver } from './kept.js';
import { openWire, type StreamOptions, USER_AGENT } from './stream.js';
import { Wire } from './wire.js';

/** What is read of a body; the rest is cut off. */
const MAX_BODY_BYTES = 65_536;

/** Methods whose questions have no body by what they mean (RFC 9110 §9.3). */
const BODILESS: readonly string[] = ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'];

/**
 * Ask once. The answer passes with its last byte, or with the 65,536th of its body: one that stalls half-way is a
 * fault too.
 */
export function probeHttp(target: Target, probe: HttpProbe, options: StreamOptions): Promise<ProbeResult> {
  const { clock, timeoutMs, signal } = options;
  return attempt(clock, signal, timeoutMs, (finish, elapsed) => {
    const address = formatIp(target.address);
    const port = portOf(probe, target);
    const question = questionOf(probe, authority(target.address, port));
    let phase = 'no answer';
    const used = askOver(
      probe.reuseConnection ? options.keep?.take(Wire) : undefined,
      finish,
      () => openWire(address, port, probe, options),
      (wire, again) => {
        let status = 0;
        let bytes = 0;
        let hasBegun = false;
        const chunks: Buffer[] = [];
        const judge = (isReusable: boolean) => {
          const { expectBody } = probe;
          if (expectBody !== undefined) {
            const body = Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES);
            if (!body.includes(expectBody)) {
              finish.fail(`HTTP ${status}, but the body does not contain ${JSON.stringify(expectBody)}`);
              return;
            }
          }
          if (isReusable && probe.reuseConnection) {
            wire.listener = undefined;
            used.keep();
          }
          finish.pass(`HTTP ${status}`);
        };
        const answer = new HttpAnswer(probe.method, {
          head: (code) => {
            status = code;
            phase = 'no end of the answer';
            if (probe.expectedStatuses.some(({ from, to }) => code >= from && code <= to)) return;
            answer.stop();
            finish.fail(`HTTP ${code}, expected ${formatStatuses(probe.expectedStatuses)}`);
          },
          body: (chunk) => {
            bytes += chunk.length;
            if (probe.expectBody !== undefined) chunks.push(Buffer.from(chunk));
            if (bytes < MAX_BODY_BYTES) return;
            answer.stop();
            judge(false);
          },
          end: judge,
        });
        const broken = (fail: () => void) => (again !== undefined && !hasBegun ? again() : fail());
        wire.listener = {
          data: (chunk) => {
            hasBegun = true;
            try {
              answer.read(chunk);
            } catch (error) {
              finish.error(error);
            }
          },
          end: () => {
            if (answer.finish()) return;
            const what = status === 0 ? 'an answer' : 'the end of the answer';
            broken(() => finish.fail(`connection closed before ${what} after ${Math.round(elapsed())} ms`));
          },
          error: (error) => broken(() => finish.error(error)),
        };
        wire.write(question);
      },
      options.keep,
    );
    return {
      release: used.release,
      onTimeout: () => ({ ok: false, detail: used.connection.missing || phase }),
    };
  });
}

function questionOf({ method, path, host, reuseConnection }: HttpProbe, authority: string): Buffer {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host === '' ? authority : host}`,
    `User-Agent: ${USER_AGENT}`,
    'Accept: */*',
    `Connection: ${reuseConnection ? 'keep-alive' : 'close'}`,
    // RFC 9110 §8.6: methods whose questions have a body say that there is none.
    ...(BODILESS.includes(method) ? [] : ['Content-Length: 0']),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** Ranges as people write them: "200–299, 301". */
function formatStatuses(ranges: readonly StatusRange[]): string {
  return ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}–${to}`)).join(', ');
}
