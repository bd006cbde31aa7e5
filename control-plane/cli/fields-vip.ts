import { InvalidArgumentError } from 'commander';
import type { Protocol } from '../grpc/generated/waggle/v1/Protocol.js';
import type { RingAlgorithm } from '../grpc/generated/waggle/v1/RingAlgorithm.js';
import type { Vip } from '../grpc/generated/waggle/v1/Vip.js';
import { VipFlag } from '../grpc/generated/waggle/v1/VipFlag.js';
import { parsePort, poolName } from './arguments.js';
import { flagText } from './columns.js';
import { asList, asText, DISPLAY_NAME, type Field, field, wordField } from './fields.js';

type VipFlagName = keyof typeof VipFlag;

/** Flags of VIPs by the words of the command line: hash-no-src-port. */
const FLAGS: ReadonlyMap<string, VipFlagName> = new Map(
  (Object.keys(VipFlag) as VipFlagName[])
    .filter((name) => name !== 'VIP_FLAG_UNSPECIFIED')
    .map((name) => [flagText(name), name]),
);

/** Ring algorithms by the words of the command line. */
export const RINGS: Readonly<Record<string, RingAlgorithm & string>> = {
  'maglev-v1': 'RING_ALGORITHM_MAGLEV_V1',
  'maglev-v2': 'RING_ALGORITHM_MAGLEV_V2',
};

const PROTOCOLS: Readonly<Record<string, Protocol & string>> = { tcp: 'PROTOCOL_TCP', udp: 'PROTOCOL_UDP' };

function parseFlags(text: string, before: readonly VipFlagName[] = []): readonly VipFlagName[] {
  const flags = asList(text).map((word) => {
    const flag = FLAGS.get(word);
    if (flag === undefined)
      throw new InvalidArgumentError(`${word} is not one of: ${[...FLAGS.keys()].join(', ')}.`);
    return flag;
  });
  return [...before, ...flags];
}

/** Fields of a VIP. */
export const VIP_FIELDS: readonly Field<Partial<Vip>>[] = [
  field({
    flags: '--address <ip>',
    says: 'IPv4 or IPv6 address, or an IPv6 prefix',
    path: 'address',
    when: 'immutable',
    parse: asText,
    put: (address) => ({ address }),
  }),
  field({
    flags: '--port <n>',
    says: 'port; 0 is every port',
    path: 'port',
    when: 'immutable',
    parse: parsePort,
    put: (port) => ({ port }),
  }),
  wordField({
    flags: '--protocol <name>',
    says: 'protocol',
    path: 'protocol',
    when: 'immutable',
    words: PROTOCOLS,
    put: (protocol) => ({ protocol }),
  }),
  field({
    flags: '--pool <pool>',
    says: 'pool that serves it; connections stay where they are',
    path: 'pool',
    when: 'required',
    parse: poolName,
    put: (pool) => ({ pool }),
  }),
  DISPLAY_NAME,
  field<readonly VipFlagName[], Partial<Vip>>({
    flags: '--flags <list>',
    says: "what packets are balanced by, '' for nothing special",
    path: 'flags',
    choices: [...FLAGS.keys()],
    parse: parseFlags,
    put: (flags) => ({ flags: [...flags] }),
  }),
  wordField<RingAlgorithm & string, Partial<Vip>>({
    flags: '--ring <algorithm>',
    says: 'how weights are spread, where not as its pool says',
    path: 'ring_algorithm',
    words: { ...RINGS, pool: 'RING_ALGORITHM_UNSPECIFIED' },
    put: (ringAlgorithm) => ({ ringAlgorithm }),
  }),
  field<readonly string[], Partial<Vip>>({
    flags: '--down-backends <list>',
    says: "addresses that its UDP flows leave, '' for none",
    path: 'down_backends',
    parse: asList,
    put: (addresses) => ({ downBackends: [...addresses] }),
  }),
];
