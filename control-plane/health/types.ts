import type { IpAddress } from '../../lb/index.js';
import type { Keep } from './keep.js';

/** A TCP connection; with `send` and `expect`, a question and the beginning of its answer. */
export interface TcpProbe {
  readonly kind: 'tcp';
  /** 0: the port of the target. */
  readonly port: number;
  /** Sent once the connection stands. */
  readonly send?: Uint8Array;
  /** The answer must begin with these bytes; absent: a connection is enough. */
  readonly expect?: Uint8Array;
}

/** Statuses of HTTP, both ends included. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** One HTTP/1.1 request (RFC 9112), over TLS when `tls`. */
export interface HttpProbe {
  readonly kind: 'http';
  /** 0: the port of the target. */
  readonly port: number;
  readonly tls: boolean;
  /** Accept whatever certificate the target shows. */
  readonly insecureSkipVerify: boolean;
  /** Host header and the name that the certificate must have; '': the target's address. */
  readonly host: string;
  /** Keep the connection for the next probe while the target does. It does not show then that new ones are taken. */
  readonly reuseConnection: boolean;
  /** Path and query, from the slash on. */
  readonly path: string;
  readonly method: string;
  /** An answer with one of these statuses passes; redirects are not followed. */
  readonly expectedStatuses: readonly StatusRange[];
  /** Text that the first 64 KiB of the body must contain. */
  readonly expectBody?: string;
}

/** grpc.health.v1.Health/Check: SERVING passes (GRPC Health Checking Protocol). */
export interface GrpcProbe {
  readonly kind: 'grpc';
  /** 0: the port of the target. */
  readonly port: number;
  /** '': the server as a whole. */
  readonly service: string;
  readonly tls: boolean;
  /** Accept whatever certificate the target shows. */
  readonly insecureSkipVerify: boolean;
  /** :authority, and the name that the certificate must have; '': the target's address. */
  readonly host: string;
  /** As of an HTTP probe. */
  readonly reuseConnection: boolean;
}

/** An echo request (RFC 792, RFC 4443 §4.1). */
export interface IcmpProbe {
  readonly kind: 'icmp';
  readonly payloadBytes: number;
}

/** A datagram; without `expect`, it passes unless the target says "port unreachable" before the timeout. */
export interface UdpProbe {
  readonly kind: 'udp';
  /** 0: the port of the target. */
  readonly port: number;
  readonly send: Uint8Array;
  /** The answer must begin with these bytes. */
  readonly expect?: Uint8Array;
}

export type Probe = TcpProbe | HttpProbe | GrpcProbe | IcmpProbe | UdpProbe;
export type ProbeKind = Probe['kind'];

/** When a check probes, and how many results it takes to believe a change. */
export interface CheckTiming {
  /** The longest time from one probe's start to the next one's. */
  readonly intervalMs: number;
  /** From the start of a probe; ≤ intervalMs, so that the probes of a check never overlap. */
  readonly timeoutMs: number;
  /** Passes in a row that make an unhealthy target healthy. */
  readonly rise: number;
  /** Failures in a row that make a healthy target unhealthy. */
  readonly fall: number;
  /** Up to so much of the interval is taken off at random, never added: 0–50. */
  readonly jitterPercent: number;
  /** The interval while a change is being confirmed, ≤ intervalMs. */
  readonly fastIntervalMs: number;
  /** A new target is left alone for so long. */
  readonly initialDelayMs: number;
  /**
   * A new target's first result decides at once instead of counting towards `rise` or `fall`. A new target gets no
   * traffic before that: after `rise` passes it would only come into service later, and it was never seen to fail.
   */
  readonly firstResultDecides: boolean;
}

/** What a check does, and when. */
export interface HealthCheck extends CheckTiming {
  /** Unique among the checks of a target. */
  readonly name: string;
  readonly probe: Probe;
  /** direct: to the target's address. tunnel: encapsulated as the VIP's traffic is, to the VIP's address. */
  readonly path: 'direct' | 'tunnel';
}

/** What is checked: one backend. */
export interface Target {
  /** Name of the backend; unique in a monitor. */
  readonly key: string;
  readonly address: IpAddress;
  /** For probes whose port is 0. */
  readonly port: number;
  /** What checks through the tunnel address. */
  readonly vip?: IpAddress;
}

/** What one probe saw. */
export interface ProbeResult {
  readonly ok: boolean;
  /** The failure is this host's (no descriptors, no right, no module): it says nothing of the target. */
  readonly local: boolean;
  /** What was seen, for people: "connection refused". */
  readonly detail: string;
  /** From the start of the probe to the decision. */
  readonly latencyMs: number;
  /** The end of the probe, Unix time. */
  readonly atMs: number;
}

/** unknown: no result decided yet. */
export type Health = 'unknown' | 'healthy' | 'unhealthy';

/** Where one check, or a target with all its checks, stands. */
export interface HealthStatus {
  readonly state: Health;
  /** When `state` began, Unix time. */
  readonly sinceMs: number;
  readonly last: ProbeResult | undefined;
  /** The last result that did not pass: kept when the target has recovered. */
  readonly lastError: ProbeResult | undefined;
  /** Results in a row that agree with `last`. */
  readonly consecutive: number;
  /** It changed so often of late that it is held unhealthy. */
  readonly flapping: boolean;
  /** Held unhealthy until then, whatever the probes say. */
  readonly heldUntilMs: number | undefined;
  /** It was healthy once since it is known here, or it was known before a restart. */
  readonly everHealthy: boolean;
}

/** The status of a target, and of each of its checks. */
export interface TargetStatus extends HealthStatus {
  readonly key: string;
  readonly checks: ReadonlyMap<string, HealthStatus>;
}

/**
 * Makes one probe. It settles when `signal` aborts at the latest, never rejects, and leaves nothing open but what it puts
 * into `keep`; absent: nothing is kept.
 */
export type Prober = (
  target: Target,
  check: HealthCheck,
  signal: AbortSignal,
  keep?: Keep,
) => Promise<ProbeResult>;

/** Unix time in ms that never goes back, with fractions; and a timer. */
export interface Clock {
  readonly nowMs: () => number;
  /** Call once after a delay; the function that it gives takes it back. */
  readonly after: (delayMs: number, run: () => void) => () => void;
}

/** The machine's clock: the time of the process's start and the monotonic clock since. */
export const SYSTEM_CLOCK: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
