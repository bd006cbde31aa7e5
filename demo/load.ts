// The client of the demo: drives HTTP requests with autocannon and prints one JSON line a second.
//   node load.js URL SECONDS CONNECTIONS REQUESTS_A_CONNECTION
import autocannon from 'autocannon';

/** One line of progress; counters are totals since the start, latencies those of the last second. */
export interface LoadSample {
  readonly seconds: number;
  readonly requests: number;
  readonly failed: number;
  readonly byBackend: Readonly<Record<string, number>>;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

/** The last line: the whole run. */
export interface LoadResult extends LoadSample {
  readonly done: true;
  readonly requestsPerSecond: number;
  /** What went wrong, by kind. */
  readonly faults: Readonly<Record<string, number>>;
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function main(url: string, seconds: number, connections: number, requestsAConnection: number): void {
  const started = performance.now();
  const byBackend: Record<string, number> = {};
  const faults: Record<string, number> = {};
  let requests = 0;
  let failed = 0;
  let latencies: number[] = [];
  const fault = (kind: string) => {
    failed += 1;
    faults[kind] = (faults[kind] ?? 0) + 1;
  };

  const sample = (): LoadSample => {
    const sorted = latencies.sort((a, b) => a - b);
    latencies = [];
    return {
      seconds: (performance.now() - started) / 1000,
      requests,
      failed,
      byBackend,
      latencyMs: { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: sorted.at(-1) ?? 0 },
    };
  };

  const run = autocannon(
    {
      url,
      connections,
      duration: seconds,
      timeout: 10,
      // New connections all the time, so that a change of the ring shows: a kept-alive one stays where it is.
      reconnectRate: requestsAConnection,
      setupClient: (client) => {
        client.on('body', (body) => {
          const backend = body.toString().trim();
          byBackend[backend] = (byBackend[backend] ?? 0) + 1;
          // Here, not at 'response': that is not told of a connection's last answer.
          requests += 1;
        });
      },
    },
    (error, result) => {
      clearInterval(ticker);
      if (error) fault(error.message);
      const last: LoadResult = {
        ...sample(),
        done: true,
        requestsPerSecond: (requests / (performance.now() - started)) * 1000,
        latencyMs: result
          ? { p50: result.latency.p50, p99: result.latency.p99, max: result.latency.max }
          : { p50: 0, p99: 0, max: 0 },
        faults,
      };
      process.stdout.write(`${JSON.stringify(last)}\n`);
    },
  );
  run.on('response', (_client, statusCode, _bytes, responseMs) => {
    latencies.push(responseMs);
    if (statusCode !== 200) fault(`HTTP ${statusCode}`);
  });
  run.on('reqError', (error: Error) => fault(error.message));
  const ticker = setInterval(() => process.stdout.write(`${JSON.stringify(sample())}\n`), 1000);
  process.on('SIGTERM', () => run.stop());
}

const [url, seconds, connections, requestsAConnection] = process.argv.slice(2);
if (!url) throw new Error('usage: load.js URL SECONDS CONNECTIONS REQUESTS_A_CONNECTION');
main(url, Number(seconds), Number(connections), Number(requestsAConnection));
