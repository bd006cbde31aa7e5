import { describe, expect, it } from 'vitest';
import { loadHealth } from '../grpc/health.js';
import { loadDescriptors } from '../grpc/proto.js';
import { leastRole, PERMISSIONS, permissionOf, requiredRole } from './permissions.js';

/** Every method of the API by its path, and whether it answers with a stream. */
const METHODS = Object.entries({ ...loadDescriptors(), ...loadHealth().descriptors }).flatMap(
  ([service, definition]) =>
    'format' in definition
      ? []
      : Object.values(definition).map(({ path, responseStream }) => ({
          path: path.replace(/^\//, ''),
          service,
          responseStream,
        })),
);

describe('the table of permissions', () => {
  it('has every method of the API', () => {
    expect(METHODS.length).toBeGreaterThan(25);
    expect(METHODS.map(({ path }) => path).filter((path) => !(path in PERMISSIONS))).toEqual([]);
  });

  it('has no other but those of reflection, whose library brings its own protos', () => {
    const known = new Set(METHODS.map(({ path }) => path));
    const others = Object.keys(PERMISSIONS).filter((path) => !known.has(path));
    expect(others).toEqual([
      'grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      'grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
    ]);
  });

  it('knows which of them are streams', () => {
    const wrong = METHODS.filter(
      ({ path, responseStream }) => (permissionOf(path).kind === 'stream') !== responseStream,
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it('lets viewers do what its name says is looking, and nothing else', () => {
    const looking = /\/(Get|List|Watch|Simulate|Check|ServerReflection)/;
    for (const [path, permission] of Object.entries(PERMISSIONS)) {
      expect([path, leastRole(permission) === 'viewer']).toEqual([path, looking.test(path)]);
      expect([path, permission.isAudited]).toEqual([path, !looking.test(path)]);
    }
  });

  it('keeps a method that it does not have for administrators', () => {
    expect(permissionOf('/waggle.v1.VipService/New')).toMatchObject({ role: 'admin', isAudited: true });
  });
});

describe('an update of a backend', () => {
  const role = (request: unknown) =>
    requiredRole(permissionOf('/waggle.v1.PoolService/UpdateBackend'), request);
  for (const [what, request, wanted] of [
    ['of its weight', { updateMask: { paths: ['weight'] } }, 'operator'],
    ['of its weight and more', { updateMask: { paths: ['weight', 'mac_address'] } }, 'admin'],
    ['of its weight, or a new one', { updateMask: { paths: ['weight'] }, allowMissing: true }, 'admin'],
    ['of all', { updateMask: { paths: ['*'] } }, 'admin'],
    ['of nothing that is named', { updateMask: { paths: [] } }, 'admin'],
    ['without a mask', { updateMask: null }, 'admin'],
    ['of paths that are no texts', { updateMask: { paths: [7] } }, 'admin'],
    ['that is no message', undefined, 'admin'],
  ] as const) {
    it(`${what} is the ${wanted}'s`, () => expect(role(request)).toBe(wanted));
  }
});
