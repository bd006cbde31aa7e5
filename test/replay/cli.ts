/** The command line as its users run it: a process on the build in dist/. */
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type CapturedFrame,
  type FrameToWrite,
  readCapture,
  writePcap,
  writePcapng,
} from '../../lb/net/pcap.js';

export const MAIN = fileURLToPath(new URL('../../dist/control-plane/cli/main.js', import.meta.url));
/** Why nothing can be run. */
export const missingBuild = existsSync(MAIN) ? undefined : 'dist/ is not built';

export const objectFile = (name: string): string =>
  fileURLToPath(new URL(`../../programs/build/${name}.bpf.o`, import.meta.url));

export interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const MAX_OUTPUT_BYTES = 64 * 2 ** 20;

/** Run `waggle` and wait for its end. */
export function waggle(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [MAIN, ...args],
      { maxBuffer: MAX_OUTPUT_BYTES, encoding: 'utf8' },
      (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
      },
    );
  });
}

/** The same with bytes on standard input and from standard output. */
export function wagglePipe(
  input: Uint8Array,
  ...args: string[]
): Promise<Omit<Run, 'stdout'> & { readonly bytes: Uint8Array }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args]);
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (piece: Buffer) => out.push(piece));
    child.stderr.on('data', (piece: Buffer) => err.push(piece));
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({
        status: code ?? 1,
        bytes: new Uint8Array(Buffer.concat(out)),
        stderr: Buffer.concat(err).toString(),
      }),
    );
    // A command that ends early does not read all of it.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** A line of `waggle replay --json`. */
export interface ReplayLine {
  readonly index: number;
  readonly verdict: string;
  readonly reason: string;
  readonly vip: string | null;
  readonly backend: string | null;
  readonly table: string | null;
  readonly bytes: string;
}
export const linesOf = ({ stdout }: Pick<Run, 'stdout'>): ReplayLine[] =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ReplayLine);

/** When the first packet of a test's capture came, ns. */
export const START_NS = 1_700_000_000_000_000_000n;
export const MS = 1_000_000n;

/** Frames a millisecond apart. */
export const spaced = (frames: readonly Uint8Array[]): FrameToWrite[] =>
  frames.map((bytes, index) => ({ timestampNs: START_NS + BigInt(index) * MS, bytes }));

/** A folder for the files of a test. */
export class Files {
  readonly #folder = mkdtempSync(join(tmpdir(), 'waggle-replay-'));

  path(name: string): string {
    return join(this.#folder, name);
  }

  /** Write a file. @returns its path */
  write(name: string, content: string | Uint8Array): string {
    writeFileSync(this.path(name), content);
    return this.path(name);
  }

  /** Write a capture: pcapng where the name says so, else pcap. @returns its path */
  capture(name: string, frames: readonly FrameToWrite[]): string {
    return this.write(name, name.endsWith('.pcapng') ? writePcapng(frames) : writePcap(frames));
  }

  read(name: string): CapturedFrame[] {
    return [...readCapture(new Uint8Array(readFileSync(this.path(name))))];
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export const NODE = `
node:
  routerMac: 00:00:de:ad:be:af
vips:
  - { name: web, address: 10.200.1.1, port: 80, protocol: tcp, backends: [10.0.0.1, 10.0.0.2, 10.0.0.3] }
  - { name: dns, address: 10.200.1.1, port: 53, protocol: udp, backends: [10.0.0.1, 10.0.0.2] }
  - { name: web6, address: "fc00:1::1", port: 80, protocol: tcp, backends: ["fc00::1", "fc00::2"] }
  - { name: empty, address: 10.200.1.2, port: 80, protocol: tcp, backends: [] }
`;
