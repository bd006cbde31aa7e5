import { VERIFY_ADVICE } from '../../../lb/bpf/index.js';
import { REASON_NAMES, REASONS, WORKER_COUNTER_NAMES } from '../../../lb/index.js';
import { CONTROL_CODES, GRPC_CODES } from './control-codes.js';
import { type Explanation, explanations } from './entry.js';
import { HOST_CODES } from './host-codes.js';
import { EXIT_WORDS, REASON_ADVICE, WORKER_COUNTER_WORDS } from './packet-words.js';
import { PROGRAM_CODES } from './program-codes.js';

const ENDINGS = { answer: 'answered or sent on', drop: 'dropped', pass: 'left to the host' } as const;

const words: readonly [string, Explanation][] = [
  ...explanations(CONTROL_CODES),
  ...explanations(GRPC_CODES),
  ...explanations(HOST_CODES),
  ...explanations(PROGRAM_CODES),
  ...explanations(VERIFY_ADVICE),
  ...explanations(EXIT_WORDS),
  ...WORKER_COUNTER_NAMES.map((name): [string, Explanation] => {
    const [means, advice] = WORKER_COUNTER_WORDS[name];
    return [name, { means: `a worker's counter: ${means}`, do: advice }];
  }),
  ...REASON_NAMES.map((name): [string, Explanation] => {
    const { kind, says } = REASONS[name];
    return [
      name,
      { means: `packets are ${ENDINGS[kind]} for this reason: the packet ${says}`, do: REASON_ADVICE[name] },
    ];
  }),
];

/** Everything that `waggle explain` knows, by code, reason or counter; a few words are a reason and a counter. */
export const CODES: ReadonlyMap<string, readonly Explanation[]> = words.reduce(
  (known, [word, one]) => known.set(word, [...(known.get(word) ?? []), one]),
  new Map<string, readonly Explanation[]>(),
);
