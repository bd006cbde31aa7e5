import { writeFileSync } from 'node:fs';
import {
  type EngineName,
  Machine,
  type MachineProgram,
  type RunResult,
  type StepListener,
} from '../../../lb/bpf/index.js';
import {
  BpfInspector,
  inspectedMaps,
  LINKTYPE_ETHERNET,
  readCapture,
  writePcapng,
} from '../../../lb/index.js';
import { CliError, EXIT, usageError } from '../faults.js';
import { count } from '../format.js';
import { bytesOf } from './hex.js';
import { programsOf, readFile, readObject } from './object.js';

/** What decides how an object's program is run over packets. */
export interface RunObjectOptions {
  readonly engine: EngineName;
  readonly program?: string;
  readonly type?: keyof typeof PROGRAM_TYPES;
  readonly packet?: string;
  readonly pcap?: string;
  readonly out?: string;
  readonly json: boolean;
  readonly set: readonly string[];
  readonly map: readonly string[];
  readonly show: readonly string[];
  readonly targetBtf?: string;
  /** Unless false, programs are proved before they run. */
  readonly verify?: boolean;
}

/** Names of program types on the command line. */
export const PROGRAM_TYPES = { xdp: 'xdp', tc: 'sched_cls' } as const;

/** A packet to run on, and when it came. */
export interface InputPacket {
  readonly bytes: Uint8Array;
  readonly timestampNs: bigint;
}

/** "NAME=VALUE" in two. */
function split(option: string, text: string): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0) throw usageError(`${option}: "${text}" is not of the form NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Values of globals: JSON, or a word for what is not. */
export function globalsOf(settings: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    settings.map((text) => {
      const [name, value] = split('--set', text);
      try {
        return [name, JSON.parse(value) as unknown];
      } catch {
        return [name, value];
      }
    }),
  );
}

/** The packets of --packet or --pcap; frames of another link type than Ethernet are refused. */
export function packetsOf({ packet, pcap }: Pick<RunObjectOptions, 'packet' | 'pcap'>): InputPacket[] {
  if ((packet === undefined) === (pcap === undefined))
    throw usageError('one of --packet and --pcap says what the program is run over');
  if (packet !== undefined) return [{ bytes: bytesOf('--packet', packet), timestampNs: 0n }];
  const path = pcap ?? '';
  const frames = [...readCapture(readFile(path))];
  const other = frames.findIndex(({ linkType }) => linkType !== LINKTYPE_ETHERNET);
  if (other >= 0) throw new CliError(EXIT.refused, `${path}: frame ${other} is not an Ethernet frame`);
  return frames;
}

/** Fill maps from files of entries, as `map dump -o json` writes them. */
function fillMaps(inspector: BpfInspector, fillings: readonly string[]): void {
  for (const text of fillings) {
    const [name, path] = split('--map', text);
    const entries: unknown = JSON.parse(new TextDecoder().decode(readFile(path)));
    if (!Array.isArray(entries)) throw usageError(`--map: ${path} is not a list of entries`);
    for (const [index, entry] of entries.entries()) {
      if (typeof entry !== 'object' || entry === null || !('key' in entry) || !('value' in entry))
        throw usageError(`--map: entry ${index} of ${path} has not both "key" and "value"`);
      const bytes = (what: 'key' | 'value', value: unknown) =>
        inspector.bytes(name, what, JSON.stringify(value));
      inspector.set(name, bytes('key', entry.key), bytes('value', entry.value), 'any');
    }
  }
}

/** All entries of a map, a line each. */
export function showMap(inspector: BpfInspector, name: string): string[] {
  const text = (what: 'key' | 'value', bytes: Uint8Array) =>
    inspector.json(name, what, bytes) || `0x${hexOf(bytes)}`;
  const keys = inspector.keys(name, undefined, Number.POSITIVE_INFINITY);
  return keys.flatMap((key) => {
    const value = inspector.find(name, key);
    return value === undefined ? [] : [`${name}: ${text('key', key)} → ${text('value', value)}`];
  });
}

/** An object whose program is ready, and packets for it. */
export function prepare(
  path: string,
  options: Omit<RunObjectOptions, 'out' | 'json' | 'show'>,
  onStep?: StepListener,
) {
  const object = readObject(path, {
    globals: globalsOf(options.set),
    ...(options.targetBtf === undefined ? {} : { targetBtf: options.targetBtf }),
  });
  const packets = packetsOf(options);
  const found = programsOf(object, path, options.program);
  const [chosen] = found;
  if (chosen === undefined) throw new CliError(EXIT.refused, `${path}: there is no program in it`);
  if (found.length > 1) {
    const names = found.map(({ name }) => name).join(', ');
    throw usageError(`--program says which: ${path} has ${names}`);
  }
  let nowNs = 0n;
  const machine = Machine.create(object, {
    engine: options.engine,
    clock: () => nowNs,
    verify: options.verify !== false,
    ...(options.type === undefined ? {} : { types: { [chosen.name]: PROGRAM_TYPES[options.type] } }),
    ...(onStep === undefined ? {} : { onStep }),
  });
  const inspector = new BpfInspector({
    programs: () => [],
    maps: () => inspectedMaps(machine.host),
    btf: object.btf,
  });
  fillMaps(inspector, options.map);
  return {
    object,
    machine,
    inspector,
    program: machine.program(chosen.name),
    packets,
    setClock: (ns: bigint) => {
      nowNs = ns;
    },
  };
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function line(index: number, before: Uint8Array, result: RunResult): string {
  const { verdict, packet, redirect } = result;
  const length = packet.length === before.length ? `${packet.length}` : `${before.length} → ${packet.length}`;
  const isChanged = !Buffer.from(packet).equals(Buffer.from(before));
  const where =
    redirect === undefined
      ? ''
      : `, to ${redirect.map === undefined ? '' : `${redirect.map}: `}${redirect.target}`;
  return `${String(index).padStart(6)}  ${verdict}${where}  ${length} bytes${isChanged ? ', changed' : ''}`;
}

function jsonLine(index: number, { verdict, returnValue, packet, redirect }: RunResult): string {
  const where = redirect === undefined ? {} : { redirect: { ...redirect, flags: Number(redirect.flags) } };
  return JSON.stringify({ index, verdict, returnValue, bytes: hexOf(packet), ...where });
}

/** Run over every packet; what each came to is told as it goes. */
function runEach(
  program: MachineProgram,
  packets: readonly InputPacket[],
  before: (packet: InputPacket) => void,
  after: (index: number, packet: InputPacket, result: RunResult) => void,
): void {
  for (const [index, packet] of packets.entries()) {
    before(packet);
    after(index, packet, program.run(packet.bytes));
  }
}

export function runObject(path: string, options: RunObjectOptions): void {
  const { machine, inspector, program, packets, setClock } = prepare(path, options);
  const verdicts = new Map<string, number>();
  const left: { timestampNs: bigint; bytes: Uint8Array }[] = [];
  runEach(
    program,
    packets,
    ({ timestampNs }) => setClock(timestampNs),
    (index, { bytes, timestampNs }, result) => {
      verdicts.set(result.verdict, (verdicts.get(result.verdict) ?? 0) + 1);
      left.push({ timestampNs, bytes: result.packet });
      if (options.json) console.log(jsonLine(index, result));
      else if (packets.length <= 20) console.log(line(index, bytes, result));
    },
  );
  if (options.out !== undefined) writeFileSync(options.out, writePcapng(left));
  if (!options.json) {
    if (options.packet !== undefined) console.log(hexOf(left[0]!.bytes));
    const summary = [...verdicts].map(([verdict, times]) => `${verdict} ${count(times)}`).join(', ');
    console.log(`${program.name}: ${count(packets.length)} packets: ${summary || 'none'}`);
  }
  for (const { text } of machine.traceLog()) console.error(`bpf_printk: ${text}`);
  for (const name of options.show) for (const text of showMap(inspector, name)) console.log(text);
  machine.close();
}
