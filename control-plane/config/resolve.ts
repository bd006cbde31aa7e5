import { formatIp, formatVip, VIP_FLAGS, type VipFlagName, type VipKey } from '../../lb/index.js';
import type { RingAlgorithm } from '../state/model.js';
import { HASH_FLAGS, UDP_FLAGS } from '../state/vips.js';
import { resolveBackend } from './backends.js';
import { resolveChecks } from './checks.js';
import type { FileEntries, Placed } from './entries.js';
import type { ConfigPath } from './faults.js';
import type { BackendConfig, CheckConfig, PoolConfig, VipConfig } from './model.js';
import { poolPolicy } from './policy.js';
import type { ConfigSource } from './source.js';

type VipEntry = FileEntries['vips'][number];
type PoolEntry = FileEntries['pools'][number]['value'];
type BackendItems = NonNullable<PoolEntry['backends']>;

/** VIPs, pools and checks with their defaults, and where each stands. */
export interface Services {
  readonly vips: readonly Placed<VipConfig>[];
  readonly pools: readonly Placed<PoolConfig>[];
  readonly backends: readonly Placed<BackendConfig>[];
  readonly healthChecks: readonly Placed<CheckConfig>[];
}

/** Pools, VIPs and the pools that VIPs bring along; names, references and keys are checked. */
export function resolveServices(source: ConfigSource, entries: FileEntries): Services {
  return new Resolver(source, entries).run();
}

/** A pool while its backends are gathered. */
interface OpenPool {
  readonly name: string;
  readonly path: ConfigPath;
  readonly given: Omit<PoolEntry, 'name' | 'backends'>;
  readonly backends: Placed<BackendConfig>[];
  readonly names: Map<string, ConfigPath>;
  readonly addresses: Map<string, ConfigPath>;
}

class Resolver {
  readonly #source: ConfigSource;
  readonly #entries: FileEntries;
  readonly #pools: OpenPool[] = [];
  readonly #byName = new Map<string, OpenPool>();
  readonly #poolNames: Set<string>;
  readonly #algorithm: RingAlgorithm;

  constructor(source: ConfigSource, entries: FileEntries) {
    this.#source = source;
    this.#entries = entries;
    this.#poolNames = new Set(entries.poolNames);
    this.#algorithm = entries.node.ringAlgorithm ?? 'v2';
  }

  run(): Services {
    const healthChecks = resolveChecks(this.#source, this.#entries);
    const pools = new Map<string, ConfigPath>();
    for (const { value, path } of this.#entries.pools) {
      const { name = '', backends = [], ...given } = value;
      if (name !== '') this.#source.once(pools, name, [...path, 'name'], name);
      this.#addPool(name, path, backends, given);
    }
    this.#addBackends();
    const vips = this.#vips();
    return {
      healthChecks,
      vips,
      backends: this.#pools.flatMap((pool) => pool.backends),
      pools: this.#pools.map((pool) => ({ value: this.#poolConfig(pool), path: pool.path })),
    };
  }

  #vips(): Placed<VipConfig>[] {
    const names = new Map<string, ConfigPath>();
    const keys = new Map<string, ConfigPath>();
    return this.#entries.vips.flatMap((entry) => {
      const { value, path } = entry;
      const name = value.name ?? madeVipName(path);
      const key = keyOf(value);
      const hasName = this.#source.has([...path, 'name']);
      if (value.name !== undefined || !hasName)
        this.#source.once(names, name, hasName ? [...path, 'name'] : path, name);
      if (key !== undefined) this.#source.once(keys, keyText(key), [...path, 'address'], formatVip(key));
      const pool = this.#poolOf(entry, name);
      const flags = this.#flagsOf(entry);
      this.#checkPrefix(entry);
      this.#checkDownBackends(entry);
      this.#checkFamilies(entry, pool);
      if (key === undefined) return [];
      const vip: VipConfig = {
        name,
        displayName: value.displayName ?? '',
        key,
        pool,
        flags,
        ringAlgorithm: value.ringAlgorithm,
        downBackends: (value.downBackends ?? []).filter((address) => address !== undefined),
        watchMisses: value.watchMisses ?? false,
      };
      return [{ value: vip, path }];
    });
  }

  #addPool(name: string, path: ConfigPath, items: BackendItems, given: OpenPool['given']): void {
    const pool: OpenPool = { name, path, given, backends: [], names: new Map(), addresses: new Map() };
    for (const [i, item] of items.entries()) {
      if (item === undefined) continue;
      resolveBackend(this.#source, pool, 'family' in item ? { address: item } : item, [
        ...path,
        'backends',
        i,
      ]);
    }
    this.#pools.push(pool);
    if (!this.#byName.has(name)) this.#byName.set(name, pool);
  }

  /** Backends that stand beside their pools. */
  #addBackends(): void {
    for (const { value, path } of this.#entries.backends) {
      const { name, ...rest } = value;
      if (name === undefined) continue;
      const pool = this.#byName.get(name.pool);
      if (pool === undefined) {
        if (!this.#poolNames.has(name.pool))
          this.#source.fail('CONFIG_REFERENCE', [...path, 'name'], name.pool, this.#noPool());
        continue;
      }
      resolveBackend(this.#source, pool, { ...rest, name: name.id }, path);
    }
  }

  #noPool(): string {
    const names = [...this.#entries.poolNames].slice(0, 10).join(', ');
    return `is not the name of a pool: ${names === '' ? 'the file has none' : `there are ${names}`}`;
  }

  #poolConfig({ name, path, given, backends }: OpenPool): PoolConfig {
    const checks = new Map<string, ConfigPath>();
    for (const [i, check] of (given.healthChecks ?? []).entries()) {
      if (check === undefined) continue;
      const place = [...path, 'healthChecks', i];
      this.#source.once(checks, check, place, check);
      if (this.#entries.checkNames.has(check)) continue;
      const names = [...this.#entries.checkNames].slice(0, 10).join(', ');
      const rule = `is not the name of a health check: ${names === '' ? 'the file has none' : `there are ${names}`}`;
      this.#source.fail('CONFIG_REFERENCE', place, check, rule);
    }
    return {
      name,
      displayName: given.displayName ?? '',
      backends: backends.map(({ value }) => value),
      ringAlgorithm: given.ringAlgorithm ?? this.#algorithm,
      healthChecks: [...checks.keys()],
      ...poolPolicy(this.#source, given, path),
    };
  }

  /** The pool that a VIP names, or the one that its own backends are. */
  #poolOf({ value, path }: VipEntry, vip: string): string {
    const [hasPool, hasBackends] = [
      this.#source.has([...path, 'pool']),
      this.#source.has([...path, 'backends']),
    ];
    if (hasPool && hasBackends) {
      const rule = `stands beside pool (${value.pool ?? 'above'}): a VIP has one or the other`;
      this.#source.fail('CONFIG_CONFLICT', [...path, 'backends'], undefined, rule);
    }
    if (hasPool) {
      if (value.pool !== undefined && !this.#poolNames.has(value.pool))
        this.#source.fail('CONFIG_REFERENCE', [...path, 'pool'], value.pool, this.#noPool());
      return value.pool ?? '';
    }
    if (!hasBackends) {
      const rule = 'is required, or backends ([] for none)';
      this.#source.fail('CONFIG_MISSING', [...path, 'pool'], undefined, rule);
    }
    let name = vip;
    for (let n = 2; this.#poolNames.has(name); n++) name = `${vip}-${n}`;
    this.#poolNames.add(name);
    this.#addPool(name, path, value.backends ?? [], { ringAlgorithm: value.ringAlgorithm });
    return name;
  }

  #flagsOf({ value, path }: VipEntry): number {
    const { flags = [], protocol } = value;
    const names: readonly (VipFlagName | undefined)[] = typeof flags === 'string' ? [flags] : flags;
    let bits = 0;
    for (const [i, name] of names.entries()) {
      if (name === undefined) continue;
      bits |= VIP_FLAGS[name];
      if (protocol === 'udp' || protocol === undefined || !UDP_FLAGS.some((other) => other === name))
        continue;
      const place = typeof flags === 'string' ? [...path, 'flags'] : [...path, 'flags', i];
      this.#source.fail('CONFIG_CONFLICT', place, name, `is for UDP, and the protocol is ${protocol}`);
    }
    const hashes = HASH_FLAGS.filter((name) => (bits & VIP_FLAGS[name]) !== 0);
    if (hashes.length > 1) {
      const rule = `${hashes.join(' and ')} exclude each other`;
      this.#source.fail('CONFIG_CONFLICT', [...path, 'flags'], undefined, rule);
    }
    return bits;
  }

  /** The datapath finds down backends and watched misses by a packet's own address. */
  #checkPrefix({ value, path }: VipEntry): void {
    if (value.address === undefined || !isPrefix(value.address)) return;
    for (const key of ['downBackends', 'watchMisses'] as const) {
      const isGiven =
        key === 'watchMisses' ? value.watchMisses === true : (value.downBackends ?? []).length > 0;
      if (!isGiven) continue;
      const rule = 'is for VIPs of one address, and this one is a prefix';
      this.#source.fail('CONFIG_CONFLICT', [...path, key], undefined, rule);
    }
  }

  #checkDownBackends({ value, path }: VipEntry): void {
    const down = new Map<string, ConfigPath>();
    for (const [i, address] of (value.downBackends ?? []).entries()) {
      if (address === undefined) continue;
      this.#source.once(down, formatIp(address), [...path, 'downBackends', i], formatIp(address));
    }
  }

  /** IPv6 packets are not carried over IPv4. */
  #checkFamilies({ value, path }: VipEntry, name: string): void {
    const { address } = value;
    const pool = this.#byName.get(name);
    if (address === undefined || address.address.family === 4 || pool === undefined) return;
    const offenders = pool.backends.filter((backend) => backend.value.address.family === 4);
    const [first] = offenders;
    if (first === undefined) return;
    const key = keyOf(value);
    const vip = key === undefined ? formatIp(address.address) : formatVip(key);
    if (pool.path === path) {
      const rule = `is IPv4, and the VIP ${vip} is IPv6: IPv6 is not carried over IPv4`;
      for (const backend of offenders)
        this.#source.fail('CONFIG_CONFLICT', backend.path, formatIp(backend.value.address), rule);
      return;
    }
    const rule = `has the IPv4 backend ${formatIp(first.value.address)} (${this.#source.lineOf(first.path)}), and the VIP ${vip} is IPv6: IPv6 is not carried over IPv4`;
    this.#source.fail('CONFIG_CONFLICT', [...path, 'pool'], name, rule);
  }
}

const madeVipName = (path: ConfigPath): string => `vip-${Number(path.at(-1)) + 1}`;

const isPrefix = ({ address, bits }: NonNullable<VipEntry['value']['address']>): boolean =>
  bits !== 8 * address.bytes.length;

/** What a VIP is found by; undefined where the file does not say it soundly. */
function keyOf({ address, port, protocol }: VipEntry['value']): VipKey | undefined {
  if (address === undefined || protocol === undefined) return undefined;
  const key = { address: address.address, port: port ?? 0, protocol };
  return isPrefix(address) ? { ...key, prefixBits: address.bits } : key;
}

/** Bytes decide, not the text: fc00::1 is fc00:0::1. */
function keyText({ address, port, protocol, prefixBits }: VipKey): string {
  return [address.bytes.join('.'), prefixBits ?? '', port, protocol].join(' ');
}
