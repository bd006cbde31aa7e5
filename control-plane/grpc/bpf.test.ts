import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { objectBytes } from '../../lb/balancer/object.js';
import { type ApiBed, ask, detailsOf, eachWithApi, refusal } from '../../test/support/api-bed.js';
import { BPF_PRELUDE } from '../../test/support/bpf-helpers.js';
import { compileC, missingClang } from '../../test/support/clang.js';
import type { BpfMapEntry__Output } from './generated/waggle/v1/BpfMapEntry.js';
import type { BpfProgram__Output } from './generated/waggle/v1/BpfProgram.js';
import type { ListBpfMapEntriesResponse__Output } from './generated/waggle/v1/ListBpfMapEntriesResponse.js';
import type { ListBpfMapsResponse__Output } from './generated/waggle/v1/ListBpfMapsResponse.js';
import type { SetBpfMapEntryRequest } from './generated/waggle/v1/SetBpfMapEntryRequest.js';

let bed: ApiBed;
eachWithApi((started) => {
  bed = started;
});

const get = (map: string, json: string) =>
  ask<BpfMapEntry__Output>((o, done) => bed.bpf.GetBpfMapEntry({ map, key: { json } }, o, done));
const set = (request: SetBpfMapEntryRequest) =>
  ask<BpfMapEntry__Output>((o, done) => bed.bpf.SetBpfMapEntry(request, o, done));
const page = (map: string, pageSize: number, pageToken = '') =>
  ask<ListBpfMapEntriesResponse__Output>((o, done) =>
    bed.bpf.ListBpfMapEntries({ map, pageSize, pageToken }, o, done),
  );

const swap = (object: Uint8Array, validateOnly = false) =>
  ask<BpfProgram__Output>((o, done) =>
    bed.bpf.SwapBpfProgram({ object: Buffer.from(object), validateOnly }, o, done),
  );
const programOf = (body: string) =>
  compileC(`${BPF_PRELUDE}\nSEC("xdp") int balancer_ingress(struct xdp_md *ctx) { ${body} }`);

describe('programs', () => {
  it('are swapped for another build', async () => {
    expect((await swap(objectBytes('balancer'))).name).toBe('programs/balancer_ingress');
    expect((await swap(objectBytes('balancer'), true)).name).toBe('programs/balancer_ingress');
  });

  it.skipIf(missingClang)(
    `that are not safe are refused, with the log of the proof${missingClang === undefined ? '' : ` (skipped: ${missingClang})`}`,
    async () => {
      const object = programOf('return *(__u8 *)(long)ctx->data;');
      const error = await refusal(swap(object));
      expect(error.code).toBe(status.INVALID_ARGUMENT);
      expect(error.details).toContain('compare with its end before the access');
      expect(error.details).toContain('R1 offset is outside of the packet');
      expect(detailsOf(error)).toMatchObject({
        details: [
          { reason: 'VERIFY_REFUSED', metadata: { log: expect.stringContaining('R1=pkt(r=0)') as string } },
        ],
      });
    },
  );
});

describe('maps', () => {
  it('are listed with shape, types and memory', async () => {
    const { maps } = await ask<ListBpfMapsResponse__Output>((o, done) => bed.bpf.ListBpfMaps({}, o, done));
    expect(maps.find(({ name }) => name === 'maps/vip_map')).toMatchObject({
      type: 'HASH',
      keySize: 20,
      cpus: 1,
      keyType: 'struct vip_definition',
      valueType: 'struct vip_meta',
    });
    const perCpu = maps.find(({ type }) => type === 'PERCPU_ARRAY');
    expect(perCpu?.cpus).toBe(bed.datapath.replay.cpus);
    // A trie of the kernel has memory for its entries alone.
    for (const { type, memoryBytes } of maps)
      if (type !== 'LPM_TRIE') expect(Number(memoryBytes)).toBeGreaterThan(0);
    expect(new Set(maps.map(({ name }) => name)).size).toBe(maps.length);
  });

  it('show what the configuration wrote, typed', async () => {
    await bed.createPool('web');
    await bed.createBackend('web', 'a', '10.0.0.1');
    await bed.createVip('web', '192.0.2.1');
    const { entries } = await page('maps/vip_map', 10);
    expect(entries).toHaveLength(1);
    const [{ key }] = entries as [BpfMapEntry__Output];
    expect(JSON.parse(key?.json ?? '')).toMatchObject({ protocol: 6, port: 20480 });
    expect(await get('maps/vip_map', key?.json ?? '')).toEqual(entries[0]);
    const byBytes = await ask<BpfMapEntry__Output>((o, done) =>
      bed.bpf.GetBpfMapEntry({ map: 'maps/vip_map', key: { raw: key?.raw ?? Buffer.alloc(0) } }, o, done),
    );
    expect(byBytes).toEqual(entries[0]);
  });

  it('are walked page after page', async () => {
    const keys: string[] = [];
    for (let token = '', first = true; first || token !== ''; first = false) {
      const { entries, nextPageToken } = await page('maps/ctl_array', 5, token);
      keys.push(...entries.map(({ key }) => key?.json ?? ''));
      token = nextPageToken;
    }
    expect(keys).toEqual(Array.from({ length: keys.length }, (_, i) => String(i)));
    expect(keys.length).toBeGreaterThan(5);
  });

  it('take a change at once, and say when they do not', async () => {
    const before = await get('maps/ctl_array', '3');
    const zero = `0x${'00'.repeat(before.value?.raw.length ?? 0)}`;
    const one = `0x${'01'.repeat(before.value?.raw.length ?? 0)}`;
    const changed = await set({
      map: 'maps/ctl_array',
      key: { json: '3' },
      value: { json: JSON.stringify(one) },
    });
    expect(changed.value?.raw.every((byte) => byte === 1)).toBe(true);
    expect((await get('maps/ctl_array', '3')).value).toEqual(changed.value);
    await set({ map: 'maps/ctl_array', key: { json: '3' }, value: { json: JSON.stringify(zero) } });
    const refused = await refusal(
      set({
        map: 'maps/ctl_array',
        key: { json: '3' },
        value: { json: JSON.stringify(zero) },
        condition: 'CONDITION_ABSENT',
      }),
    );
    expect(refused.code).toBe(status.FAILED_PRECONDITION);
    expect(detailsOf(refused).details[0]).toMatchObject({ violations: [{ type: 'EEXIST' }] });
  });

  const REFUSED: readonly (readonly [string, () => Promise<unknown>, status, RegExp])[] = [
    ['a map that is not there', () => get('maps/nope', '1'), status.NOT_FOUND, /nope/],
    ['a name without maps/', () => get('vip_map', '1'), status.INVALID_ARGUMENT, /maps\/\{name\}/],
    ['a key that is not there', () => get('maps/ctl_array', '4000000'), status.NOT_FOUND, /no such key/],
    [
      'a key of another type',
      () => get('maps/ctl_array', '"x"'),
      status.INVALID_ARGUMENT,
      /key of map ctl_array/,
    ],
    ['no JSON', () => get('maps/ctl_array', '{'), status.INVALID_ARGUMENT, /not JSON/],
    [
      'bytes of another length',
      () =>
        ask((o, done) =>
          bed.bpf.GetBpfMapEntry({ map: 'maps/ctl_array', key: { raw: Buffer.alloc(3) } }, o, done),
        ),
      status.INVALID_ARGUMENT,
      /3 bytes instead of 4/,
    ],
    [
      'no key',
      () => ask((o, done) => bed.bpf.GetBpfMapEntry({ map: 'maps/ctl_array' }, o, done)),
      status.INVALID_ARGUMENT,
      /key/,
    ],
    [
      'an entry of an array to be deleted',
      () =>
        ask((o, done) => bed.bpf.DeleteBpfMapEntry({ map: 'maps/ctl_array', key: { json: '1' } }, o, done)),
      status.FAILED_PRECONDITION,
      /EINVAL/,
    ],
    ['a negative page', () => page('maps/ctl_array', -1), status.INVALID_ARGUMENT, /page_size/],
  ];
  it.each(REFUSED)('refuse %s', async (_, call, code, message) => {
    const error = await refusal(call());
    expect(error.code).toBe(code);
    expect(error.details).toMatch(message);
  });
});
