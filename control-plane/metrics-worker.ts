import type { ApiContext } from './grpc/context.js';
import type { Families } from './metrics-family.js';

/** Families of a worker's counters; a name that is in none of them tells what became of frames. */
const WORKER_FAMILIES = [
  {
    name: 'waggle_worker_received_frames_total',
    help: 'Frames that a worker took from its ring.',
    counters: { received: {} },
  },
  {
    name: 'waggle_worker_taken_over_frames_total',
    help: 'Frames that a worker took from its inbox: other workers handed them to it.',
    counters: { taken_over: {} },
  },
  {
    name: 'waggle_worker_bytes_total',
    help: 'Bytes on the wire of frames received, transmitted, and redirected to another interface.',
    counters: {
      received_bytes: { direction: 'received' },
      transmitted_bytes: { direction: 'transmitted' },
      redirected_bytes: { direction: 'redirected' },
    },
  },
  {
    name: 'waggle_worker_mended_frames_total',
    help: 'Frames that were mended before the program saw them, and how.',
    counters: { checksum_filled: { mend: 'checksum_filled' }, vlan_restored: { mend: 'vlan_restored' } },
  },
  {
    name: 'waggle_worker_batches_total',
    help: 'Rounds of a worker that found at least one frame.',
    counters: { batches: {} },
  },
  {
    name: 'waggle_worker_wakeups_total',
    help: 'Times that a worker woke from waiting.',
    counters: { wakeups: {} },
  },
  {
    name: 'waggle_worker_program_runs_total',
    help: 'Times that a worker ran the program on a frame.',
    counters: { program_runs: {} },
  },
  {
    name: 'waggle_worker_program_seconds_total',
    help: 'Time of the batches that the program ran in, with what hands it the frames.',
    counters: { program_ns: {} },
    scale: 1e-9,
  },
] as const;

/** What the workers do: threads, or the CPUs that the kernel runs the program on. */
export function workerFamilies(families: Families, { datapath }: ApiContext): void {
  const placed = new Set<string>(WORKER_FAMILIES.flatMap(({ counters }) => Object.keys(counters)));
  for (const row of WORKER_FAMILIES) {
    const { name, help, counters } = row;
    const scale = 'scale' in row ? row.scale : undefined;
    const byCounter: Readonly<Record<string, Readonly<Record<string, string>>>> = counters;
    const labelNames = [
      'worker',
      ...new Set(Object.values(byCounter).flatMap((labels) => Object.keys(labels))),
    ];
    families.counter({ name, help, labelNames }, function* () {
      for (const worker of datapath.workers()) {
        const values: Readonly<Record<string, bigint>> = worker.counters;
        for (const [counter, labels] of Object.entries(byCounter)) {
          const value = values[counter] ?? 0n;
          yield [
            { worker: String(worker.index), ...labels },
            scale === undefined ? value : Number(value) * scale,
          ];
        }
      }
    });
  }
  families.counter(
    {
      name: 'waggle_worker_frames_total',
      help: 'What became of the frames that a worker received or took over.',
      labelNames: ['worker', 'outcome'],
    },
    function* () {
      for (const { index, counters } of datapath.workers()) {
        for (const [outcome, value] of Object.entries(counters)) {
          if (!placed.has(outcome)) yield [{ worker: String(index), outcome }, value];
        }
      }
    },
  );
  families.counter(
    {
      name: 'waggle_worker_restarts_total',
      help: 'Times that a worker thread was replaced.',
      labelNames: ['worker'],
    },
    () => datapath.workers().map(({ index, restarts }) => [{ worker: String(index) }, restarts] as const),
  );
  families.gauge({ name: 'waggle_worker_up', help: '1 while the worker runs.', labelNames: ['worker'] }, () =>
    datapath
      .workers()
      .map(({ index, state }) => [{ worker: String(index) }, state === 'running' ? 1 : 0] as const),
  );
}
