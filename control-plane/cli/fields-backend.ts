import type { _waggle_v1_Backend_AdminState, Backend } from '../grpc/generated/waggle/v1/Backend.js';
import { parseWeight } from './arguments.js';
import { asText, type Field, field, onOff, wordField } from './fields.js';

const STATES: Readonly<Record<string, _waggle_v1_Backend_AdminState & string>> = {
  enabled: 'ADMIN_STATE_ENABLED',
  disabled: 'ADMIN_STATE_DISABLED',
};

/** Fields of a backend. */
export const BACKEND_FIELDS: readonly Field<Partial<Backend>>[] = [
  field({
    flags: '--address <ip>',
    says: "IPv4 or IPv6 address of the tunnel's end",
    path: 'address',
    when: 'immutable',
    parse: asText,
    put: (address) => ({ address }),
  }),
  field<number, Partial<Backend>>({
    flags: '--weight <n>',
    says: 'share of new connections, 0 to 65535; connections stay where they are',
    path: 'weight',
    parse: parseWeight,
    put: (weight) => ({ weight }),
  }),
  wordField({
    flags: '--state <state>',
    says: 'disabled: its connections go to others at once, and break',
    path: 'admin_state',
    words: STATES,
    put: (adminState) => ({ adminState }),
  }),
  field({
    flags: '--mac <address>',
    says: "MAC address of its next hop; '' finds it",
    path: 'mac_address',
    parse: asText,
    put: (macAddress) => ({ macAddress }),
  }),
  field({
    flags: '--local <on|off>',
    says: 'it is this host: VIPs with local-vip leave its packets to the stack',
    path: 'local',
    choices: ['on', 'off'],
    parse: onOff,
    put: (local) => ({ local }),
  }),
];
