import { baseType, MAYBE_NULL, type Register, TYPE } from './register.js';

/** The pointer without the doubt. */
export function notNull(register: Register): Register {
  const copy = register.copy();
  copy.type &= ~MAYBE_NULL;
  const { map } = register;
  if (baseType(register.type) !== TYPE.MAP_VALUE || map === undefined) return copy;
  if (map.inner !== undefined) {
    copy.type = TYPE.MAP;
    copy.map = map.inner;
  } else if (map.type === 'XSKMAP') copy.type = TYPE.XDP_SOCKET;
  else if (map.type === 'SOCKMAP' || map.type === 'SOCKHASH') copy.type = TYPE.SOCKET;
  return copy;
}
