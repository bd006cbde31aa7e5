/**
 * A health check from end to end in the kernel: a prober connects to a VIP with a mark on its socket, healthcheck_egress
 * puts its packets into the tunnel to the backend that the mark names, decap_ingress takes them out there, and the
 * backend answers for the VIP.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DecapTables } from '../../lb/balancer/companions/decap.js';
import { HealthcheckTables } from '../../lb/balancer/companions/healthcheck.js';
import {
  COMPANION_PROGRAMS,
  decapProgramObject,
  type HealthcheckOptions,
  healthcheckObject,
} from '../../lb/balancer/companions/object.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import type { ObjectSpec } from '../../lb/bpf/object/spec.js';
import { parseIp, parseMac } from '../../lb/net/address.js';
import { KernelMaps, type KernelProgram, loadKernelProgram } from '../../lb/sys/bpf.js';
import { checked, fromLibc, libc } from '../../lb/sys/libc.js';
import { closeSocket, findLink } from '../../lb/sys/socket.js';
import { missingRoot, noting } from '../support/capabilities.js';
import { addVeth, enterNamespace, inNetworkOf, sh } from '../support/namespace.js';
import { titleOf } from './bed.js';

const PROBER_MAC = '02:00:00:00:00:01';
const BACKEND_MAC = '02:00:00:00:00:02';
const NET = { prober: '10.9.0.1', backend: '10.9.0.2', prober6: 'fd09::1', backend6: 'fd09::2' } as const;
const VIP = '198.51.100.10';
const VIP6 = '2001:db8::10';
const PORT = 8080;
const MARK = 1000;
const MARK6 = 2000;
const TCP = 6;

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const SO_MARK = 36;

const connect = fromLibc<(fd: number, address: Uint8Array, bytes: number) => number>(
  'int connect(int fd, _In_ void *address, uint bytes)',
);

/** struct sockaddr_in or sockaddr_in6. */
function socketAddress(text: string): Uint8Array {
  const { family, bytes } = parseIp(text);
  const address = new Uint8Array(family === 4 ? 16 : 28);
  const view = new DataView(address.buffer);
  view.setUint16(0, family === 4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, PORT);
  address.set(bytes, family === 4 ? 4 : 8);
  return address;
}

/** What the server at an address says; '' where nobody answers within `timeoutMs`. */
function probe(address: string, mark: number, timeoutMs: number): string {
  const fd = checked('socket', libc().socket(address.includes(':') ? AF_INET6 : AF_INET, SOCK_STREAM, 0));
  try {
    const set = (option: number, value: Uint8Array): void => {
      checked('setsockopt', libc().setsockopt(fd, SOL_SOCKET, option, value, value.length));
    };
    set(SO_MARK, new Uint8Array(Uint32Array.of(mark).buffer));
    const time = BigInt64Array.of(BigInt(Math.floor(timeoutMs / 1000)), BigInt((timeoutMs % 1000) * 1000));
    for (const option of [SO_RCVTIMEO, SO_SNDTIMEO]) set(option, new Uint8Array(time.buffer));
    const to = socketAddress(address);
    if (connect(fd, to, to.length) < 0) return '';
    const answer = new Uint8Array(64);
    const length = libc().recv(fd, answer, answer.length, 0);
    return length < 0 ? '' : new TextDecoder().decode(answer.subarray(0, length));
  } finally {
    closeSocket(fd);
  }
}

interface Loaded {
  readonly program: KernelProgram;
  readonly maps: ReturnType<typeof createMaps<ReturnType<KernelMaps['createMap']>>>;
}
function load(object: ObjectSpec, name: string): Loaded {
  const maps = createMaps(object, new KernelMaps());
  const spec = object.programs.find((each) => each.name === name);
  if (spec === undefined) throw new Error(`no program ${name}`);
  return { maps, program: loadKernelProgram(spec, [...maps.values()], object.license, object.btf) };
}
function unload({ program, maps }: Loaded): void {
  program.close();
  for (const map of maps.values()) map.close();
}

/** A server that says hello to whoever connects. */
const SERVER = `const s = require('node:net').createServer((c) => c.end('hello'));
s.listen(${PORT}, '::', () => console.log('ready'));`;

describe.skipIf(missingRoot)(`health checks over real interfaces${noting(missingRoot)}`, () => {
  const children: ChildProcess[] = [];
  let backend: Loaded;
  let decap: DecapTables;
  let detachDecap = (): void => undefined;

  beforeAll(async () => {
    enterNamespace();
    addVeth('hcp', 'hcb', { mac: PROBER_MAC });
    const holder = spawn('unshare', ['-n', 'sleep', '600'], { stdio: 'ignore' });
    children.push(holder);
    const pid = holder.pid!;
    const own = sh('readlink /proc/self/ns/net');
    while (sh(`readlink /proc/${pid}/ns/net`) === own) await new Promise((resolve) => setTimeout(resolve, 5));
    const there = (command: string): string => sh(`nsenter -t ${pid} -n ${command}`);
    sh(`ip link set hcb netns ${pid}`);
    there(`ip link set hcb address ${BACKEND_MAC}`);
    for (const command of [
      'ip link set lo up',
      'ip link set hcb up',
      `ip addr add ${NET.backend}/24 dev hcb`,
      `ip addr add ${NET.backend6}/64 dev hcb nodad`,
      `ip addr add ${VIP}/32 dev lo`,
      `ip addr add ${VIP6}/128 dev lo`,
    ])
      there(command);
    for (const command of [
      `ip addr add ${NET.prober}/24 dev hcp`,
      `ip addr add ${NET.prober6}/64 dev hcp nodad`,
      // The VIP is beyond a router that would not take its packets to this backend.
      'ip route add 198.51.100.0/24 via 10.9.0.9 dev hcp',
      'ip route add 2001:db8::/64 via fd09::9 dev hcp',
      'ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev hcp',
      'ip neigh add fd09::9 lladdr 02:00:00:00:00:09 dev hcp',
    ])
      sh(command);
    const server = spawn('nsenter', ['-t', String(pid), '-n', process.execPath, '-e', SERVER], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(server);
    await once(server.stdout!, 'data');
    backend = load(decapProgramObject(), COMPANION_PROGRAMS.decap);
    decap = new DecapTables(backend.maps);
    decap.putDestination(parseIp(NET.backend));
    decap.putDestination(parseIp(NET.backend6));
    inNetworkOf(pid, () => {
      // Generic XDP leaves packets alone that a TC program has redirected, and on veth they are the same packets.
      const link = backend.program.attachXdp(findLink('hcb')!.index, 'native');
      detachDecap = () => link.close();
    });
  });
  afterAll(() => {
    detachDecap();
    if (backend !== undefined) unload(backend);
    for (const child of children) child.kill('SIGKILL');
  });

  const configure = (tables: HealthcheckTables): void => {
    tables.putReal(MARK, parseIp(NET.backend));
    tables.putReal(MARK6, parseIp(NET.backend6));
    tables.setSource(parseIp(NET.prober));
    tables.setSource(parseIp(NET.prober6));
    tables.setMacs(parseMac(PROBER_MAC), parseMac(BACKEND_MAC));
    tables.setInterface(findLink('hcp')!.index);
  };
  const withChecks = (options: HealthcheckOptions, run: (tables: HealthcheckTables) => void): void => {
    const loaded = load(healthcheckObject(options), COMPANION_PROGRAMS.healthcheck);
    const tables = new HealthcheckTables(loaded.maps);
    configure(tables);
    const link = loaded.program.attachTc(findLink('hcp')!.index, 'egress');
    try {
      run(tables);
    } finally {
      link.close();
      unload(loaded);
    }
  };

  for (const [name, options] of [
    ['IP in IP', {}],
    ['GUE', { gue: true }],
  ] as const) {
    it(titleOf(`${name}: 4in4, 4in6 and 6in6`, missingRoot), () => {
      withChecks(options, (tables) => {
        const key = { address: parseIp(VIP), port: PORT, protocol: TCP };
        tables.putKey(key);
        const before = decap.stats();
        expect(probe(VIP, MARK, 5000)).toBe('hello');
        const afterFour = decap.stats();
        expect(afterFour.ipv4).toBeGreaterThan(before.ipv4);
        expect(afterFour.ipv6).toBe(before.ipv6);
        expect(probe(VIP, MARK6, 5000)).toBe('hello');
        expect(decap.stats().ipv6).toBeGreaterThan(afterFour.ipv6);
        expect(probe(VIP6, MARK6, 5000)).toBe('hello');
        const { processed, dropped } = tables.stats();
        expect(dropped).toBe(0n);
        // SYN, ACK and what ends the connection, three times; those to the IPv4 VIP have a key.
        expect(processed).toBeGreaterThanOrEqual(9n);
        const counted = tables.keyStats()[0]?.packets ?? 0n;
        expect(counted).toBeGreaterThanOrEqual(6n);
        expect(counted).toBeLessThan(processed);
      });
    });
  }

  it(titleOf('without a mark, or for the wrong family, no backend answers', missingRoot), () => {
    withChecks({}, (tables) => {
      // Of connections before, packets may still be under way: those to this address are of this test alone.
      const other = '198.51.100.11';
      tables.putKey({ address: parseIp(other), port: PORT, protocol: TCP });
      const sent = () => tables.keyStats()[0]?.packets;
      expect(probe(other, 0, 200)).toBe('');
      expect(sent()).toBe(0n);
      expect(probe(VIP6, MARK, 200)).toBe('');
      expect(tables.stats().dropped).toBeGreaterThanOrEqual(1n);
      expect(probe(other, MARK, 200)).toBe('');
      expect(sent()).toBeGreaterThanOrEqual(1n);
    });
  });

  it(titleOf('by destination, no mark is needed', missingRoot), () => {
    withChecks({ matchDestinations: true }, (tables) => {
      tables.putMatch('destination', { address: parseIp(VIP), port: PORT }, parseIp(NET.backend6));
      expect(probe(VIP, 0, 5000)).toBe('hello');
      expect(tables.stats().destinationMatched).toBeGreaterThanOrEqual(3n);
    });
  });
});
