import type { HelperName } from '../helpers/prototypes.js';
import type { Of } from '../isa/instruction.js';
import {
  CPU_CLOCK_NS,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_HARD_START,
} from '../memory/layout.js';
import type { State } from './facts.js';
import { checksumSources, lowerChecksumDifference } from './inline-checksum.js';
import { keySources, lowerLookup } from './inline-maps.js';
import type { FunctionCode, ModuleContext } from './lower.js';
import type { Optimisation } from './optimisations.js';
import type { WordSource } from './slots.js';

/** ETH_HLEN: what adjust_head must leave of a packet. */
const ETHERNET_HEADER_BYTES = 14n;
const MINUS_EINVAL = -22n;

/** Leaves r0 on the stack and says true, or writes nothing and says false. */
type Inline = (code: FunctionCode, state: State) => boolean;

/** Helpers whose code takes their call's place; the runtime has the body of every one. */
const INLINE: Partial<Record<HelperName, Inline>> = {
  bpf_map_lookup_elem: lowerLookup,
  bpf_ktime_get_ns: (code) => {
    code.w.global(code.module.block()).memory('i64.load', CPU_CLOCK_NS);
    return true;
  },
  bpf_get_smp_processor_id: (code) => {
    code.w.global(code.module.cpu()).op('i64.extend_i32_u');
    return true;
  },
  bpf_xdp_adjust_head: lowerAdjustHead,
  bpf_csum_diff: lowerChecksumDifference,
};

/** Those that are left out by another name than the others, or look themselves. */
const OPTIMISATION: Partial<Record<HelperName, Optimisation | undefined>> = {
  bpf_map_lookup_elem: undefined,
  bpf_csum_diff: 'inline-checksum',
};

/** What a helper reads whose body is written out, all of it; undefined where it is called. */
export function wordSources(
  instruction: Of<'call-helper'>,
  state: State,
  context: Pick<ModuleContext, 'maps' | 'without'>,
): readonly WordSource[] | undefined {
  return keySources(instruction, state, context) ?? checksumSources(instruction, state, context.without);
}

/**
 * Inline a helper's body where that pays.
 * @returns false where the helper is to be called
 */
export function lowerHelper(code: FunctionCode, name: HelperName, state: State): boolean {
  const optimisation = name in OPTIMISATION ? OPTIMISATION[name] : 'inline-helpers';
  if (optimisation !== undefined && code.module.without.has(optimisation)) return false;
  return INLINE[name]?.(code, state) ?? false;
}

/**
 * bpf_xdp_adjust_head: the packet starts at data + delta, which must stay in [hard start, data_end − 14].
 * A frame that has metadata in front, which would move along, is left to the runtime.
 */
function lowerAdjustHead(code: FunctionCode): boolean {
  const { w } = code;
  const context = code.scratch('i32', 'context');
  const data = code.scratch('i32', 'data');
  const moved = code.scratch('i64', 'moved');
  code.pushRegister32(1);
  w.tee(context).memory('i32.load', XDP_MD_DATA).set(data);
  // There is metadata where 0 < data_meta < data.
  w.get(context).memory('i32.load', XDP_MD_DATA_META).i32(1).op('i32.sub');
  w.get(data).i32(1).op('i32.sub', 'i32.lt_u').if('i64');
  code.pushRegister(1);
  code.pushRegister(2);
  w.call(code.module.runtime('bpf_xdp_adjust_head', { params: ['i64', 'i64'], results: ['i64'] }));
  w.op('else');
  w.get(data).op('i64.extend_i32_u');
  code.pushRegister(2);
  w.op('i64.extend32_s', 'i64.add').tee(moved);
  w.get(context).memory('i64.load32_u', XDP_MD_HARD_START).op('i64.lt_s');
  w.get(moved);
  w.get(context).memory('i64.load32_u', XDP_MD_DATA_END).i64(ETHERNET_HEADER_BYTES).op('i64.sub', 'i64.gt_s');
  w.op('i32.or').if('i64');
  w.i64(MINUS_EINVAL);
  w.op('else');
  for (const word of [XDP_MD_DATA, XDP_MD_DATA_META]) w.get(context).get(moved).memory('i64.store32', word);
  w.i64(0n).op('end', 'end');
  return true;
}
