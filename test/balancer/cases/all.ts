/** The packet cases of all subjects. */
import type { Suite } from '../suite.js';
import { CONNECTION_SUITES } from './connections.js';
import { DECAP_SUITES } from './decap.js';
import { EVENT_SUITES } from './events.js';
import { FLAG_SUITES } from './flags.js';
import { GUE_SUITES } from './gue.js';
import { ICMP_SUITES } from './icmp.js';
import { LOCAL_SUITES } from './local.js';
import { MALFORMED_SUITES } from './malformed.js';
import { MIGRATION_SUITES } from './migration.js';
import { PREFIX_SUITES } from './prefixes.js';
import { QUIC_SUITES } from './quic.js';
import { ROUTE_SUITES } from './routes.js';
import { SERVER_ID_SUITES } from './server-ids.js';
import { TOO_BIG_SUITES } from './too-big.js';
import { VLAN_SUITES } from './vlan.js';

/** Those of packets that come. */
export const CASE_SUITES: readonly Suite[] = [
  ...FLAG_SUITES,
  ...CONNECTION_SUITES,
  ...ICMP_SUITES,
  ...TOO_BIG_SUITES,
  ...MALFORMED_SUITES,
  ...VLAN_SUITES,
  ...GUE_SUITES,
  ...DECAP_SUITES,
  ...QUIC_SUITES,
  ...SERVER_ID_SUITES,
  ...ROUTE_SUITES,
  ...PREFIX_SUITES,
  ...MIGRATION_SUITES,
  ...LOCAL_SUITES,
  ...EVENT_SUITES,
];
