import { Worker } from 'node:worker_threads';
import { BPF_MAP_TYPE_CPUMAP } from '../../lb/bpf/maps/uapi.js';
import { Arena } from '../../lb/bpf/memory/arena.js';
import {
  CPU_PUMP,
  CPU_REDIRECT,
  MAP_TYPE,
  REDIRECT_MAP,
  REDIRECT_PROGRAM,
  REDIRECT_TARGET,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
} from '../../lb/bpf/memory/layout.js';
import { CounterCells, type WorkerCounter } from '../../lb/worker/counters.js';
import { abandonClaims, type Inboxes, inboxBytes } from '../../lb/worker/inbox.js';
import {
  INBOX_HEADER_BYTES,
  INBOX_SLOT_EXTRA_BYTES,
  INBOX_SLOTS,
  PUMP_BATCH_START,
  PUMP_FRAME_BYTES,
  PUMP_FRAMES,
  PUMP_INBOXES,
  PUMP_RING,
  PUMP_WORKERS,
} from '../../lb/worker/layout.js';
import { pumpWasm } from '../../lb/worker/pump-wasm.gen.js';
import { MAC_OFFSET } from './packet-ring.js';

const FRAME_BYTES = 2048;
const RING_FRAMES = 8;

/** What a thread is given; it must not refer to anything else. */
interface Task {
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  readonly cpu: number;
  readonly block: number;
  readonly workers: number;
  readonly frames: number;
  /** One in so many frames is the thread's last: it dies with a claim in its hand. 0 for none. */
  readonly dieOnceIn: number;
  /** How often each frame was seen: those of worker i from i × frames on. */
  readonly seen: Int32Array;
  /** For each worker, the next frame's number; then torn frames; then for each, 1 when it has no more to send. */
  readonly state: Int32Array;
  /** Descriptor of a CPUMAP. */
  readonly map: number;
  readonly at: Readonly<Record<'ring' | 'start' | 'redirectMap' | 'target' | 'program' | 'mac', number>>;
  readonly md: Readonly<Record<'data' | 'end', number>>;
  readonly inbox: Readonly<Record<'offset' | 'bytes' | 'header' | 'slots' | 'slotBytes', number>>;
  readonly ring: Readonly<Record<'frames' | 'frameBytes', number>>;
}

/** A worker's life: hands its own frames to all workers by chance, and takes over what comes. */
function work(task: Task): void {
  const { memory, cpu, block, workers, frames, seen, state, at, md, inbox, ring } = task;
  const words = new Int32Array(memory.buffer);
  const torn = workers;
  const ended = workers + 1;
  const isOver = () => state.subarray(ended).every((_, worker) => Atomics.load(state, ended + worker) !== 0);
  let turn = cpu;
  const redirect = () => {
    turn = (Math.imul(turn, 1103515245) + 12345) & 0x7fffffff;
    words[at.redirectMap / 4] = task.map;
    words[at.target / 4] = (turn >> 8) % workers;
    words[at.program / 4] = 1;
    return 4;
  };
  const take = (_number: number, context: bigint) => {
    const md32 = Number(context) / 4;
    const start = words[md32 + md.data / 4]!;
    const end = words[md32 + md.end / 4]!;
    const view = new DataView(memory.buffer, start, end - start);
    const first = view.getUint32(0, true);
    for (let i = 4; i < end - start; i += 4) {
      if (view.getUint32(i, true) !== first) Atomics.add(state, torn, 1);
    }
    Atomics.add(seen, first, 1);
    return 1n;
  };
  const global = (value: number) => new WebAssembly.Global({ value: 'i32' }, value);
  const { exports } = new WebAssembly.Instance(task.module, {
    env: { memory, cpu: global(cpu), block: global(block) },
    program: { run: redirect, runNumbered: take },
    runtime: { target_iterate: () => 0 },
  });
  const pump = exports as unknown as Record<'prepare' | 'recover' | 'isReady' | 'release', () => number> & {
    run(limit: number): number;
  };
  const put = (index: number) => {
    const frame = at.ring + index * ring.frameBytes;
    if (Atomics.load(words, frame / 4) !== 0) return;
    const number = Atomics.add(state, cpu, 1);
    const bytes = number % 3 === 0 ? 1400 : 64;
    const view = new DataView(memory.buffer, frame);
    view.setUint32(4, bytes, true);
    view.setUint32(8, bytes, true);
    view.setUint16(12, at.mac, true);
    for (let i = 0; i < bytes; i += 4) view.setUint32(at.mac + i, cpu * frames + number, true);
    Atomics.store(words, frame / 4, 1);
  };
  const claimAndDie = (worker: number) => {
    const own = inbox.offset + worker * inbox.bytes;
    for (;;) {
      const tail = Atomics.load(words, own / 4) >>> 0;
      const slot = (own + inbox.header + (tail % inbox.slots) * inbox.slotBytes) / 4;
      const free = Math.floor(tail / inbox.slots) << 8;
      if (Atomics.compareExchange(words, slot, free, free | (cpu + 1)) !== free) return;
      if (tail % 2 === 0) Atomics.compareExchange(words, own / 4, tail | 0, (tail + 1) | 0);
      throw new Error('died with a claim');
    }
  };
  pump.prepare();
  pump.recover();
  let isDone = Atomics.load(state, cpu) >= frames;
  const round = () => {
    pump.run(64);
    pump.release();
  };
  while (!isDone) {
    const start = words[at.start / 4]!;
    for (let i = 0; i < ring.frames && Atomics.load(state, cpu) < frames; i++) put((start + i) % ring.frames);
    round();
    if (task.dieOnceIn > 0 && Math.random() < ring.frames / task.dieOnceIn)
      claimAndDie(Math.floor(Math.random() * workers));
    isDone = Atomics.load(state, cpu) >= frames;
  }
  while (pump.isReady()) round();
  Atomics.store(state, ended + cpu, 1);
  while (!isOver() || pump.isReady()) round();
}

export interface InboxOutcome {
  /** Frames that were sent, and of them those that never came and those that came more than once. */
  readonly sent: number;
  readonly missing: number;
  readonly twice: number;
  readonly torn: number;
  readonly deaths: number;
  /** Slots that are not free in the end. */
  readonly stuck: number;
  readonly total: (counter: WorkerCounter) => number;
}

/** Have workers' threads hand frames to each other as fast as they can. A thread that dies is replaced as a pool does. */
export async function runInboxThreads(
  options: Pick<Task, 'workers' | 'frames' | 'dieOnceIn'> & {
    /** Kill a thread from outside once it has sent so many frames. */
    readonly killAfter?: number;
  },
): Promise<InboxOutcome> {
  const { workers, frames, killAfter = Number.POSITIVE_INFINITY } = options;
  const ringBytes = RING_FRAMES * FRAME_BYTES;
  const ringsBytes = workers * (ringBytes + inboxBytes(FRAME_BYTES));
  const arena = Arena.create({ workers, mapsBytes: 4096, ringsBytes });
  const view = new DataView(arena.memory.buffer);
  view.setUint32(arena.maps.offset + MAP_TYPE, BPF_MAP_TYPE_CPUMAP, true);
  const inboxes: Inboxes = {
    offset: arena.rings.offset + workers * ringBytes,
    workers,
    frameBytes: FRAME_BYTES,
  };
  const shared = (count: number) => new Int32Array(new SharedArrayBuffer(count * 4));
  const seen = shared(workers * frames);
  const state = shared(workers * 2 + 1);
  const module = new WebAssembly.Module(pumpWasm);
  let deaths = 0;

  const taskOf = (cpu: number): Task => {
    const block = arena.block(cpu);
    return {
      ...options,
      memory: arena.memory,
      module,
      cpu,
      block,
      seen,
      state,
      map: arena.maps.offset,
      at: {
        ring: arena.rings.offset + cpu * ringBytes,
        start: block + CPU_PUMP + PUMP_BATCH_START,
        redirectMap: block + CPU_REDIRECT + REDIRECT_MAP,
        target: block + CPU_REDIRECT + REDIRECT_TARGET,
        program: block + CPU_REDIRECT + REDIRECT_PROGRAM,
        mac: MAC_OFFSET + 2,
      },
      md: { data: XDP_MD_DATA, end: XDP_MD_DATA_END },
      inbox: {
        offset: inboxes.offset,
        bytes: inboxBytes(FRAME_BYTES),
        header: INBOX_HEADER_BYTES,
        slots: INBOX_SLOTS,
        slotBytes: FRAME_BYTES + INBOX_SLOT_EXTRA_BYTES,
      },
      ring: { frames: RING_FRAMES, frameBytes: FRAME_BYTES },
    };
  };
  const text = `const work = ${work.toString()}; work(require('node:worker_threads').workerData);`;
  const threads: (Worker | undefined)[] = [];
  /** Frames that were sent before each of them. */
  const starts: number[] = [];
  const live = (cpu: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const thread = new Worker(text, { eval: true, workerData: taskOf(cpu) });
      threads[cpu] = thread;
      starts[cpu] = Atomics.load(state, cpu);
      let fault: Error | undefined;
      thread.on('error', (error: Error) => {
        fault = error;
      });
      thread.on('exit', (status) => {
        threads[cpu] = undefined;
        if (status === 0) resolve();
        else if (fault && fault.message !== 'died with a claim') reject(fault);
        else {
          deaths += 1;
          abandonClaims(arena.i32, inboxes, cpu);
          live(cpu).then(resolve, reject);
        }
      });
    });
  for (let cpu = 0; cpu < workers; cpu++) {
    const words = arena.block(cpu) + CPU_PUMP;
    view.setUint32(words + PUMP_RING, arena.rings.offset + cpu * ringBytes, true);
    view.setUint32(words + PUMP_FRAMES, RING_FRAMES, true);
    view.setUint32(words + PUMP_FRAME_BYTES, FRAME_BYTES, true);
    view.setUint32(words + PUMP_WORKERS, workers, true);
    view.setUint32(words + PUMP_INBOXES, inboxes.offset, true);
  }
  const kill = () => {
    for (const [cpu, thread] of threads.entries()) {
      if (Atomics.load(state, cpu) > starts[cpu]! + killAfter) void thread?.terminate();
    }
  };
  const timer = setInterval(kill, 2);
  try {
    await Promise.all(Array.from({ length: workers }, (_, cpu) => live(cpu)));
  } finally {
    clearInterval(timer);
  }
  let stuck = 0;
  for (let worker = 0; worker < workers; worker++) {
    const slots = inboxes.offset + worker * inboxBytes(FRAME_BYTES) + INBOX_HEADER_BYTES;
    for (let slot = 0; slot < INBOX_SLOTS; slot++)
      if (view.getUint8(slots + slot * (FRAME_BYTES + INBOX_SLOT_EXTRA_BYTES)) !== 0) stuck += 1;
  }
  const counters = Array.from({ length: workers }, (_, cpu) =>
    new CounterCells(arena.memory, arena.block(cpu)).read(),
  );
  return {
    sent: workers * frames,
    missing: seen.filter((count) => count === 0).length,
    twice: seen.filter((count) => count > 1).length,
    torn: state[workers]!,
    deaths,
    stuck,
    total: (counter) => counters.reduce((sum, each) => sum + Number(each[counter]), 0),
  };
}
