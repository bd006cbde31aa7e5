import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { PcapWriter } from '../../lb/net/pcap.js';
import { flowFrame, parseFlow } from '../../lb/simulate-flow.js';
import { Files, MAIN, missingBuild, NODE, START_NS } from './cli.js';

const files = new Files();
afterAll(() => files.remove());

const FLOWS = 10_000;
/** Far below what is reached, for machines that are busy. */
const MIN_PACKETS_PER_SECOND = 50_000;

/** A capture of all flows, so many times: 2 MB each time, written a piece at a time. */
function writeLong(path: string, times: number): string {
  const writer = new PcapWriter();
  const data = new Uint8Array(150);
  const records = Array.from({ length: FLOWS }, (_, index) => {
    const frame = flowFrame(parseFlow(`tcp 192.168.${index >> 8}.${index & 255}:4000 -> 10.200.1.1:80`));
    return writer.frame({ timestampNs: START_NS, bytes: new Uint8Array(Buffer.concat([frame, data])) });
  });
  const piece = Buffer.concat(records);
  const file = openSync(path, 'w');
  writeSync(file, writer.header());
  for (let time = 0; time < times; time++) writeSync(file, piece);
  closeSync(file);
  return path;
}

interface Measured {
  readonly stdout: string;
  readonly seconds: number;
  /** Most memory that the process had, MiB. */
  readonly peakMiB: number;
}

/** Run a replay and watch its memory. */
function measure(...args: string[]): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, [MAIN, 'replay', ...args]);
    let [stdout, peakKiB] = ['', 0];
    const timer = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
        peakKiB = Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? peakKiB);
      } catch {
        // It has ended.
      }
    }, 10);
    child.stdout.on('data', (piece: Buffer) => {
      stdout += piece.toString();
    });
    child.on('error', reject);
    child.on('close', () => {
      clearInterval(timer);
      resolve({ stdout, seconds: (performance.now() - start) / 1000, peakMiB: peakKiB / 1024 });
    });
  });
}

describe.skipIf(missingBuild)(`a long capture${missingBuild ? ` (skipped: ${missingBuild})` : ''}`, () => {
  it('streams through: its length is not in the memory', { timeout: 120_000 }, async () => {
    const config = files.write('node.yaml', NODE);
    const run = (times: number) =>
      measure(
        '--config',
        config,
        '--in',
        writeLong(files.path(`${times}.pcap`), times),
        '--quiet',
        '--out',
        '/dev/null',
      );
    const short = await run(5);
    const long = await run(100);
    expect(long.stdout).toMatch(/^1,000,000 packets: XDP_TX 1,000,000\n/);
    expect(1_000_000 / long.seconds).toBeGreaterThan(MIN_PACKETS_PER_SECOND);
    // 190 MiB longer.
    expect(long.peakMiB - short.peakMiB).toBeLessThan(100);
  });
});
