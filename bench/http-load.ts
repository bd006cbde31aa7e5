// The client of the HTTP benchmark: as many requests as come back, over connections that are kept. Prints one JSON line.
//   node http-load.js URL SECONDS CONNECTIONS
import autocannon from 'autocannon';

/** What a client got. */
export interface HttpLoad {
  readonly perSecond: number;
  /** 99th percentile of a request's time, ms; autocannon's own is in whole ones. */
  readonly p99Ms: number;
  /** Requests that had no answer, or another than 200. */
  readonly failed: number;
}

/** How long connections may take until each has had an answer, s. */
const MOST_SECONDS_TO_BEGIN = 20;

/** What is counted begins when every connection has had an answer: a thousand being opened at once are a burst of their own. */
function main(url: string, seconds: number, connections: number): void {
  const answered = new Set<unknown>();
  const times: number[] = [];
  let failed = 0;
  let startedMs = 0;
  let endedMs = 0;
  const run = autocannon(
    { url, connections, duration: seconds + MOST_SECONDS_TO_BEGIN, timeout: 10 },
    (error) => {
      if (error) throw error;
      if (endedMs === 0) {
        throw new Error(
          `${answered.size} of ${connections} connections had an answer in ${MOST_SECONDS_TO_BEGIN} s`,
        );
      }
      times.sort((a, b) => a - b);
      const p99Ms = times[Math.floor((times.length - 1) * 0.99)] ?? 0;
      const perSecond = (times.length * 1000) / (endedMs - startedMs);
      console.log(JSON.stringify({ perSecond, p99Ms, failed } satisfies HttpLoad));
    },
  );
  run.on('response', (client, statusCode, _bytes, responseMs) => {
    if (statusCode !== 200) failed += 1;
    if (endedMs !== 0) return;
    if (startedMs !== 0) {
      times.push(responseMs);
      return;
    }
    answered.add(client);
    if (answered.size < connections) return;
    startedMs = performance.now();
    setTimeout(() => {
      endedMs = performance.now();
      run.stop();
    }, seconds * 1000);
  });
  run.on('reqError', () => {
    // What is under way when it stops has no answer.
    if (endedMs === 0) failed += 1;
  });
}

const [url, seconds, connections] = process.argv.slice(2);
if (!url) throw new Error('usage: http-load.js URL SECONDS CONNECTIONS');
main(url, Number(seconds), Number(connections));
