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

function main(url: string, seconds: number, connections: number): void {
  const times: number[] = [];
  let failed = 0;
  const started = performance.now();
  const run = autocannon({ url, connections, duration: seconds, timeout: 10 }, (error) => {
    const elapsed = (performance.now() - started) / 1000;
    if (error) throw error;
    times.sort((a, b) => a - b);
    const p99Ms = times[Math.floor((times.length - 1) * 0.99)] ?? 0;
    console.log(JSON.stringify({ perSecond: times.length / elapsed, p99Ms, failed } satisfies HttpLoad));
  });
  run.on('response', (_client, statusCode, _bytes, responseMs) => {
    if (statusCode === 200) times.push(responseMs);
    else failed += 1;
  });
  run.on('reqError', () => {
    failed += 1;
  });
}

const [url, seconds, connections] = process.argv.slice(2);
if (!url) throw new Error('usage: http-load.js URL SECONDS CONNECTIONS');
main(url, Number(seconds), Number(connections));
