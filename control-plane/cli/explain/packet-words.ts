import type { Reason, WorkerCounter } from '../../../lb/index.js';
import type { ExplanationTable } from './entry.js';

/** What to do about packets that end for a reason; what the reason means, the datapath says itself. */
export const REASON_ADVICE: Readonly<Record<Reason, string>> = {
  forwarded: 'nothing: this is what a load balancer is for',
  echo_reply: 'nothing: VIPs answer to ping',
  too_big_sent:
    'nothing, where the sender then sends less; a higher MTU between here and the backends spares the round trip',
  egress_decap: 'nothing: the tunnel destination asks for it',
  short_frame: 'find who sends broken frames: tcpdump -i INTERFACE -e',
  fragment: 'lower the MSS or MTU of the path, or of the sender: a load balancer cannot place fragments',
  ip_options: 'nothing: hardly anybody but scanners sends IP options',
  truncated: 'find who sends broken packets: tcpdump -i INTERFACE; a few of them are scans',
  too_long:
    'raise the MTU between here and the backends, or set options: waggle set node --option send-too-big=on',
  empty_ring:
    'give the pool of the VIP a backend that is up: waggle get backends POOL shows why each takes none',
  no_real: 'nothing, when it stops: a backend was removed a moment ago; drain it first the next time',
  family_mismatch: 'give the VIP a pool of IPv6 backends: IPv6 is not carried over IPv4',
  no_headroom:
    'use the driver of the interface with more headroom, or another engine: please report the driver',
  unknown_server: 'map the server id, or take its mapping away: waggle get server-ids',
  icmp_inner: 'nothing, unless there are many: somebody sends damaged ICMP errors',
  inner_ttl: 'look for a routing loop between the tunnel and this host',
  decap_failed: 'nothing, unless there are many: somebody sends damaged tunnel packets',
  not_ip: 'nothing: ARP and the like belong to the host',
  no_ip_header: 'find who sends broken packets: tcpdump -i INTERFACE',
  no_vip: 'nothing, unless a VIP is missing: waggle get vips, with address, port and protocol',
  unreadable: 'nothing: the host does with it what it does',
  protocol: 'nothing: the host does with it what it does',
  icmp: 'nothing: the host does with it what it does',
  decapsulated: 'nothing: the tunnel ends at this host',
  not_our_tunnel: 'add the address, if the tunnel is to end here: waggle set node --decap-destinations LIST',
  local: 'nothing: the backend is this host',
};

/** Counters of a worker: what each counts, and what to do when it counts. */
export const WORKER_COUNTER_WORDS: Readonly<Record<WorkerCounter, readonly [means: string, advice: string]>> =
  {
    received: ['frames that the worker took from its ring', 'nothing'],
    received_bytes: ['bytes of those, as on the wire', 'nothing'],
    transmitted: ['frames that the kernel took for sending', 'nothing'],
    transmitted_bytes: ['bytes of those, with the outer header', 'nothing'],
    passed: [
      'frames that are not for a VIP: the host has its own copy',
      'nothing; waggle_passes_total has the reasons',
    ],
    passed_lost: [
      'frames that were steered away from the host and turned out to be its own, which is not to be undone (af_xdp)',
      'nothing, while they are few: they came while a VIP was removed',
    ],
    dropped: ['frames that the program dropped', 'waggle describe vip ID names the reasons'],
    aborted: ['frames at which the program failed', 'report it: a verified program does not fail'],
    invalid_verdict: ['frames for which the program said what is no verdict', 'report it'],
    redirected: ['frames that left by another interface', 'nothing'],
    redirected_bytes: ['bytes of those', 'nothing'],
    handed_over: ['frames handed to another worker', 'nothing'],
    taken_over: ['frames that another worker handed to this one', 'nothing'],
    redirect_queue_full: [
      'frames for a worker that had too many waiting',
      'add workers: that one does not keep up',
    ],
    redirect_no_target: [
      'frames that were to be redirected, to nobody',
      'look at the program that redirects',
    ],
    redirect_overflow: [
      'copies for several interfaces that did not fit',
      'look at the program that redirects',
    ],
    redirect_unsupported: ['frames redirected in a way that the engine does not do', 'use --engine xdp'],
    truncated: [
      'frames longer than a slot of the ring',
      'lower the MTU, and switch GRO and LRO off on the interface',
    ],
    other_host: [
      "frames for another host's MAC address, which a switch floods",
      'nothing, unless there are many: look at the switch',
    ],
    checksum_filled: ['checksums that a local sender had left to its network card', 'nothing'],
    checksum_unfixable: [
      'such checksums of what is neither TCP nor UDP',
      'switch checksum offload off at the sender',
    ],
    vlan_restored: ['VLAN tags put back that the kernel had taken off', 'nothing'],
    send_queue_full: [
      'frames for which the sending queue had no room',
      'raise the queue of the interface: ip link set NAME txqueuelen 10000',
    ],
    send_too_long: [
      "frames that are longer than the interface's MTU with their outer header",
      'raise the MTU towards the backends',
    ],
    send_refused: ['frames that the kernel refused to send', 'the log names the errno'],
    ring_full: [
      'frames that the kernel threw away: the worker did not keep up',
      'add workers: waggle up --workers',
    ],
    no_socket: [
      'frames that came by a receive queue without a worker: it was added while the engine ran (af_xdp)',
      'restart after changing the queues of the interface',
    ],
    lost_at_restart: ['frames in hand when a worker died', 'nothing; the log says why it died'],
    batches: [
      'rounds of the worker with at least one frame',
      'nothing: frames divided by it is how many come at once',
    ],
    wakeups: ['times that the worker had slept', 'nothing'],
    program_runs: ['runs of the program', 'nothing'],
    program_ns: [
      'nanoseconds of those, with what hands it the frames',
      'nothing: divided by the runs it is the cost of a packet',
    ],
  };

/** Exit statuses of the command line. */
export const EXIT_WORDS: ExplanationTable = {
  'exit 0': ['it was done', 'nothing'],
  'exit 1': [
    'the server or the system refused, or a file has faults; of diff: something differs; of probe: a check fails',
    'the line on standard error says why',
  ],
  'exit 2': [
    'the command line or a context is wrong; of diff: any fault',
    'the line on standard error says what',
  ],
  'exit 69': [
    'no server answers at the address',
    'look whether waggle up runs there, and at --server or the context in use',
  ],
};
