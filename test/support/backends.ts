import type { Backend } from '../../control-plane/state/model.js';
import { firstVersion } from '../../control-plane/state/version.js';
import { formatIp, type IpAddress } from '../../lb/net/address.js';

const VERSION = firstVersion({ revision: 1, timeMs: 0, etag: 'e' });

/** A backend of a state as it is when it was just made: in service, with weight 1. */
export const backendAt = (address: IpAddress, fields: Partial<Backend> & Pick<Backend, 'name'>): Backend => ({
  pool: 'pools/web',
  address,
  addressKey: formatIp(address),
  weight: 1,
  drainStartMs: undefined,
  drainDeadlineMs: undefined,
  leaves: false,
  mac: undefined,
  isLocal: false,
  isDown: false,
  ...VERSION,
  ...fields,
});
