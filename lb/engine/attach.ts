import { BpfError, type KernelProgram, type XdpLink } from '../sys/bpf.js';
import type { XdpMode } from '../sys/bpf-link.js';
import type { LinkInfo } from '../sys/socket.js';
import type { PoolLog } from '../worker/pool.js';
import { defaultPinDirectory, isPinned, PinError } from './pins.js';

/** A program on its interface, in the driver (native) or behind it (generic). */
export interface Attached {
  readonly xdp: XdpLink;
  readonly mode: XdpMode;
}

/**
 * Attach in the driver, or behind it where the driver cannot, which is said aloud.
 * @param behind what that means, for the log
 * @throws PinError PINS_LEFT where another process left its own pinned there, BpfError
 */
export function attach(
  program: KernelProgram,
  { name, index }: Pick<LinkInfo, 'name' | 'index'>,
  log: PoolLog,
  behind: string,
): Attached {
  try {
    return { xdp: program.attachXdp(index, 'native'), mode: 'native' };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const xdp = attachBehind(program, name, index);
    log('warn', `the driver runs no XDP programs: ${behind}, which is slower`, {
      interface: name,
      reason: error.message,
    });
    return { xdp, mode: 'generic' };
  }
}

function attachBehind(program: KernelProgram, name: string, index: number): XdpLink {
  try {
    return program.attachXdp(index, 'generic');
  } catch (error) {
    const isTaken = error instanceof BpfError && error.fault.code === 'BPF_CALL' && isBusy(error.fault.errno);
    const directory = defaultPinDirectory(name);
    if (!isTaken || !isPinned(directory)) throw error;
    throw new PinError(
      { code: 'PINS_LEFT', directory, interface: name },
      `interface ${name} runs what was left pinned at ${directory}: take it over with --engine xdp --pin, or remove it with 'waggle down'`,
      { cause: error },
    );
  }
}

const isBusy = (errno: string): boolean => errno === 'EBUSY' || errno === 'EEXIST';
