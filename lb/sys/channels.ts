import { libc } from './libc.js';
import { interfaceRequest, withControlSocket } from './socket.js';
import { addressOf } from './syscall.js';

const SIOCETHTOOL = 0x8946;
const IFR_DATA = 16;
const ETHTOOL_GCHANNELS = 0x3c;
/** struct ethtool_channels (uapi/linux/ethtool.h): command, four maxima, then these, u32 each. */
const RX_COUNT = 20;
const COMBINED_COUNT = 32;
const CHANNELS_BYTES = 36;

/** Receive queues that an interface has now; 1 where its driver does not say. */
export function receiveQueues(name: string): number {
  return withControlSocket((fd) => {
    const channels = new Uint8Array(CHANNELS_BYTES);
    const view = new DataView(channels.buffer);
    view.setUint32(0, ETHTOOL_GCHANNELS, true);
    const request = interfaceRequest(name);
    new DataView(request.buffer).setBigUint64(IFR_DATA, addressOf(channels), true);
    if (libc().ioctl(fd, SIOCETHTOOL, request) < 0) return 1;
    return Math.max(1, view.getUint32(RX_COUNT, true) + view.getUint32(COMBINED_COUNT, true));
  });
}
