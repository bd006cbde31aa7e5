import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ClaimError, InterfaceClaim } from './interface-claim.js';

/** A name that no other run has. */
const device = `claim${process.pid}`;

describe('the claim on an interface', () => {
  it('is refused to a second one until the first gives it back', async () => {
    const first = await InterfaceClaim.take(device);
    const refused = await InterfaceClaim.take(device).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ClaimError);
    expect((refused as ClaimError).fault).toEqual({ code: 'CLAIM_TAKEN', interface: device });
    await first.release();
    const second = await InterfaceClaim.take(device);
    await second.release();
  });

  it('is for one interface, whose name may begin as another one does', async () => {
    const claims = await Promise.all(
      [device, `${device}0`, `${device}.1`].map((name) => InterfaceClaim.take(name)),
    );
    await Promise.all(claims.map((claim) => claim.release()));
  });

  it('can be given back twice', async () => {
    const claim = await InterfaceClaim.take(device);
    await claim.release();
    await claim.release();
  });

  it('is free again when its process was killed', async () => {
    const script = `require('node:net').createServer().listen('\\0waggle/${device}', () => console.log('listening'))`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    await expect(InterfaceClaim.take(device)).rejects.toMatchObject({ code: 'CLAIM_TAKEN' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const claim = await InterfaceClaim.take(device);
    await claim.release();
  });

  it('hangs up on whoever connects', async () => {
    const claim = await InterfaceClaim.take(device);
    const socket = connect({ path: `\0waggle/${device}` });
    await once(socket, 'close');
    await claim.release();
  });
});
