import { fromLibc } from '../../lb/sys/libc.js';

/** _LINUX_CAPABILITY_VERSION_3 (uapi/linux/capability.h). */
const VERSION = 0x20080522;
const CAP_SYS_ADMIN = 21;
const CAP_PERFMON = 38;

type Capabilities = (header: Uint8Array, data: Uint8Array) => number;
const functions = () => ({
  capget: fromLibc<Capabilities>('int capget(_Inout_ void *header, _Inout_ void *data)'),
  capset: fromLibc<Capabilities>('int capset(_Inout_ void *header, _In_ void *data)'),
});

/**
 * Do something without CAP_PERFMON, and without CAP_SYS_ADMIN, which contains it; the thread that runs has them again
 * afterwards. @throws Error where the thread has not had them
 */
export function withoutPerfmon<T>(action: () => T): T {
  const { capget, capset } = functions();
  const header = new Uint8Array(8);
  new DataView(header.buffer).setUint32(0, VERSION, true);
  // Two records of effective, permitted and inheritable bits, for capabilities from 0 and from 32 on.
  const all = new Uint8Array(24);
  if (capget(header, all) !== 0) throw new Error('capget fails');
  const some = all.slice();
  const view = new DataView(some.buffer);
  for (const capability of [CAP_SYS_ADMIN, CAP_PERFMON]) {
    const at = capability < 32 ? 0 : 12;
    view.setUint32(at, view.getUint32(at, true) & ~(1 << (capability & 31)), true);
  }
  if (capset(header, some) !== 0) throw new Error('capset fails');
  const restore = () => {
    if (capset(header, all) !== 0) throw new Error('capset fails');
  };
  let result: T;
  try {
    result = action();
  } catch (error) {
    restore();
    throw error;
  }
  restore();
  return result;
}
