import { ControlPlane } from '../../control-plane/control.js';
import type { ListenAddress } from '../../control-plane/grpc/listen.js';
import type { MemoryDatapath } from './memory-datapath.js';
import { silentLog } from './silent-log.js';

/** Any free port, for this machine alone. */
export const LOOPBACK: ListenAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 };

/** A control plane of version 1.2.3 over a datapath in memory, which logs nothing. */
export const startControl = (
  datapath: MemoryDatapath,
  listen: ListenAddress = LOOPBACK,
): Promise<ControlPlane> => ControlPlane.start({ datapath, listen, version: '1.2.3', log: silentLog() });
