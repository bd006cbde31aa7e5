import { lastErrno, libc } from './libc.js';
import { interfaceRequest, withControlSocket } from './socket.js';
import { addressOf } from './syscall.js';

const SIOCETHTOOL = 0x8946;
const IFR_DATA = 16;

/** Offloads of the receiving side that glue frames together: what they make is longer than the wire allows. */
const OFFLOADS = {
  gro: { get: 0x2b, set: 0x2c, flag: undefined },
  // ETHTOOL_GFLAGS, ETHTOOL_SFLAGS; ETH_FLAG_LRO
  lro: { get: 0x25, set: 0x26, flag: 1 << 15 },
} as const;
export type Offload = keyof typeof OFFLOADS;
export const OFFLOAD_NAMES = Object.keys(OFFLOADS) as readonly Offload[];

/** One ethtool command with a u32; gives the value, or the negative errno. */
function ethtool(name: string, command: number, value: number): { value: number } | { errno: number } {
  return withControlSocket((fd) => {
    // struct ethtool_value, and its address in the request's ifr_data.
    const data = new Uint8Array(Uint32Array.of(command, value).buffer);
    const request = interfaceRequest(name);
    new DataView(request.buffer).setBigUint64(IFR_DATA, addressOf(data), true);
    if (libc().ioctl(fd, SIOCETHTOOL, request) < 0) return { errno: lastErrno() };
    return { value: new DataView(data.buffer).getUint32(4, true) };
  });
}

/** Whether an offload is on; undefined where the driver does not know it. */
export function isOffloadOn(name: string, offload: Offload): boolean | undefined {
  const { get, flag } = OFFLOADS[offload];
  const answer = ethtool(name, get, 0);
  if ('errno' in answer) return undefined;
  return (flag === undefined ? answer.value : answer.value & flag) !== 0;
}

/** Turn an offload on or off; false where the driver refuses. */
export function setOffload(name: string, offload: Offload, on: boolean): boolean {
  const { get, set, flag } = OFFLOADS[offload];
  if (flag === undefined) return !('errno' in ethtool(name, set, on ? 1 : 0));
  const before = ethtool(name, get, 0);
  if ('errno' in before) return false;
  return !('errno' in ethtool(name, set, on ? before.value | flag : before.value & ~flag));
}
