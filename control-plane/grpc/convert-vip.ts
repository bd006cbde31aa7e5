import { VIP_FLAGS, type VipFlagName } from '../../lb/index.js';
import { fieldError } from '../state/faults.js';
import { type VipFields, vipFieldsOf } from '../state/fields.js';
import type { DesiredState, Vip } from '../state/model.js';
import type { ApiContext } from './context.js';
import { poolCounts } from './convert-pool.js';
import {
  ALGORITHMS,
  algorithmOf,
  chosen,
  type Mask,
  PROTOCOLS,
  populated,
  protocolOf,
  versionOf,
} from './convert-values.js';
import type { Vip as ProtoVip, Vip__Output } from './generated/waggle/v1/Vip.js';
import { maskedFields } from './mask.js';

type ProtoFlag = NonNullable<ProtoVip['flags']>[number];
const FLAG_NAMES = Object.keys(VIP_FLAGS) as readonly VipFlagName[];

const protoFlag = (name: VipFlagName) => `VIP_FLAG_${name}` as const satisfies ProtoFlag;

/** Bits of VIP_FLAGS. @throws StateError STATE_FIELDS */
function flagsOf(field: string, flags: readonly (string | number)[]): number {
  return flags.reduce<number>((bits, value, i) => {
    const name = FLAG_NAMES.find((each) => protoFlag(each) === value);
    if (name === undefined) throw fieldError(`${field}[${i}]`, `${value} is not a flag of a VIP`);
    return bits | VIP_FLAGS[name];
  }, 0);
}

/** What a VIP says in a request. @throws StateError STATE_FIELDS */
export function vipFieldsFrom(path: string, vip: Vip__Output): VipFields {
  return {
    displayName: vip.displayName,
    address: vip.address,
    port: vip.port,
    protocol: protocolOf(vip.protocol),
    pool: vip.pool,
    flags: flagsOf(`${path}.flags`, vip.flags),
    ringAlgorithm: algorithmOf(`${path}.ring_algorithm`, vip.ringAlgorithm),
    downBackends: vip.downBackends,
  };
}

const API_NAMES = {
  displayName: 'display_name',
  address: 'address',
  port: 'port',
  protocol: 'protocol',
  pool: 'pool',
  flags: 'flags',
  ringAlgorithm: 'ring_algorithm',
  downBackends: 'down_backends',
} as const satisfies Record<keyof VipFields, string>;

/** What an UpdateVip sets. @throws StateError STATE_FIELDS */
export function vipUpdate(vip: Vip__Output, mask: Mask): Partial<VipFields> {
  const fields = vipFieldsFrom('vip', vip);
  const set = maskedFields(
    mask?.paths,
    populated({
      display_name: vip.displayName !== '',
      pool: vip.pool !== '',
      flags: vip.flags.length > 0,
      ring_algorithm: fields.ringAlgorithm !== undefined,
      down_backends: vip.downBackends.length > 0,
      address: vip.address !== '',
      port: vip.port !== 0,
      protocol: fields.protocol !== undefined,
    }),
    {
      changeable: ['display_name', 'pool', 'flags', 'ring_algorithm', 'down_backends'],
      immutable: ['address', 'port', 'protocol'],
    },
  );
  // A protocol that is named and not given is not changed.
  if (fields.protocol === undefined) set.delete('protocol');
  return chosen(set, API_NAMES, fields);
}

/** What an operator declared of a VIP. */
export function vipDeclaration(vip: Vip): ProtoVip {
  const { flags, protocol, ringAlgorithm, downBackends, ...fields } = vipFieldsOf(vip);
  return {
    name: vip.name,
    ...fields,
    protocol: PROTOCOLS[protocol ?? vip.key.protocol],
    flags: FLAG_NAMES.filter((name) => (flags & VIP_FLAGS[name]) !== 0).map(protoFlag),
    ringAlgorithm: ringAlgorithm ? ALGORITHMS[ringAlgorithm] : 'RING_ALGORITHM_UNSPECIFIED',
    downBackends: [...downBackends],
  };
}

/** @param countsOf of `poolCounts`, where there are more VIPs */
export function vipToProto(
  vip: Vip,
  state: DesiredState,
  context: ApiContext,
  countsOf = poolCounts(state, context),
): ProtoVip {
  const counts = countsOf(vip.pool);
  const isDegraded = context.health.mode(vip.pool) === 'last-resort';
  const serving = isDegraded ? ('STATE_DEGRADED' as const) : ('STATE_ACTIVE' as const);
  return {
    ...vipDeclaration(vip),
    status: { state: counts.servingBackends > 0 ? serving : 'STATE_DOWN', ...counts },
    ...versionOf(vip),
  };
}
