import {
  formatIp,
  formatVip,
  type IpAddress,
  VIP_FLAGS,
  type VipFlagName,
  type VipKey,
} from '../../lb/index.js';
import type { RingAlgorithm } from '../state/model.js';
import type { FileEntries, Placed } from './entries.js';
import type { ConfigPath } from './faults.js';
import { UDP_FLAGS } from './flags.js';
import type { BackendConfig, PoolConfig, VipConfig } from './model.js';
import type { BackendEntry } from './schema.js';
import type { ConfigSource } from './source.js';

type VipEntry = FileEntries['vips'][number];

/** VIPs and pools with their defaults, and where each stands. */
export interface Services {
  readonly vips: readonly Placed<VipConfig>[];
  readonly pools: readonly Placed<PoolConfig>[];
  readonly backends: readonly Placed<BackendConfig>[];
}

/** Pools, VIPs and the pools that VIPs bring along; names, references and keys are checked. */
export function resolveServices(source: ConfigSource, entries: FileEntries): Services {
  return new Resolver(source, entries).run();
}

class Resolver {
  readonly #source: ConfigSource;
  readonly #entries: FileEntries;
  readonly #pools: Placed<PoolConfig>[] = [];
  readonly #backends: Placed<BackendConfig>[] = [];
  readonly #vips: Placed<VipConfig>[] = [];
  readonly #poolNames: Set<string>;
  readonly #algorithm: RingAlgorithm;

  constructor(source: ConfigSource, entries: FileEntries) {
    this.#source = source;
    this.#entries = entries;
    this.#poolNames = new Set(entries.poolNames);
    this.#algorithm = entries.node.ringAlgorithm ?? 'v2';
  }

  run(): Services {
    const pools = new Map<string, ConfigPath>();
    for (const { value, path } of this.#entries.pools) {
      this.#unique(pools, value.name, [...path, 'name'], value.name);
      this.#addPool(value.name, path, value.backends ?? [], value.ringAlgorithm);
    }
    const names = new Map<string, ConfigPath>();
    const keys = new Map<string, ConfigPath>();
    for (const entry of this.#entries.vips) {
      const vip = this.#vip(entry);
      const namePath = entry.value.name === undefined ? entry.path : [...entry.path, 'name'];
      this.#unique(names, vip.name, namePath, vip.name);
      this.#unique(keys, keyOf(vip.key), [...entry.path, 'address'], formatVip(vip.key));
      this.#vips.push({ value: vip, path: entry.path });
    }
    return { vips: this.#vips, pools: this.#pools, backends: this.#backends };
  }

  /** @param name what is to be there once */
  #unique(seen: Map<string, ConfigPath>, name: string, path: ConfigPath, value: unknown): void {
    const other = seen.get(name);
    if (other === undefined) seen.set(name, path);
    else
      this.#source.fail(
        'CONFIG_DUPLICATE',
        path,
        value,
        `is there already, on ${this.#source.lineOf(other)}`,
      );
  }

  #addPool(
    name: string,
    path: ConfigPath,
    given: readonly (IpAddress | BackendEntry)[],
    ringAlgorithm: RingAlgorithm = this.#algorithm,
  ): void {
    const names = new Map<string, ConfigPath>();
    const addresses = new Map<string, ConfigPath>();
    const backends = given.map((item, i): BackendConfig => {
      const place = [...path, 'backends', i];
      const backend = backendOf(item);
      const hasName = 'address' in item && item.name !== undefined;
      this.#backends.push({ value: backend, path: place });
      const key = formatIp(backend.address);
      // A second one of an address would have the same made-up name: one fault is enough.
      if (hasName || !addresses.has(key)) {
        this.#unique(names, backend.name, hasName ? [...place, 'name'] : place, backend.name);
      }
      this.#unique(addresses, key, 'address' in item ? [...place, 'address'] : place, key);
      return backend;
    });
    this.#pools.push({ value: { name, backends, ringAlgorithm }, path });
  }

  #vip({ value, path }: VipEntry): VipConfig {
    const { address, bits } = value.address;
    const isPrefix = bits !== 8 * address.bytes.length;
    const key: VipKey = {
      address,
      port: value.port ?? 0,
      protocol: value.protocol,
      ...(isPrefix ? { prefixBits: bits } : {}),
    };
    const vip: VipConfig = {
      name: value.name ?? `vip-${Number(path.at(-1)) + 1}`,
      key,
      pool: this.#poolOf({ value, path }),
      flags: this.#flagsOf({ value, path }),
      ringAlgorithm: value.ringAlgorithm,
      downBackends: value.downBackends ?? [],
      watchMisses: value.watchMisses ?? false,
    };
    this.#checkPrefix(vip, path);
    this.#checkFamilies(vip, path);
    return vip;
  }

  /** The pool that a VIP names, or the one that its own backends are. */
  #poolOf({ value, path }: VipEntry): string {
    if (value.pool !== undefined && value.backends !== undefined) {
      const rule = `stands beside pool (${value.pool}): a VIP has one or the other`;
      this.#source.fail('CONFIG_CONFLICT', [...path, 'backends'], undefined, rule);
    }
    if (value.pool !== undefined) {
      if (!this.#poolNames.has(value.pool)) {
        const names = [...this.#entries.poolNames].slice(0, 10).join(', ');
        const rule = `is not the name of a pool: ${names === '' ? 'the file has none' : `there are ${names}`}`;
        this.#source.fail('CONFIG_REFERENCE', [...path, 'pool'], value.pool, rule);
      }
      return value.pool;
    }
    if (value.backends === undefined) {
      const rule = 'is required, or backends ([] for none)';
      this.#source.fail('CONFIG_MISSING', [...path, 'pool'], undefined, rule);
    }
    const base = value.name ?? `vip-${Number(path.at(-1)) + 1}`;
    let name = base;
    for (let n = 2; this.#poolNames.has(name); n++) name = `${base}-${n}`;
    this.#poolNames.add(name);
    this.#addPool(name, path, value.backends ?? [], value.ringAlgorithm);
    return name;
  }

  #flagsOf({ value, path }: VipEntry): number {
    const { flags = [] } = value;
    const names: readonly VipFlagName[] = typeof flags === 'string' ? [flags] : flags;
    for (const [i, name] of names.entries()) {
      if (value.protocol === 'udp' || !UDP_FLAGS.some((other) => other === name)) continue;
      const place = typeof flags === 'string' ? [...path, 'flags'] : [...path, 'flags', i];
      this.#source.fail('CONFIG_CONFLICT', place, name, `is for UDP, and the protocol is ${value.protocol}`);
    }
    return names.reduce((bits, name) => bits | VIP_FLAGS[name], 0);
  }

  /** The datapath finds down backends and watched misses by a packet's own address. */
  #checkPrefix(vip: VipConfig, path: ConfigPath): void {
    if (vip.key.prefixBits === undefined) return;
    for (const key of ['downBackends', 'watchMisses'] as const) {
      const isGiven = key === 'watchMisses' ? vip.watchMisses : vip.downBackends.length > 0;
      if (!isGiven) continue;
      this.#source.fail(
        'CONFIG_CONFLICT',
        [...path, key],
        undefined,
        'is for VIPs of one address, and this one is a prefix',
      );
    }
  }

  /** IPv6 packets are not carried over IPv4. */
  #checkFamilies({ key, pool }: VipConfig, path: ConfigPath): void {
    if (key.address.family === 4) return;
    const found = this.#pools.find(({ value }) => value.name === pool);
    const offender = found?.value.backends.find(({ address }) => address.family === 4);
    if (found === undefined || offender === undefined) return;
    const index = found.value.backends.indexOf(offender);
    const backendPath = [...found.path, 'backends', index];
    const isOwn = found.path === path;
    const vip = formatVip(key);
    if (isOwn) {
      const rule = `is IPv4, and the VIP ${vip} is IPv6: IPv6 is not carried over IPv4`;
      this.#source.fail('CONFIG_CONFLICT', backendPath, formatIp(offender.address), rule);
      return;
    }
    const rule = `has the IPv4 backend ${formatIp(offender.address)} (${this.#source.lineOf(backendPath)}), and the VIP ${vip} is IPv6: IPv6 is not carried over IPv4`;
    this.#source.fail('CONFIG_CONFLICT', [...path, 'pool'], pool, rule);
  }
}

/** Bytes decide, not the text: fc00::1 is fc00:0::1. */
function keyOf({ address, port, protocol, prefixBits }: VipKey): string {
  return [address.bytes.join('.'), prefixBits ?? '', port, protocol].join(' ');
}

function backendOf(item: IpAddress | BackendEntry): BackendConfig {
  const given: BackendEntry = 'address' in item ? item : { address: item };
  return {
    name: given.name ?? madeName(given.address),
    address: given.address,
    weight: given.weight ?? 1,
    mac: given.mac,
    local: given.local ?? false,
    state: given.state ?? 'up',
  };
}

/** `b-10-0-0-1`, `b-fc00--1`: what names may be made of, and never a dash last. */
function madeName(address: IpAddress): string {
  const text = `b-${formatIp(address).replace(/[.:]/g, '-')}`;
  return text.endsWith('-') ? `${text}0` : text;
}

/** Backends whose address is another's too must agree on what belongs to the address. */
export function checkRows(source: ConfigSource, backends: readonly Placed<BackendConfig>[]): void {
  const rows = new Map<string, Placed<BackendConfig>>();
  for (const backend of backends) {
    const key = formatIp(backend.value.address);
    const first = rows.get(key);
    if (first === undefined) {
      rows.set(key, backend);
      continue;
    }
    const where = () => source.lineOf(first.path);
    if (first.value.mac?.join() !== backend.value.mac?.join()) {
      const rule = `has another mac on ${where()}: an address has one next hop`;
      source.fail('CONFIG_CONFLICT', backend.path, key, rule);
    }
    if (first.value.local !== backend.value.local) {
      const rule = `is local in one place and not in the other, on ${where()}`;
      source.fail('CONFIG_CONFLICT', backend.path, key, rule);
    }
  }
}
