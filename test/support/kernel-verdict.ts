import { MAP_TYPES, type MapSpec, type MapTypeName } from '../../lb/bpf/maps/map.js';
import type { Btf } from '../../lb/bpf/object/btf.js';
import type { ProgramSpec } from '../../lb/bpf/object/spec.js';
import { BpfAttr, bpfCall } from '../../lb/sys/bpf-call.js';
import { type KernelMap, KernelMaps } from '../../lb/sys/bpf-map.js';
import { KernelTypes } from '../../lb/sys/bpf-types.js';
import { errnoName } from '../../lb/sys/errno.js';
import { closeFd } from '../../lb/sys/syscall.js';

/** enum bpf_prog_type. */
const TYPES: Readonly<Record<string, number>> = { xdp: 6, tc: 3, sched_cls: 3 };
const LD_IMM64 = 0x18;
const LOG_BYTES = 16 << 20;
let log: Uint8Array | undefined;

/** A map as `type,key,value,entries[,flags[,inner:key:value:entries]]`, sizes in bytes. */
export function mapSpecOf(text: string, name = 'kv'): MapSpec {
  const [type = '', key, value, entries, flags, inner] = text.split(',');
  const found = type.toUpperCase();
  if (!(found in MAP_TYPES)) throw new Error(`no map type ${type}`);
  return {
    name,
    type: found as MapTypeName,
    keySize: Number(key),
    valueSize: Number(value),
    maxEntries: Number(entries),
    flags: Number(flags ?? 0),
    ...(inner !== undefined && { inner: mapSpecOf(inner.split(':').join(','), 'inner') }),
  };
}

export interface KernelQuestion {
  /** Maps by index in `imm` of LD_IMM64 with source register 1 or 2. */
  readonly code: Uint8Array;
  readonly type?: string;
  readonly maps?: readonly MapSpec[];
  readonly flags?: number;
  /** enum bpf_attach_type. */
  readonly attachType?: number;
  readonly license?: string;
  readonly level?: 0 | 1 | 2 | 4;
  /** Types and, with `program`, functions and lines. */
  readonly btf?: Btf;
  readonly program?: Pick<ProgramSpec, 'functions' | 'lines'>;
}

export interface KernelAnswer {
  readonly accepted: boolean;
  readonly errno: string;
  readonly log: string;
  /** Instructions walked; undefined where the log does not say. */
  readonly processed: number | undefined;
  /** Lines that say why, joined by ' | '; '' where it was accepted. */
  readonly message: string;
}

const STATE_LINE =
  /^(\d+: |; |from \d+ to \d+|func#|caller:|callee:|to caller at|returning from| (frame\d+: )?R\d+=|Live regs|mark_precise|processed |\s*\d+: [.\d]+ \(|verification time|stack depth|propagating|Validating|Func#|live stack)/;

/** Numbers at the end of a log. */
const NUMBERS = /^(processed |verification time|stack depth)/;

/** The lines of a refusal's log that are neither steps nor states nor numbers, joined by ' | '. */
export function messageOf(text: string): string {
  const lines = text.split('\n');
  const found: string[] = [];
  for (const whole of lines) {
    // Some of the kernel's messages do not end their line.
    const line = whole.replace(/(?<=.)processed \d+ insns .*/, '');
    if (line === '') continue;
    if (STATE_LINE.test(line)) {
      if (!NUMBERS.test(line)) found.length = 0;
      continue;
    }
    found.push(line);
  }
  return found.join(' | ');
}

/** Have the live kernel verify a program; maps are made for it and go again. */
export function askKernelAbout(question: KernelQuestion): KernelAnswer {
  const host = new KernelMaps();
  const maps: KernelMap[] = [];
  let types: KernelTypes | undefined;
  try {
    for (const spec of question.maps ?? []) maps.push(host.createMap(spec));
    const code = withDescriptors(question.code, maps);
    log ??= new Uint8Array(LOG_BYTES);
    log[0] = 0;
    const attr = new BpfAttr(128)
      .u32(0, TYPES[question.type ?? 'xdp'] ?? 6)
      .u32(4, code.length / 8)
      .pointer(8, code)
      .pointer(16, new TextEncoder().encode(`${question.license ?? 'GPL'}\0`))
      .u32(44, question.flags ?? 0)
      .u32(68, question.attachType ?? 0);
    const level = question.level ?? 1;
    if (level > 0) attr.u32(24, level).u32(28, log.length).pointer(32, log);
    if (question.btf !== undefined) {
      types = new KernelTypes(question.btf);
      if (question.program !== undefined) types.describe(attr, question.program as ProgramSpec);
    }
    const fd = bpfCall('PROG_LOAD', attr);
    if (fd >= 0) closeFd(fd);
    // The log of all paths is too long: the verdict without the steps.
    if (errnoName(-fd) === 'ENOSPC' && level === 1) return askKernelAbout({ ...question, level: 4 });
    const text = new TextDecoder().decode(log.subarray(0, Math.max(0, log.indexOf(0))));
    const processed = /processed (\d+) insns/.exec(text)?.[1];
    return {
      accepted: fd >= 0,
      errno: fd >= 0 ? '' : errnoName(-fd),
      log: text,
      processed: processed === undefined ? undefined : Number(processed),
      message: fd >= 0 ? '' : messageOf(text),
    };
  } finally {
    types?.close();
    for (const map of maps) map.close();
  }
}

function withDescriptors(code: Uint8Array, maps: readonly KernelMap[]): Uint8Array {
  const bytes = Uint8Array.from(code);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    if (view.getUint8(at) !== LD_IMM64) continue;
    const source = view.getUint8(at + 1) >> 4;
    const map = maps[view.getInt32(at + 4, true)];
    if ((source === 1 || source === 2) && map !== undefined) view.setInt32(at + 4, map.fd, true);
    at += 8;
  }
  return bytes;
}
