import { release } from 'node:os';
import { afterAll, describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { type KernelMap, KernelMaps } from '../../sys/bpf.js';
import { BpfAttr, bpfCall } from '../../sys/bpf-call.js';
import { closeFd } from '../../sys/syscall.js';
import { MAP_FLAGS, type MapSpec } from '../maps/map.js';
import {
  type ArgumentKind,
  describeHelpers,
  HELPERS,
  type HelperRow,
  type HelperUser,
  helperById,
  type ResultKind,
} from './prototypes.js';

describe('the table of helpers', () => {
  it('has every number from 1 to 211, in order', () => {
    expect(HELPERS.map(({ id }) => id)).toEqual(Array.from({ length: 211 }, (_, index) => index + 1));
    expect(new Set(HELPERS.map(({ name }) => name)).size).toBe(211);
    for (const row of HELPERS) expect(helperById(row.id)).toBe(row);
    expect(helperById(0)).toBeUndefined();
    expect(helperById(212)).toBeUndefined();
  });

  it('describes each helper, and why it is not offered', () => {
    const described = describeHelpers();
    expect(described.map(({ id }) => id)).toEqual(HELPERS.map(({ id }) => id));
    for (const { id, offered, why, users } of described) {
      expect(offered, `${id}`).toBe(why === '');
      if (offered) expect(users.length, `${id}`).toBeGreaterThan(0);
    }
    expect(described[4 - 1]).toEqual({
      id: 4,
      name: 'bpf_probe_read',
      users: [],
      offered: false,
      why: 'it reads or writes memory of the kernel or of a process',
    });
  });
});

type Slot = readonly [opcode: number, dst: number, src: number, off: number, imm: number];
const TYPE_NUMBERS: Readonly<Record<HelperUser, number>> = { xdp: 6, sched_cls: 3 };
const USERS: readonly HelperUser[] = ['xdp', 'sched_cls'];
const ATTACH_XDP = 37;

/** What the kernel's verifier says of a program: undefined where it takes it. */
function ask(user: HelperUser, slots: readonly Slot[], license = 'GPL'): string | undefined {
  const code = new Uint8Array(8 * slots.length);
  const view = new DataView(code.buffer);
  for (const [index, [opcode, dst, src, off, imm]] of slots.entries()) {
    view.setUint8(8 * index, opcode);
    view.setUint8(8 * index + 1, (src << 4) | dst);
    view.setInt16(8 * index + 2, off, true);
    view.setInt32(8 * index + 4, imm, true);
  }
  const log = new Uint8Array(65536);
  const attr = new BpfAttr(128)
    .u32(0, TYPE_NUMBERS[user])
    .u32(4, slots.length)
    .pointer(8, code)
    .pointer(16, new TextEncoder().encode(`${license}\0`))
    .u32(24, 1)
    .u32(28, log.length)
    .pointer(32, log)
    .u32(68, user === 'xdp' ? ATTACH_XDP : 0);
  const fd = bpfCall('PROG_LOAD', attr);
  if (fd < 0) return new TextDecoder().decode(log.subarray(0, log.indexOf(0)));
  closeFd(fd);
  return undefined;
}

const mov = (dst: number, imm: number): Slot => [0xb7, dst, 0, 0, imm];
const copy = (dst: number, src: number): Slot => [0xbf, dst, src, 0, 0];
const add = (dst: number, imm: number): Slot => [0x07, dst, 0, 0, imm];
const load = (opcode: number, dst: number, src: number, off: number): Slot => [opcode, dst, src, off, 0];
const [LDX_W, LDX_B, LDX_DW] = [0x61, 0x71, 0x79] as const;
const call = (id: number): Slot => [0x85, 0, 0, 0, id];
const EXIT: Slot = [0x95, 0, 0, 0, 0];
const pseudo = (dst: number, kind: 1 | 2, fd: number): Slot[] => [
  [0x18, dst, kind, 0, fd],
  [0, 0, 0, 0, 0],
];

/** Where memory arguments point to: this many bytes below the stack's top, all of them zero. */
const STACK = 64;
/** A dynptr's place, below. */
const DYNPTR = 80;
const CONTEXT = 6;
const PACKET = 7;

/** Kinds that a program of a few lines cannot come by; helpers that have one are not asked about. */
const OUT_OF_REACH: ReadonlySet<ArgumentKind> = new Set<ArgumentKind>([
  'function',
  'spin-lock',
  'timer',
  'record-release',
  'dynptr',
  'dynptr-new-ringbuf',
  'dynptr-release-ringbuf',
  'socket-common',
  'socket-release',
  'kernel-object',
]);
/** Maps that a helper wants and no other; undefined: of kinds that are not made here. */
const MAP_OF: Readonly<Record<number, keyof typeof MAPS | undefined>> = {
  22: 'events',
  25: 'events',
  33: undefined,
  37: undefined,
  51: 'devices',
  55: 'events',
  87: 'queue',
  88: 'queue',
  89: 'queue',
  130: 'ring',
  131: 'ring',
  134: 'ring',
  195: 'percpu',
};
const base = { keySize: 4, valueSize: 4, maxEntries: 4, flags: 0 } as const;
const MAPS = {
  hash: { ...base, name: 'hash', type: 'HASH', valueSize: 8 },
  xdpPrograms: { ...base, name: 'xdp programs', type: 'PROG_ARRAY' },
  tcPrograms: { ...base, name: 'sched_cls programs', type: 'PROG_ARRAY' },
  bytes: { ...base, name: 'bytes', type: 'ARRAY', valueSize: 64, maxEntries: 1 },
  events: { ...base, name: 'events', type: 'PERF_EVENT_ARRAY' },
  devices: { ...base, name: 'devices', type: 'DEVMAP' },
  queue: { ...base, name: 'queue', type: 'QUEUE', keySize: 0, valueSize: 8 },
  ring: { ...base, name: 'ring', type: 'RINGBUF', keySize: 0, valueSize: 0, maxEntries: 4096 },
  percpu: { ...base, name: 'percpu', type: 'PERCPU_ARRAY', valueSize: 8 },
  text: {
    ...base,
    name: 'text',
    type: 'ARRAY',
    maxEntries: 1,
    flags: MAP_FLAGS.BPF_F_RDONLY_PROG,
    initial: new TextEncoder().encode('txt\0'),
    frozen: true,
  },
} as const satisfies Record<string, MapSpec>;

/** What the verifier calls what r0 holds, where a program reads through it. */
const RESULTS: Readonly<Record<ResultKind, RegExp>> = {
  integer: /R0 invalid mem access 'scalar'/,
  void: /R0 !read_ok/,
  'map-value-or-null': /R0 invalid mem access 'map_value_or_null'/,
  'record-or-null': /R0 invalid mem access 'ringbuf_mem_or_null'/,
  'dynptr-memory-or-null': /R0 invalid mem access 'mem_or_null'/,
  'socket-or-null': /R0 invalid mem access 'sock_or_null'/,
  'socket-common-or-null': /R0 invalid mem access 'sock_common_or_null'/,
  'tcp-socket-or-null': /R0 invalid mem access 'tcp_sock_or_null'/,
  'kernel-object': /(?:)/,
};

const missing =
  missingRoot ?? (release().startsWith('6.18.') ? undefined : 'the table is that of Linux 6.18');

describe.skipIf(missing)(`Linux 6.18 agrees${missing ? ` (skipped: ${missing})` : ''}`, () => {
  const host = missing === undefined ? new KernelMaps() : undefined;
  const fds = new Map<string, KernelMap | undefined>(
    Object.values(MAPS).map((spec) => [spec.name, host?.createMap(spec)]),
  );
  const fdOf = (name: string) => fds.get(name)!.fd;
  afterAll(() => {
    for (const map of fds.values()) map?.close();
  });

  it.each(USERS)('which helpers programs of type %s may call, and under which licence', (user) => {
    for (const { id, name, users, gplOnly } of HELPERS) {
      const said = (license: string) => ask(user, [call(id), mov(0, 0), EXIT], license) ?? '';
      const isOpen = !/cannot use helper|unknown func/.test(said('GPL'));
      expect(isOpen, name).toBe(users.includes(user));
      const isGplOnly = isOpen && /GPL-restricted/.test(said('Proprietary'));
      expect(isGplOnly, `${name} under another licence`).toBe(isOpen && gplOnly === true);
    }
    expect(ask(user, [call(212), mov(0, 0), EXIT])).toMatch(/invalid func unknown#212/);
  });

  /** Instructions that make a register an argument of a kind. */
  function argument(register: number, kind: ArgumentKind, { id }: HelperRow, user: HelperUser): Slot[] {
    if (typeof kind === 'object') return [copy(register, 10), add(register, -STACK)];
    // A dynptr is made of memory of a map alone.
    if (id === 197 && kind === 'memory-update') return pseudo(register, 2, fdOf('bytes'));
    switch (kind) {
      case 'context':
      case 'context-or-null':
        return [copy(register, CONTEXT)];
      case 'map':
        return pseudo(register, 1, fdOf(id === 12 ? `${user} programs` : (MAP_OF[id] ?? 'hash')));
      case 'constant-string':
        return pseudo(register, 2, fdOf('text'));
      case 'dynptr-new-local':
        return [copy(register, 10), add(register, -DYNPTR)];
      case 'size':
      case 'size-or-zero':
        // struct bpf_fib_lookup is the longest that a helper asks for, and most take any.
        return [mov(register, 8)];
      case 'alloc-size':
        return [mov(register, 8)];
      case 'anything':
      case 'scalar':
        return [mov(register, 0)];
      case 'unchecked':
        return [];
      default:
        return [copy(register, 10), add(register, -STACK)];
    }
  }

  type Change = (register: number, kind: ArgumentKind, slots: Slot[]) => readonly Slot[];
  const unchanged: Change = (_register, _kind, slots) => slots;
  /** The packet's first 64 bytes are proved to be there; then arguments, the call, and `after`. */
  function program(
    row: HelperRow,
    user: HelperUser,
    change = unchanged,
    after: readonly Slot[] = [],
  ): Slot[] {
    const [data, end] = user === 'xdp' ? [0, 4] : [76, 80];
    const stack = Array.from({ length: STACK / 8 }, (_, i): Slot => [0x7a, 10, 0, -8 * (i + 1), 0]);
    const setUp = [
      copy(CONTEXT, 1),
      ...stack,
      load(LDX_W, PACKET, CONTEXT, data),
      load(LDX_W, 8, CONTEXT, end),
      copy(9, PACKET),
      add(9, 64),
    ];
    const args = row.args.flatMap((kind, index) =>
      change(index + 1, kind, argument(index + 1, kind, row, user)),
    );
    const body = [...args, call(row.id), ...after];
    // if (packet + 64 > end) skip everything
    return [...setUp, [0x2d, 9, 8, body.length, 0], ...body, mov(0, 0), EXIT];
  }

  /** What is said of a program, but for what comes after the call is taken. */
  const refusal = (user: HelperUser, slots: readonly Slot[]): string | undefined => {
    const log = ask(user, slots);
    return log === undefined || /Unreleased reference/.test(log) ? undefined : log;
  };
  const asked = HELPERS.flatMap((row) =>
    row.args.some((kind) => OUT_OF_REACH.has(kind)) || (row.id in MAP_OF && MAP_OF[row.id] === undefined)
      ? []
      : row.users.map((user) => [row.name, user, row] as const),
  ).filter(([name]) => !/copy_from_user|storage_get/.test(name));

  const isPointer = (kind: ArgumentKind) =>
    typeof kind === 'object' || /^(context|map|memory|dynptr|constant-string)/.test(kind);
  const isRead = (kind: ArgumentKind) =>
    typeof kind === 'object'
      ? kind.access === 'read'
      : /^(memory|memory-or-null|map-key|map-value)$/.test(kind);

  it.each(asked)('%s takes its arguments (%s)', (_, user, row) => {
    const { args } = row;
    expect(refusal(user, program(row, user))).toBeUndefined();
    for (const [index, kind] of args.entries()) {
      const at = index + 1;
      const only =
        (slots: (given: Slot[]) => readonly Slot[]): Change =>
        (register, _, given) =>
          register === at ? slots(given) : given;
      const said = (slots: (given: Slot[]) => readonly Slot[]) =>
        refusal(user, program(row, user, only(slots)));
      const about = `argument ${at}, ${JSON.stringify(kind)}`;
      // A register that nothing was written to since the program began.
      if (kind !== 'unchecked' && at > 1)
        expect(
          said(() => []),
          about,
        ).toMatch(new RegExp(`R${at} !read_ok`));
      if (isPointer(kind))
        expect(
          said(() => [mov(at, 7)]),
          about,
        ).toMatch(new RegExp(`R${at} type=`));
      if (kind === 'scalar')
        expect(
          said(() => [copy(at, 10)]),
          about,
        ).toMatch(new RegExp(`R${at} type=`));
      if (kind === 'size')
        expect(
          said(() => [mov(at, 0)]),
          about,
        ).toMatch(/zero-sized|invalid/);
      if (kind === 'size-or-zero')
        expect(
          said(() => [mov(at, 0)]),
          about,
        ).toBeUndefined();
      if (kind === 'context-or-null')
        expect(
          said(() => [mov(at, 0)]),
          about,
        ).toBeUndefined();
      else if (typeof kind === 'string' && kind.endsWith('-or-null')) {
        const nothing: Change = (register, _kind, given) =>
          register === at || register === at + 1 ? [mov(register, 0)] : given;
        expect(refusal(user, program(row, user, nothing)), about).toBeUndefined();
      } else if (isPointer(kind))
        expect(
          said(() => [mov(at, 0)]),
          about,
        ).toMatch(new RegExp(`R${at} type=`));
      if (typeof kind === 'object') {
        const below = (bytes: number) => said(() => [copy(at, 10), add(at, -bytes)]);
        expect(below(kind.bytes), about).toBeUndefined();
        expect(below(kind.bytes - 4), about).toBeDefined();
        if (kind.aligned) expect(below(STACK - 2), about).toMatch(/misaligned/);
      }
    }
  });

  it.each(asked)('%s may be given the packet’s bytes, or not (%s)', (_, user, row) => {
    const first = row.args.findIndex(isRead);
    if (first < 0) {
      expect(row.packetMemory).toBeUndefined();
      return;
    }
    const inPacket: Change = (register, _kind, given) =>
      register === first + 1 ? [copy(register, PACKET)] : given;
    expect(refusal(user, program(row, user, inPacket)) === undefined).toBe(row.packetMemory === true);
  });

  it.each(asked)('%s leaves pointers to the packet good, or not (%s)', (_, user, row) => {
    const log = refusal(user, program(row, user, unchanged, [load(LDX_B, 0, PACKET, 0)]));
    expect(log === undefined).toBe(row.movesPacket !== true);
    if (row.movesPacket) expect(log).toMatch(/R7 invalid mem access 'scalar'/);
  });

  it.each(asked)('%s returns what it says (%s)', (_, user, row) => {
    const log = ask(user, program(row, user, unchanged, [load(LDX_DW, 0, 0, 0)]));
    expect(log ?? '').toMatch(RESULTS[row.result]);
  });
});
