import type { ExplanationTable } from './entry.js';

const REPORT = 'a defect of ours: please report it';

/** Codes of the host: interfaces, sockets, the kernel, tables of the balancer, captures. */
export const HOST_CODES: ExplanationTable = {
  ADDRESS_IP: ['this is no IPv4 or IPv6 address', 'write 192.0.2.1 or 2001:db8::1'],
  ADDRESS_LENGTH: ['an address has a wrong number of bytes', 'IPv4 has 4, IPv6 16, a MAC address 6'],
  ADDRESS_MAC: ['this is no MAC address', 'write six pairs of hexadecimal digits: 02:00:0a:00:00:01'],
  ARENA_CPU: ['there is no CPU, that is worker, of this number', REPORT],
  ARENA_MAGIC: [
    'the shared memory is not one of this version',
    'a worker of another build was started: build anew',
  ],
  ARENA_MEMORY: [
    'the system has not enough memory for the tables',
    'use fewer workers or connections: --workers, --connections',
  ],
  ARENA_NOT_SHARED: ['the memory is not shared between threads', REPORT],
  ARENA_REGION: ['a part of the shared memory has an impossible size', REPORT],
  ARENA_TOO_LARGE: [
    'the tables need more than the 4 GiB that there can be',
    'use fewer workers or connections: --workers, --connections',
  ],
  ARENA_WORKERS: ['there are more workers than there can be', 'use fewer: --workers'],
  BPF_CALL: [
    'the kernel refused a bpf() call with this errno',
    'EPERM: run as root, or with CAP_BPF and CAP_NET_ADMIN; else the log has more',
  ],
  BPF_LENGTH: ['a key or value is not as long as the map says', REPORT],
  BPF_MAP_INDEX: ['an instruction names a map that is not there', 'build the object anew'],
  BPF_MAP_TYPE: ['a map is of another type than what it is used as', 'build the object anew'],
  BPF_PROGRAM_TYPE: ['the kernel is not asked to load programs of this type', 'give an XDP program'],
  BPF_REFUSED: [
    "the kernel's verifier refused the program",
    'its log follows; waggle bpf verify FILE explains the rule',
  ],
  CAPABILITIES_THREADS: [
    'threads of the process kept rights that all were to give up',
    'start again; report it when it stays',
  ],
  CLAIM_REFUSED: [
    'the lock that keeps an interface for one process cannot be taken',
    'the message has the reason of the system',
  ],
  CLAIM_TAKEN: [
    'another waggle runs on this interface',
    'stop it, or use another interface: one process an interface',
  ],
  COMPANION_KEYS_FULL: ['the companion program has no room for another health check key', 'remove one'],
  COMPANION_MAP_MISSING: [
    'the companion object has not the map that is needed',
    'use the object that was built with this version',
  ],
  COMPANION_MAP_SHAPE: [
    'a map of the companion object has other sizes than expected',
    'use the object that was built with this version',
  ],
  COMPANION_RANGE: [
    'a number for the companion program is out of range',
    'the message names it and the range',
  ],
  COMPANION_WRITE: [
    'a table of the companion program refused a write',
    'the message has the errno; E2BIG: it is full',
  ],
  DATAPATH_CONNECTIONS: ['the size of the connection tables is out of range', 'give another --connections'],
  DATAPATH_MAPS: [
    'the new program has other maps than the one that runs, which cannot be carried over',
    'restart with it instead of swapping',
  ],
  DATAPATH_NO_WORKERS: [
    'the kernel runs the program: there are no workers to restart',
    'nothing: it has no threads that could die',
  ],
  DATAPATH_PROGRAM: ['the object has no program balancer_ingress', 'give a build of the balancer'],
  DATAPATH_WORKERS: ['the number of workers is out of range', 'give another --workers'],
  DECAP_ADDRESS: [
    'an address of waggle decap could not be written to its table',
    'give each address once, and no more than there is room for',
  ],
  DECAP_INTERFACE: ['there is no such interface', 'ip link lists them'],
  DECAP_OPTION: ['an option of waggle decap is out of range', 'the message names it'],
  ENGINE_CAPABILITY: [
    'the process lacks a right',
    'run as root, or give it the capability that the message names',
  ],
  ENGINE_INTERFACE_DOWN: ['the interface is down', 'ip link set NAME up'],
  ENGINE_MEMLOCK: [
    'the kernel lets the process lock too little memory',
    'raise the limit: ulimit -l unlimited, LimitMEMLOCK=infinity',
  ],
  ENGINE_MTU: [
    "the interface's MTU is larger than a frame of this engine",
    'lower the MTU, or use --engine af_packet',
  ],
  ENGINE_NOT_ETHERNET: [
    'the interface carries no Ethernet frames',
    'choose the one that leads to clients and backends',
  ],
  ENGINE_NO_INTERFACE: ['there is no such interface', 'ip link lists them'],
  ENGINE_QUEUE_TAKEN: [
    'another process has an AF_XDP socket on this queue',
    'stop it, or use another engine',
  ],
  ENGINE_SOCKET: ['a packet socket cannot be opened on the interface', 'the message has the errno'],
  ENGINE_UNSUPPORTED: [
    'the kernel or the driver lacks what the engine needs',
    'use --engine af_packet, which needs the least',
  ],
  EVENTS_TRUNCATED: [
    'an event of the program is shorter than its type',
    'program and process are of different builds',
  ],
  EVENTS_UNKNOWN: [
    'an event of the program is of an unknown type',
    'program and process are of different builds',
  ],
  FIB_ADDRESS: ['an address of the routing helper is of no family that it knows', REPORT],
  FIB_FULL: ['the table of next hops is full', 'have fewer backends behind this node'],
  FIB_MAC: ['a MAC address of the table of next hops is not 6 bytes', REPORT],
  FLOW_TEXT: ['this is no flow', "write 'tcp 192.0.2.1:4000 -> 198.51.100.1:80', IPv6 addresses in brackets"],
  HOST_GUARD_MISSING: [
    "nftables is missing, and this host forwards packets: it would forward the VIPs' traffic a second time",
    'install nftables, or switch forwarding off: sysctl net.ipv4.ip_forward=0',
  ],
  HOST_GUARD_WRITE: [
    'nftables refused the rules that keep VIP traffic from the host',
    'the message has its words; it needs CAP_NET_ADMIN',
  ],
  HOST_VIP_IS_LOCAL: [
    "the VIP's address is one of this host, which would answer as well",
    'take it off the host; VIPs are on no interface of a load balancer',
  ],
  OPTIONS_MAP_FIXED: ['the size of this map is fixed', 'leave it out'],
  OPTIONS_MAP_SIZE: ['the size of a map is out of range', 'the message names map and range'],
  OPTIONS_MISSING: [
    'the object lacks a constant that options are written to',
    'use the object that was built with this version',
  ],
  OPTIONS_UNKNOWN: ['the program has no such option', 'waggle get options lists them'],
  OPTIONS_VALUE: ['an option has a value that it cannot have', 'the message names option and rule'],
  PCAP_BLOCK: [
    'a block of the capture is damaged',
    'cut it off: tcpdump -r FILE -w NEW writes what can be read',
  ],
  PCAP_INTERFACE: ['a packet of the capture names an interface that the file has not', 'the file is damaged'],
  PCAP_MAGIC: ['the file is no pcap or pcapng capture', 'give one that tcpdump or Wireshark wrote'],
  PCAP_TRUNCATED: [
    'the capture ends in the middle of a packet',
    'it was cut off while it was written; what is before the end is good',
  ],
  PCAP_VERSION: [
    'the capture is of a version that is not known',
    'write it anew with tcpdump -r FILE -w NEW',
  ],
  PINS_ABSENT: ['nothing is pinned there', 'name the interface, or the directory, that waggle up --pin used'],
  PINS_ACCESS: ['the directory of pins cannot be used', 'run as root; the message has the errno'],
  PINS_BROKEN: [
    'what is pinned is not whole, and cannot be taken over',
    'waggle down removes it, which stops forwarding until the next start',
  ],
  PINS_INTERFACE: [
    'what is pinned belongs to another interface',
    'give each interface a directory of its own',
  ],
  PINS_LAYOUT: [
    'what is pinned was made with other options or sizes, or by a build whose tables differ',
    'start as before, or waggle down and then start: forwarding stops in between',
  ],
  PINS_LEFT: [
    'a program is pinned on this interface, and this start would not take it over',
    'take it over with --engine xdp --pin, or remove it first: waggle down',
  ],
  PINS_NAME: [
    'the directory of pins has a dot in its name, which a BPF file system does not allow',
    'choose another directory: --pin /sys/fs/bpf/NAME',
  ],
  PINS_NO_BPFFS: ['the directory is not in a BPF file system', 'mount one: mount -t bpf bpf /sys/fs/bpf'],
  PINS_TAKEN: ['another process runs on these pins', 'stop it first'],
  REPLAY_FRAME: ['a frame of the capture is too short or too long to be one', 'leave it out'],
  REPLAY_PROGRAM: ['the object has no program of this name', 'waggle bpf dump FILE lists them'],
  REPLAY_TRAP: ['the program did what no verified program does', REPORT],
  REPLAY_WORKER: ['there is no worker of this number', 'raise workers in the configuration file'],
  SYS_CALL: [
    'the system refused a call; the message has its name and errno',
    'EPERM: run as root, or with the capabilities of docs/operations.md',
  ],
  TABLES_MAP_MISSING: [
    'the object has not a map that the balancer needs',
    'use the object that was built with this version',
  ],
  TABLES_MAP_SHAPE: [
    'a map has other sizes than expected',
    'use the object that was built with this version',
  ],
  TABLES_NO_HOST: ['there is no table for down backends in this host', REPORT],
  TABLES_PREFIX_VIP: [
    'a VIP with a prefix cannot have this',
    'the message says what; IPv6 prefixes of all ports can be VIPs',
  ],
  TABLES_RANGE: ['a number is out of the range of its table', 'the message names it and the range'],
  TABLES_WRITE: [
    'a table refused a write',
    'the message has the errno; E2BIG: it is full, start with a larger limit',
  ],
  THREADS_ARCH: [
    'rights are given up on x86-64 and arm64 alone',
    'run it with a service manager that limits them instead',
  ],
  THREADS_CALL: ['the system refused to change the rights of a thread', 'the message has the errno'],
};
