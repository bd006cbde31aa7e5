import { type Command, Option } from 'commander';
import { decodeProgram, namesOf, Trace } from '../../../lb/bpf/index.js';
import { targetBtfOption } from './object.js';
import { several } from './run.js';
import { PROGRAM_TYPES, prepare, type RunObjectOptions } from './run-object.js';

type TraceOptions = Omit<RunObjectOptions, 'engine' | 'out' | 'json' | 'show'>;

/** The effect of each instruction on one packet: the interpreter runs it. */
function trace(path: string, options: TraceOptions): void {
  let tracer: Trace | undefined;
  const { object, machine, program, packets, setClock } = prepare(
    path,
    { ...options, engine: 'interpreter' },
    (next, registers) => tracer?.step(next, registers),
  );
  const { spec } = program;
  const names = namesOf(spec, object, decodeProgram(spec.code));
  for (const [index, { bytes, timestampNs }] of packets.entries()) {
    tracer = new Trace({
      names,
      lines: spec.lines,
      regions: () => machine.regions(program),
      onLine: (line) => console.log(line),
    });
    if (packets.length > 1) console.log(`${index > 0 ? '\n' : ''}packet ${index}`);
    setClock(timestampNs);
    const { verdict } = program.run(bytes);
    console.log(`${verdict} after ${tracer.count} instructions`);
  }
  machine.close();
}

export function addTrace(bpf: Command): void {
  bpf
    .command('trace')
    .description('run a program over a packet, and show what each instruction does')
    .argument('<file>', 'object file')
    .option('--program <name>', 'which program of the file, where it has several')
    .addOption(
      new Option('--type <type>', "what the program is, where its section's name does not say it").choices(
        Object.keys(PROGRAM_TYPES),
      ),
    )
    .option('--packet <hex>', 'the packet, from the Ethernet header on')
    .option('--pcap <file>', 'packets of a capture (pcap or pcapng)')
    .addOption(
      new Option('--set <name=value>', 'a global variable before the start').argParser(several).default([]),
    )
    .addOption(new Option('--map <name=file>', 'entries of a map').argParser(several).default([]))
    .addOption(targetBtfOption())
    .action((path: string, options: TraceOptions) => trace(path, options));
}
