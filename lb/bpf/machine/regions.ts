import { CONTEXTS } from '../context/fields.js';
import type { HelperUser } from '../helpers/prototypes.js';
import type { ArenaMap } from '../maps/registry.js';
import type { Arena } from '../memory/arena.js';
import {
  CPU_STACK_END,
  MAP_DESCRIPTOR_BYTES,
  SKB_BYTES,
  SKB_DATA,
  SKB_DATA_END,
  STACK_FRAME_BYTES,
  STACK_FRAMES,
  XDP_MD_BYTES,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
} from '../memory/layout.js';
import type { TraceRegion } from '../trace.js';

const CONTEXT_WORDS = {
  xdp: { bytes: XDP_MD_BYTES, data: XDP_MD_DATA, end: XDP_MD_DATA_END },
  sched_cls: { bytes: SKB_BYTES, data: SKB_DATA, end: SKB_DATA_END },
} as const satisfies Record<HelperUser, object>;

/** What a program's pointers lead to on one CPU, by the names that a person has for it. */
export function regionsOf(
  arena: Arena,
  cpu: number,
  type: HelperUser,
  maps: ReadonlyMap<string, ArenaMap>,
): TraceRegion[] {
  const block = arena.block(cpu);
  const context = block + CONTEXTS[type].blockOffset;
  const words = CONTEXT_WORDS[type];
  const packet = arena.u32[(context + words.data) >>> 2]!;
  const end = arena.u32[(context + words.end) >>> 2]!;
  const frames = Array.from({ length: STACK_FRAMES }, (_, frame): TraceRegion => {
    const top = block + CPU_STACK_END - frame * STACK_FRAME_BYTES;
    const start = top - STACK_FRAME_BYTES;
    return { name: frame === 0 ? 'fp' : `fp${frame}`, start, bytes: STACK_FRAME_BYTES, isFromEnd: true };
  });
  const ofMaps = [...maps].flatMap(([name, { info }]): TraceRegion[] => [
    { name: `map ${name}`, start: info.descriptor, bytes: MAP_DESCRIPTOR_BYTES },
    ...(info.data === 0
      ? []
      : [
          {
            name,
            start: info.data,
            bytes: info.cpus * (info.cpuStride || info.maxEntries * info.valueStride),
          },
        ]),
  ]);
  return [
    { name: 'packet', start: packet, bytes: end - packet },
    { name: 'ctx', start: context, bytes: words.bytes },
    ...frames,
    ...ofMaps,
  ];
}
