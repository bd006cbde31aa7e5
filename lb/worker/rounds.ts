import type { Executable } from '../bpf/engine/context.js';
import type { RunNumbered } from './numbered-program.js';

/** What a pump is linked with: the worker's part of the arena, and the program that it runs. */
export interface PumpImports {
  readonly env: Record<string, WebAssembly.ImportValue>;
  readonly program: { readonly run: Executable['run']; readonly runNumbered: RunNumbered };
  readonly runtime: Record<string, WebAssembly.ImportValue>;
}

/**
 * How a worker gets frames, has a program run on them and sends what came of it: one a kind of socket. A round allocates
 * nothing.
 */
export interface Rounds {
  /** Run this program from the next round on. */
  load(imports: PumpImports): void;
  /** Once, with the first program: take over what a thread that died left. */
  begin(): void;
  /** Whether a frame waits. */
  isReady(): boolean;
  /** Wait for a frame; false where there is none to be seen yet. */
  wait(timeoutMs: number): boolean;
  /** Once `wait` has given false: the error that its sockets have, by the name of its errno, told once; undefined: none. */
  takeError(): string | undefined;
  /** Run the program on some frames and send what is to be sent. */
  round(): void;
  /** Count the frames that the kernel had no room for. */
  readStatistics(): void;
}

/** The part of the arena that a worker's rounds are over. */
export interface RoundsPlace {
  readonly memory: WebAssembly.Memory;
  /** Offset of the worker's CPU block. */
  readonly block: number;
  /** Address of the memory in the process. */
  readonly base: bigint;
}

/** What the wasm of every pump exports; see wasm/pump.ts. */
export interface Pump {
  readonly prepare: () => void;
  readonly recover: () => void;
  readonly isReady: () => number;
  readonly countTime: () => void;
  readonly add: (counter: number, value: number) => void;
}

/** Told each time the kernel refuses to send, by the name of the errno. */
export type SendFaultListener = (errno: string) => void;

/** Frames of a round. Small enough that headers and frames stay in the cache from receiving to sending. */
export const BATCH_FRAMES = 64;
