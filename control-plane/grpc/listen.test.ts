import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatListen, isLocal, parseListen, probeListen } from './listen.js';

describe('an address to listen on', () => {
  for (const text of ['127.0.0.1:9443', '[::1]:9443', 'localhost:0', 'unix:/run/waggle.sock']) {
    it(`${text} is read and written back`, () => expect(formatListen(parseListen(text))).toBe(text));
  }
  for (const text of ['', '9443', '127.0.0.1', '127.0.0.1:99999', '::1:80', 'unix:', 'host:port']) {
    it(`"${text}" is none`, () => {
      expect(() => parseListen(text)).toThrow(expect.objectContaining({ code: 'LISTEN_FORM' }));
    });
  }
  it('is local or not', () => {
    const local = ['127.0.0.1:1', '[::1]:1', 'unix:/x', '0.0.0.0:1', '10.0.0.1:1'].map((text) =>
      isLocal(parseListen(text)),
    );
    expect(local).toEqual([true, true, true, false, false]);
  });
});

describe('trying an address', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'waggle-listen-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const unix = () => ({ kind: 'unix', path: join(folder, 's') }) as const;

  it('leaves it free', async () => {
    await probeListen(unix());
    await probeListen(unix());
  });

  it('refuses a port in use', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => holder.once('listening', resolve));
    const bound = holder.address();
    const port = typeof bound === 'object' && bound ? bound.port : 0;
    await expect(probeListen({ kind: 'tcp', host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'LISTEN_IN_USE',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    holder.close();
  });

  it('refuses a socket that a process serves', async () => {
    const holder = createServer().listen(unix());
    await new Promise((resolve) => holder.once('listening', resolve));
    await expect(probeListen(unix())).rejects.toMatchObject({ code: 'LISTEN_IN_USE' });
    holder.close();
  });

  it('takes over the socket file of a process that is gone', async () => {
    const script = `require('node:net').createServer().listen(${JSON.stringify(unix().path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    await probeListen(unix());
  });

  it('leaves a file that is no socket alone', async () => {
    writeFileSync(unix().path, 'precious');
    await expect(probeListen(unix())).rejects.toMatchObject({ code: 'LISTEN_IN_USE' });
  });

  it('says when an address is not one of the host, or a folder is not there', async () => {
    await expect(probeListen({ kind: 'tcp', host: '192.0.2.1', port: 1 })).rejects.toMatchObject({
      code: 'LISTEN_REFUSED',
      message: expect.stringMatching(/not an address of this host/),
    });
    await expect(probeListen({ kind: 'unix', path: join(folder, 'no', 's') })).rejects.toMatchObject({
      code: 'LISTEN_REFUSED',
    });
  });
});
