import type { PacketStats } from '../../lb/index.js';
import { fieldError } from '../state/faults.js';
import { type Backend, NAME_FORMS, type Vip } from '../state/model.js';
import { find } from '../state/validate.js';
import type { ApiContext } from './context.js';
import { timestampOf } from './convert.js';
import type { BackendStats } from './generated/waggle/v1/BackendStats.js';
import type { StatsServiceHandlers } from './generated/waggle/v1/StatsService.js';
import type { VipStats } from './generated/waggle/v1/VipStats.js';
import { type Surroundings, unary } from './unary.js';

/** Reasons that have packets, with their number. */
function dropCounts(drops: Readonly<Record<string, PacketStats>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(drops)
      .filter(([, { packets }]) => packets > 0n)
      .map(([reason, { packets }]) => [reason, String(packets)]),
  );
}

/** waggle.v1.StatsService. */
export function statsHandlers(context: ApiContext, around: Surroundings): StatsServiceHandlers {
  const { reconciler } = context;
  const { tables } = context.datapath;

  const statsOfVip = ({ name }: Vip): VipStats => {
    const number = reconciler.vipNumber(name);
    if (number === undefined) return { vip: name };
    const { packets, bytes } = tables.vipStats(number);
    return {
      vip: name,
      packets: String(packets),
      bytes: String(bytes),
      drops: dropCounts(tables.dropStats(number)),
    };
  };
  const statsOfBackend = (backend: Backend): BackendStats => {
    const index = reconciler.realIndex(backend);
    if (index === undefined) return { backend: backend.name };
    const { packets, bytes } = tables.realStats(index);
    const flows = reconciler.flows.recent().get(index) ?? 0;
    return {
      backend: backend.name,
      packets: String(packets),
      bytes: String(bytes),
      trackedFlows: String(flows),
    };
  };

  /** The VIPs and backends that a request names; all of them where it names none. */
  const chosen = (resources: readonly string[]) => {
    const { state } = reconciler.store;
    if (resources.length === 0)
      return { vips: [...state.vips.values()], backends: [...state.backends.values()] };
    const wrong = resources.find(
      (name) => !NAME_FORMS.vip.pattern.test(name) && !NAME_FORMS.backend.pattern.test(name),
    );
    if (wrong !== undefined) {
      throw fieldError(
        'resources',
        `"${wrong}" is neither of the form ${NAME_FORMS.vip.form} nor ${NAME_FORMS.backend.form}`,
      );
    }
    const [vips, backends] = [NAME_FORMS.vip, NAME_FORMS.backend].map(({ pattern }) =>
      resources.filter((name) => pattern.test(name)),
    );
    return {
      vips: (vips ?? []).map((name) => find(state.vips, 'vip', name)),
      backends: (backends ?? []).map((name) => find(state.backends, 'backend', name)),
    };
  };

  return {
    GetStats: unary(around, 'GetStats', ({ resources }) => {
      const { vips, backends } = chosen(resources);
      const { lru, lru_miss } = tables.counters();
      const flows = [...reconciler.flows.recent().values()].reduce((sum, count) => sum + count, 0);
      return {
        time: timestampOf(Date.now()),
        vips: vips.map(statsOfVip),
        backends: backends.map(statsOfBackend),
        connections: {
          packets: String(lru.v1),
          tableMisses: String(lru.v2),
          tcpSynMisses: String(lru_miss.v1),
          tcpOtherMisses: String(lru_miss.v2),
          trackedFlows: String(flows),
        },
        drops: dropCounts(tables.dropStats('none')),
      };
    }),
  };
}
