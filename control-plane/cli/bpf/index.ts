import type { Command } from 'commander';
import { addDump } from './dump.js';
import { addMaps } from './maps.js';
import { addPrograms } from './programs.js';
import { addRun } from './run.js';
import { addTrace } from './trace.js';
import { addVerify } from './verify.js';

/** `waggle bpf …`: the eBPF runtime by itself. */
export function addBpf(program: Command): void {
  const bpf = program.command('bpf').description('the eBPF runtime by itself');
  for (const add of [addDump, addRun, addTrace, addVerify, addMaps, addPrograms]) add(bpf);
}
