import type { CreateBackend, CreatePool, CreateVip } from '../../control-plane/state/changes.js';

/** The pool `web`, unless told otherwise. */
export const createPool = (id = 'web'): CreatePool => ({ kind: 'create-pool', id, displayName: '' });

/** The backend `a` of the pool `web`, 10.0.0.1 with weight 1, unless told otherwise. */
export const createBackend = (fields: Partial<CreateBackend> = {}): CreateBackend => ({
  kind: 'create-backend',
  pool: 'pools/web',
  id: 'a',
  address: '10.0.0.1',
  weight: 1,
  ...fields,
});

/** The VIP `web`, 192.0.2.1:80/tcp, in front of the pool `web`, unless told otherwise. */
export const createVip = (fields: Partial<CreateVip> = {}): CreateVip => ({
  kind: 'create-vip',
  id: 'web',
  displayName: '',
  address: '192.0.2.1',
  port: 80,
  protocol: 'tcp',
  pool: 'pools/web',
  ...fields,
});
