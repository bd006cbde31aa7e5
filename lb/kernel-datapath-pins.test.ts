/** The directory of a datapath's pins, where it is not alone or cannot be. */
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { missingRoot, noting } from '../test/support/capabilities.js';
import { faultOf } from '../test/support/fault.js';
import { addVeth, enterNamespace, sh } from '../test/support/namespace.js';
import { objectBytes } from './balancer/object.js';
import { RING_SIZE } from './balancer/schema.js';
import { KernelDatapath, type KernelDatapathOptions } from './kernel-datapath.js';
import { unpinDatapath } from './kernel-datapath-pins.js';

const DEVICE = `pind${process.pid}`;
const FOLDER = `/sys/fs/bpf/waggle-pins-${process.pid}`;
const PIN = `${FOLDER}/a`;

describe.skipIf(missingRoot)(`a directory of pins${noting(missingRoot)}`, () => {
  const open: KernelDatapath[] = [];
  const start = async (over: Partial<KernelDatapathOptions> = {}): Promise<KernelDatapath> => {
    const sizes = { ch_rings: RING_SIZE };
    const given = { interface: DEVICE, connectionTableEntries: 4096, sizes, pin: PIN, log: () => undefined };
    const datapath = await KernelDatapath.start({ ...given, ...over });
    open.push(datapath);
    return datapath;
  };

  beforeAll(() => {
    enterNamespace();
    mkdirSync(FOLDER);
    addVeth(DEVICE, `${DEVICE}p`);
  });
  afterEach(async () => {
    for (const datapath of open.splice(0)) await datapath.stop();
    for (const name of readdirSync(FOLDER)) unpinDatapath(`${FOLDER}/${name}`);
  });
  afterAll(() => {
    sh(`ip link delete ${DEVICE}`);
    rmSync(FOLDER, { recursive: true });
  });

  it.each([
    ['/tmp/waggle-pins', 'PINS_NO_BPFFS'],
    [`${FOLDER}/a.b`, 'PINS_NAME'],
  ])('%s: %s', async (directory, code) => {
    expect(await faultOf(() => start({ pin: directory }))).toMatchObject({ code, directory });
    expect(existsSync(directory)).toBe(false);
  });

  it("what is not its own in its folders stays, and is in nobody's way", async () => {
    const others = [`${PIN}/other`, `${PIN}/maps/other`];
    await (await start()).stop();
    for (const path of others) mkdirSync(path);
    await (await start()).stop();
    const { wasAttached, removed } = unpinDatapath(PIN);
    expect(wasAttached).toBe(true);
    expect(removed).toEqual(expect.arrayContaining(['link', 'program', 'manifest', 'maps/vip_map']));
    expect(removed).not.toContain('maps/other');
    expect([readdirSync(PIN).sort(), readdirSync(`${PIN}/maps`)]).toEqual([['maps', 'other'], ['other']]);
    for (const path of others) rmdirSync(path);
    expect(unpinDatapath(PIN)).toEqual({ wasAttached: false, removed: [] });
    expect(existsSync(PIN)).toBe(false);
  });

  it('a directory that a file system is mounted on stays', async () => {
    mkdirSync(PIN);
    sh(`mount -t bpf bpf ${PIN}`);
    // The kernel may have put files of its own into it.
    const before = readdirSync(PIN);
    try {
      await (await start()).stop();
      expect(unpinDatapath(PIN).wasAttached).toBe(true);
      expect(readdirSync(PIN)).toEqual(before);
    } finally {
      sh(`umount ${PIN}`);
    }
  });

  it('a start that fails says why, whatever else is in its directory', async () => {
    mkdirSync(`${PIN}/other`, { recursive: true });
    expect(await faultOf(() => start({ object: objectBytes('decap') }))).toMatchObject({
      code: 'DATAPATH_PROGRAM',
    });
    expect(readdirSync(PIN)).toEqual(['other']);
    rmdirSync(`${PIN}/other`);
  });
});
