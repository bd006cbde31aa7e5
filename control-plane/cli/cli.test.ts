import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as lb from '../../lb/index.js';
import { type CliResult, runCli } from '../../test/support/cli.js';
import { CliBed, vipFlags } from '../../test/support/cli-bed.js';
import {
  backendName,
  KINDS,
  kindOf,
  poolName,
  shortName,
  splitName,
  vipName,
  wholeNumber,
} from './arguments.js';
import { MAX_CONNECTIONS, MAX_WORKERS } from './up.js';

const MAIN = fileURLToPath(new URL('../../dist/control-plane/cli/main.js', import.meta.url));
const isBuilt = existsSync(MAIN);
const execute = promisify(execFile);

/** The program itself, as a user starts it; the other tests run its commands in this process, which takes less time. */
async function spawned(...args: string[]): Promise<CliResult> {
  try {
    return { status: 0, ...(await execute(process.execPath, [MAIN, ...args])) };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && 'stdout' in error && 'stderr' in error)) throw error;
    return { status: Number(error.code), stdout: String(error.stdout), stderr: String(error.stderr) };
  }
}
const waggle = (...args: string[]) => runCli(args);

describe('arguments', () => {
  it('names are ids, POOL/BACKEND, or whole names', () => {
    expect([vipName('web'), vipName('vips/web'), poolName('web')]).toEqual([
      'vips/web',
      'vips/web',
      'pools/web',
    ]);
    expect(backendName('web/a')).toBe('pools/web/backends/a');
    expect(backendName('pools/web/backends/a')).toBe('pools/web/backends/a');
    expect(['vips/web', 'pools/web', 'pools/web/backends/a'].map(shortName)).toEqual(['web', 'web', 'web/a']);
    expect(splitName('pools/web/backends/a')).toEqual({ parent: 'pools/web', id: 'a' });
    for (const wrong of ['web', 'web/', '/a', 'a/b/c'])
      expect(() => backendName(wrong)).toThrow(/POOL\/BACKEND/);
  });

  it('kinds may be plural', () =>
    expect(['vip', 'vips', 'backends'].map(kindOf(KINDS))).toEqual(['vip', 'vip', 'backend']));

  it('numbers are whole and within bounds', () => {
    const parse = wholeNumber(0, 10);
    expect(parse('10')).toBe(10);
    for (const wrong of ['-1', '11', '1.5', '', ' 1', '1e1', '0x1', 'a'])
      expect(() => parse(wrong)).toThrow(/is not in 0\.\.10/);
  });

  it('bounds of flags are those of the datapath', () => {
    expect(MAX_WORKERS).toBe(lb.MAX_WORKERS);
    expect(MAX_CONNECTIONS).toBeLessThanOrEqual(2 ** 26);
  });
});

const missing = isBuilt ? '' : ' (dist/ is not built)';

describe('the command line', () => {
  const oneLine = ({ stderr, stdout }: CliResult, says: RegExp) => {
    expect(stdout).toBe('');
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(/^Error: /);
    expect(stderr).toMatch(says);
  };

  describe('wrong usage is one line and status 2', () => {
    const rows: readonly [rule: string, args: string[], says: RegExp][] = [
      ['an unknown flag', ['up', '--no-such-flag'], /--no-such-flag.*waggle up --help/],
      [
        'an unknown flag beside a missing one',
        ['create', 'vip', 'x', '--adress', '1.2.3.4'],
        /--adress.*--address/,
      ],
      ['an unknown command', ['gett'], /gett.*get/],
      ['an unknown kind', ['get', 'foo'], /foo.*vip, pool, backend/],
      ['too few arguments', ['get'], /kind/],
      ['too many arguments', ['status', 'x'], /too many/],
      ['no interface', ['up'], /--interface.*waggle up --help/],
      ['no workers', ['up', '--interface', 'eth0', '--workers', '0'], /workers.*0 is not in 1\.\.64/],
      ['a log level that is none', ['up', '--interface', 'eth0', '--log-level', 'loud'], /loud.*debug/],
      [
        'an address to listen on that is none',
        ['up', '--interface', 'eth0', '--listen', 'nowhere'],
        /--listen.*"nowhere"/,
      ],
      [
        'an address for metrics that is none',
        ['up', '--interface', 'eth0', '--metrics', '9090'],
        /--metrics.*"9090"/,
      ],
      ['a weight of -1', ['weight', 'web/a', '-1'], /weight.*-1 is not in 0\.\.65535/],
      ['a weight of 65536', ['weight', 'web/a', '65536'], /weight.*65536 is not in/],
      [
        'a weight that is no number',
        ['set', 'backend', 'web/a', '--weight', 'much'],
        /weight.*much is not in/,
      ],
      ['a port over 65535', ['create', 'vip', 'x', '--port', '70000'], /port.*70000/],
      ['a protocol that is none', ['create', 'vip', 'x', '--protocol', 'sctp'], /sctp.*tcp, udp/],
      [
        'all options that are missing',
        ['create', 'vip', 'x', '--port', '80'],
        /--address.*--protocol.*--pool/,
      ],
      ['a backend without its pool', ['weight', 'a', '1'], /"a".*POOL\/BACKEND/],
      ['draining a pool', ['drain', 'pool', 'web'], /pool.*backend, host/],
      ['nothing to set', ['set', 'vip', 'web'], /nothing to set: give --pool, --display-name/],
      ['force for a VIP', ['delete', 'vip', 'web', '--force'], /--force is for pools/],
      ['a worker that is no number', ['restart', 'worker', 'x'], /x is not in/],
      ['a format that is none', ['-o', 'xml', 'status'], /xml.*table, wide, json, yaml/],
      ['decap without an address', ['decap', '--interface', 'eth0'], /--address/],
      [
        'decap with an address that is none',
        ['decap', '--interface', 'eth0', '--address', '1.2.3'],
        /"1\.2\.3"/,
      ],
    ];
    for (const [rule, args, says] of rows) {
      it(rule, async () => {
        const result = await waggle(...args);
        oneLine(result, says);
        expect(result.status).toBe(2);
      });
    }
  });

  it.skipIf(!isBuilt)(`a server that is not there is one line and status 69${missing}`, async () => {
    const result = await spawned('--server', '127.0.0.1:1', 'status');
    oneLine(result, /127\.0\.0\.1:1.*waggle up.*--server/);
    expect(result.status).toBe(69);
  });

  it.skipIf(!isBuilt)(
    `a port in use is one line and status 1, and the interface is not touched${missing}`,
    async () => {
      const holder = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => holder.once('listening', resolve));
      const bound = holder.address();
      const port = typeof bound === 'object' && bound ? bound.port : 0;
      for (const flag of ['--listen', '--metrics']) {
        const other = flag === '--metrics' ? ['--listen', '127.0.0.1:0'] : [];
        // There is no such interface: had the port not come first, that would have been the fault.
        const result = await spawned('up', '--interface', 'no-such0', flag, `127.0.0.1:${port}`, ...other);
        oneLine(result, new RegExp(`127\\.0\\.0\\.1:${port}.*in use`));
        expect(result.status).toBe(1);
      }
      holder.close();
    },
  );

  it.skipIf(!isBuilt)(`help and version are no faults${missing}`, async () => {
    expect(await spawned('--version')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+/),
      stderr: '',
    });
    expect(await spawned('create', 'vip', '--help')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('--protocol'),
      stderr: '',
    });
  });

  describe('against a server', () => {
    let bed: CliBed;
    const must = (...args: string[]) => bed.must(...args);
    beforeAll(async () => {
      bed = await CliBed.start();
      await bed.serve('--weight', '3');
      await must('set', 'pool', 'web', '--display-name', 'The web');
      await must('create', 'backend', 'web/b', '--address', '10.0.0.2');
    });
    afterAll(() => bed.stop());

    it('tables', async () => {
      expect(await must('get', 'vips')).toBe(
        [
          'VIP  ADDRESS       PROTOCOL  POOL  STATE   SERVING',
          'web  192.0.2.1:80  tcp       web   active      2/2',
          '',
        ].join('\n'),
      );
      expect(await must('get', 'backends', 'web')).toBe(
        [
          'BACKEND  ADDRESS   WEIGHT  STATE    SHARE  FLOWS  NEXT HOP',
          'web/a    10.0.0.1       3  serving  75.0%      0  02:00:0a:00:00:01',
          'web/b    10.0.0.2       1  serving  25.0%      0  02:00:0a:00:00:02',
          '',
        ].join('\n'),
      );
      expect(await must('get', 'pool', 'web')).toMatch(/web +2\/2 +web +The web/);
    });

    it('JSON and YAML', async () => {
      const list = JSON.parse(await must('get', 'backends', '-o', 'json')) as { name: string }[];
      expect(list.map(({ name }) => name)).toEqual(['pools/web/backends/a', 'pools/web/backends/b']);
      expect(JSON.parse(await must('get', 'vip', 'web', '-o', 'json'))).toMatchObject({
        name: 'vips/web',
        port: 80,
      });
      expect(await must('get', 'vip', 'web', '-o', 'yaml')).toMatch(/^name: vips\/web$/m);
      expect(await must('describe', 'backend', 'web/a')).toMatch(
        /stats:\n {2}backend: pools\/web\/backends\/a/,
      );
    });

    it('status shows all of it', async () => {
      const text = await must('status');
      expect(text).toMatch(
        /^waggle 1\.2\.3 on test0 \(af_packet, 2 workers\): ready, revision \d+, up \d+s$/m,
      );
      expect(text).toMatch(/^web +192\.0\.2\.1:80 +tcp +web +active +2\/2 +0 +0 B +0$/m);
      expect(text).toMatch(/^web\/a +10\.0\.0\.1 +3 +serving +75\.0%/m);
      expect(text).toMatch(/^0 +running +\d+ +10 +9 +1 +0/m);
      expect(JSON.parse(await must('status', '-o', 'json'))).toMatchObject({
        node: { interface: 'test0' },
        vips: [{ name: 'vips/web' }],
      });
    });

    it('programs, with how often they ran and for how long', async () => {
      expect(await must('bpf', 'prog', 'list')).toMatch(
        /^balancer_ingress +xdp +interpreter +1,616 +0 B +1\.5 ms +4 +0\.000 s +250 ns$/m,
      );
      expect(JSON.parse(await must('bpf', 'prog', 'list', '-o', 'json'))).toMatchObject([
        { name: 'programs/balancer_ingress', runCount: '4', runTimeNs: '1000', maps: ['maps/vip_map'] },
      ]);
    });

    it('programs, swapped and refused', async () => {
      const build = (name: string) =>
        fileURLToPath(new URL(`../../programs/build/${name}.bpf.o`, import.meta.url));
      expect(await must('bpf', 'prog', 'swap', build('balancer'))).toMatch(/balancer_ingress of .* runs/);
      expect(await must('bpf', 'prog', 'swap', build('balancer'), '--dry-run')).toMatch(
        /is safe.*runs on unchanged/,
      );
      expect(await bed.run('bpf', 'prog', 'swap', build('decap'))).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/^Error: .*no program balancer_ingress/),
      });
      expect(await bed.run('bpf', 'prog', 'swap', '/nowhere.o')).toMatchObject({
        status: 2,
        stderr: expect.stringMatching(/^Error: .*nowhere.*ENOENT/),
      });
    });

    it('maps: listed, read, written, emptied', async () => {
      expect(await must('bpf', 'maps')).toMatch(
        /^vip_map +\d+ +HASH +struct vip_definition +struct vip_meta +1 +\d+/m,
      );
      const dump = JSON.parse(await must('bpf', 'map', 'dump', 'vip_map', '-o', 'json')) as {
        key: unknown;
        value: unknown;
      }[];
      expect(dump).toMatchObject([{ key: { protocol: 6, port: 20480 }, value: { vip_num: 0 } }]);
      const key = JSON.stringify(dump[0]?.key);
      expect(await must('bpf', 'map', 'get', 'vip_map', key)).toContain('"vip_num":0');
      const other = JSON.stringify({ ...(dump[0]?.key as object), port: 1 });
      await must('bpf', 'map', 'set', 'vip_map', other, '{"flags":0,"vip_num":9}', '--if', 'absent');
      expect(await must('bpf', 'map', 'get', 'vip_map', other)).toContain('"vip_num":9');
      expect(
        await bed.run('bpf', 'map', 'set', 'vip_map', other, '{"vip_num":9}', '--if', 'absent'),
      ).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/^Error: .*EEXIST/),
      });
      expect(await must('bpf', 'map', 'delete', 'vip_map', other)).toBe('vip_map: entry deleted\n');
      expect(await bed.run('bpf', 'map', 'get', 'vip_map', other)).toMatchObject({ status: 1 });
      expect(await must('bpf', 'map', 'get', 'ctl_array', '0x00000000')).toContain('"ifindex":0');
      for (const wrong of ['0x1', '{"port"']) {
        expect(await bed.run('bpf', 'map', 'get', 'vip_map', wrong)).toMatchObject({
          status: 2,
          stderr: expect.stringMatching(/^Error: key: /),
        });
      }
    });

    it('changes, and says what it did', async () => {
      expect(await must('weight', 'web/b', '3')).toBe('backend web/b has weight 3\n');
      expect(await must('set', 'backend', 'web/b', '--weight', '1')).toBe('backend web/b has weight 1\n');
      expect(await must('drain', 'backend', 'web/b')).toBe(
        'backend web/b is drained: no connection is left\n',
      );
      expect(await must('get', 'backend', 'web/b')).toMatch(/drained +0\.0%/);
      expect(await must('undrain', 'backend', 'web/b')).toBe('backend web/b is in service\n');
      expect(await must('restart', 'worker', '1')).toMatch(/worker 1/);
      await must('create', 'pool', 'other');
      await must('set', 'pool', 'other', '--display-name', 'Another');
      await must('set', 'vip', 'web', '--pool', 'other');
      expect(await must('get', 'vip', 'web')).toMatch(/other +down +0\/0/);
      await must('set', 'vip', 'web', '--pool', 'web');
      expect(await must('delete', 'pool', 'other')).toBe('pool other deleted\n');
    });

    it('a backend that takes no connections yet is told of', async () => {
      bed.datapath.silent.set('10.0.0.8', '');
      bed.datapath.silent.set('10.0.0.9', 'nobody answers');
      expect(await must('create', 'backend', 'web/p', '--address', '10.0.0.8')).toBe(
        'backend web/p created; it takes connections once its next hop answers\n',
      );
      expect(await must('create', 'backend', 'web/u', '--address', '10.0.0.9')).toBe(
        'backend web/u created; it takes no connections: its next hop is unreachable, nobody answers\n',
      );
      for (const id of ['p', 'u']) await must('delete', 'backend', `web/${id}`);
    });

    it('a dry run changes nothing', async () => {
      const before = await must('get', 'backends', '-o', 'json');
      expect(await must('delete', 'backend', 'web/a', '--dry-run')).toMatch(/nothing was changed/);
      expect(await must('weight', 'web/a', '9', '--dry-run')).toMatch(/nothing was changed/);
      expect(await must('get', 'backends', '-o', 'json')).toBe(before);
    });

    describe('what the server refuses is one line and status 1', () => {
      const rows: readonly [rule: string, args: string[], says: RegExp][] = [
        ['an unknown VIP', ['get', 'vip', 'nope'], /vips\/nope does not exist/],
        ['an unknown pool', ['get', 'backends', 'nope'], /pools\/nope does not exist/],
        [
          'an address that is none',
          ['create', 'backend', 'web/x', '--address', '10.0.0'],
          /backend\.address: "10\.0\.0"/,
        ],
        ['a VIP that is taken', ['create', 'vip', 'y', ...vipFlags('192.0.2.1')], /served by vips\/web/],
        [
          'an IPv6 VIP for IPv4 backends',
          ['create', 'vip', 'y', ...vipFlags('2001:db8::1')],
          /IPv6 is not carried over IPv4/,
        ],
        ['a pool in use', ['delete', 'pool', 'web'], /force/],
        ['a worker that does not exist', ['restart', 'worker', '7'], /worker 7/],
      ];
      for (const [rule, args, says] of rows) {
        it(rule, async () => {
          const before = await must('get', 'backends', '-o', 'json');
          const result = await bed.run(...args);
          oneLine(result, says);
          expect(result.status).toBe(1);
          expect(await must('get', 'backends', '-o', 'json')).toBe(before);
        });
      }
    });
  });
});
