import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { Wake } from '../watch/wake.js';
import type { Surroundings } from './conduct.js';
import { ApiError } from './errors.js';
import { PROTO_FOLDER } from './proto.js';
import { serverStream } from './stream.js';
import { unary } from './unary.js';

type ServingStatus = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

interface HealthCheckRequest {
  readonly service: string;
}

interface HealthCheckResponse {
  readonly status: ServingStatus;
}

interface HealthListResponse {
  readonly statuses: Readonly<Record<string, HealthCheckResponse>>;
}

const SERVICE = 'grpc.health.v1.Health';

/** The service as a server and reflection take it. */
export function loadHealth(): {
  readonly service: ServiceDefinition;
  readonly descriptors: PackageDefinition;
} {
  const descriptors = loadSync('grpc/health/v1/health.proto', {
    includeDirs: [PROTO_FOLDER],
    keepCase: true,
    enums: String,
    defaults: true,
  });
  const service = descriptors[SERVICE];
  if (service === undefined || 'format' in service) throw new Error(`${SERVICE} is not in its proto`);
  return { service: service as ServiceDefinition, descriptors };
}

/** How often those who watch are told of a datapath that went down or came back, at the latest. */
const LOOK_MS = 250;

/** Whether the server serves: the same for all of its services. */
export class Health {
  readonly #services: ReadonlySet<string>;
  readonly #isDatapathUp: () => boolean;
  #isShutDown = false;
  /** Those who watch. */
  readonly #wakes = new Set<Wake>();

  /** @param services full names; the server itself is added */
  constructor(services: readonly string[], isDatapathUp: () => boolean) {
    this.#services = new Set(['', ...services]);
    this.#isDatapathUp = isDatapathUp;
  }

  /** From now on it does not serve, and those who watch are told. Idempotent. */
  shutDown(): void {
    this.#isShutDown = true;
    for (const wake of this.#wakes) wake.wake();
  }

  statusOf(service: string): ServingStatus {
    if (!this.#services.has(service)) return 'SERVICE_UNKNOWN';
    return !this.#isShutDown && this.#isDatapathUp() ? 'SERVING' : 'NOT_SERVING';
  }

  /** grpc.health.v1.Health. */
  handlers(around: Surroundings): UntypedServiceImplementation {
    return {
      Check: unary<HealthCheckRequest, HealthCheckResponse>(around, 'Check', ({ service }) => {
        const status = this.statusOf(service);
        if (status !== 'SERVICE_UNKNOWN') return { status };
        throw new ApiError({ code: 'API_SERVICE', service }, `the server has no service "${service}"`);
      }),

      List: unary<object, HealthListResponse>(around, 'List', () => ({
        statuses: Object.fromEntries(
          [...this.#services].map((service) => [service, { status: this.statusOf(service) }]),
        ),
      })),

      Watch: serverStream<HealthCheckRequest, HealthCheckResponse>(
        around,
        'Watch',
        async ({ service }, stream) => {
          const wake = new Wake();
          this.#wakes.add(wake);
          let last: ServingStatus | undefined;
          try {
            for (;;) {
              const now = this.statusOf(service);
              if (now !== last) await stream.write({ status: now });
              last = now;
              await wake.wait(LOOK_MS, stream.signal);
              stream.signal.throwIfAborted();
            }
          } finally {
            this.#wakes.delete(wake);
          }
        },
      ),
    };
  }
}
