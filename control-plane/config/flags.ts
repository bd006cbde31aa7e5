import { VIP_FLAGS, type VipFlagName } from '../../lb/index.js';
import { nearest } from './suggest.js';

/** The names of flags as a file has them; the first of each is the one that is documented. */
export const FLAG_NAMES = Object.keys(VIP_FLAGS) as readonly VipFlagName[];

/** Other names in use. */
const SHORT_NAMES: Readonly<Record<string, VipFlagName>> = {
  NO_SRC_PORT: 'HASH_NO_SRC_PORT',
  NO_SPORT: 'HASH_NO_SRC_PORT',
  NO_LRU: 'LRU_BYPASS',
  QUIC: 'QUIC_VIP',
  DPORT_ONLY: 'HASH_DPORT_ONLY',
  DPORT_HASH: 'HASH_DPORT_ONLY',
  SOURCE_ROUTING: 'SRC_ROUTING',
  LOCAL: 'LOCAL_VIP',
  SRC_DST_PORT: 'HASH_SRC_DST_PORT',
  UDP_STABLE_ROUTING_VIP: 'UDP_STABLE_ROUTING',
  UDP_FLOW_MIGRATION_VIP: 'UDP_FLOW_MIGRATION',
};

/** A flag by any of its names, with or without F_ or VIP_FLAG_, case and dashes aside; undefined for none. */
export function readFlag(text: string): VipFlagName | undefined {
  const name = text
    .trim()
    .toUpperCase()
    .replaceAll('-', '_')
    .replace(/^(?:VIP_FLAG|F)_/, '');
  return (
    FLAG_NAMES.find((known) => known === name) ??
    (Object.hasOwn(SHORT_NAMES, name) ? SHORT_NAMES[name] : undefined)
  );
}

/** The flag whose name is nearest to a text; undefined where none is. */
export function nearestFlag(text: string): VipFlagName | undefined {
  const near = nearest(text.replace(/^F_/i, ''), [...FLAG_NAMES, ...Object.keys(SHORT_NAMES)]);
  return near === undefined ? undefined : readFlag(near);
}
