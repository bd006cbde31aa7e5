import type { ExplanationTable } from './entry.js';

/** Codes of the control plane: what the API, its state, files and security refuse. */
export const CONTROL_CODES: ExplanationTable = {
  ACCESS_NOBODY: [
    'the server wants to know who calls, and nothing was shown',
    'show a certificate (--cert, --key) or a token (--token-file), or put them in a context: waggle context set',
  ],
  ACCESS_RATE: [
    'you call more often than the server lets you',
    'wait as long as the message says; an operator raises the rate where it is too low for what you do',
  ],
  ACCESS_ROLE: [
    'your role may not do this: viewers look, operators also drain and set weights, admins do everything',
    'call as somebody with the role that the message names, or have the access file give it to you',
  ],
  ACCESS_STREAMS: ['you have as many streams open as one caller may', 'end a watch that nobody looks at'],
  ACCESS_TOKEN: [
    'the bearer token is not one that the server knows, or it has expired',
    'look that the token file is the right one; waggle hash-token makes a new one, whose entry goes into the access file',
  ],
  API_CALLER_GONE: [
    'the client went away before the answer',
    'nothing: the change was made, or not; look with waggle history',
  ],
  API_MODE: [
    'the engine that runs has nothing of this kind, as workers to restart in the kernel',
    'see waggle get node for the engine, and docs/operations.md for what each has',
  ],
  API_NODE: ['a server answers for itself alone', 'name nodes/self, or ask the other server: --server'],
  API_PROGRAM: [
    'the program cannot be loaded; the one that ran goes on',
    'waggle bpf verify FILE says which instruction and why',
  ],
  API_SERVICE: [
    'the health service knows no service of this name',
    'ask for "" or a name that reflection lists',
  ],
  API_STOPPING: ['the server is ending, and ends its streams', 'watch again when it is back'],
  API_WORKER: ['there is no worker of this number', 'waggle status lists them'],
  AUDIT_WRITE: [
    'the audit log cannot be written, and what is not written there is not done',
    'make room on the disk, or mend the rights of the file that the message names',
  ],
  CONFIG_CONFLICT: [
    'two places of the file contradict each other',
    'change one of them; the message names both',
  ],
  CONFIG_DUPLICATE: ['a name or key is there twice', 'remove or rename one of them'],
  CONFIG_INVALID: [
    'the file has faults; each is told in a line of its own',
    'mend them all, and run waggle validate',
  ],
  CONFIG_LIMIT: [
    'the file has more of something than there can be',
    'raise the limit in the file where the message says so, or have less',
  ],
  CONFIG_MISSING: ['something that must be there is not', 'add the key that the message names'],
  CONFIG_REFERENCE: [
    'a name refers to something that the file does not have',
    'correct the name, or add what it means',
  ],
  CONFIG_SYNTAX: [
    'the file is not YAML',
    'look at the line and column; most often it is the indentation or a tab',
  ],
  CONFIG_UNKNOWN_KEY: [
    'the file has a key that means nothing',
    'correct its spelling; docs/waggle.schema.json lets an editor help',
  ],
  CONFIG_VALUE: ['a value breaks the rule that the message names', 'correct the value'],
  HEALTH_CHECK: ['a health check has fields out of range', 'correct those that the message names'],
  HEALTH_NO_CHECKS: ['a backend would be watched by no check', 'give its pool a health check'],
  HEALTH_TARGET: [
    'the backend is not one that is checked',
    'give its pool a health check: waggle set pool ID --health-checks ID',
  ],
  HEALTH_TWICE: ['a backend, or a check of it, is there twice', 'name each once'],
  HISTORY_REVISION: ['the revision is not remembered', 'choose one that waggle history lists'],
  IDS_NUMBERS: [
    'all numbers of this kind are taken; what a change removes has its number until the change is made',
    'delete what is not needed, in a change of its own, or start with a larger limit',
  ],
  IDS_REALS: [
    'all rows for backend addresses are taken; those of deleted backends rest a while, so that no connection goes astray',
    'wait for the resting ones, or start with a larger limit',
  ],
  INSPECT_DATA: [
    'a key or value has not the form of the map',
    'give it as the types of the map say: waggle bpf maps',
  ],
  INSPECT_ENTRY: ['the map has no such key', 'waggle bpf map dump NAME shows those that there are'],
  INSPECT_ERRNO: [
    'the map refused the operation with this errno',
    'ENOENT: no such key, EEXIST: it is there, E2BIG: the map is full',
  ],
  INSPECT_MAP: ['the program has no map of this name', 'waggle bpf maps lists them'],
  JOURNAL_CLOSED: ['the state is closed: the server is ending', 'ask again when it is back'],
  JOURNAL_FORMAT: [
    'a file of the state directory is of another format or version',
    'start the version that wrote it, or another directory',
  ],
  JOURNAL_IO: [
    'a change could not be written to the state directory; it was not made',
    'make room on the disk or mend what the log names; the same change can then be asked for again',
  ],
  JOURNAL_LOCKED: [
    'another process uses the state directory',
    'stop it, or give this one a directory of its own: --state',
  ],
  JOURNAL_NO_STATE: [
    'no snapshot in the state directory can be read',
    'restore the directory from a copy, or start with an empty one and apply the configuration file',
  ],
  LISTEN_FORM: ['this is no address to listen on', 'write HOST:PORT, [IPV6]:PORT or unix:PATH'],
  LISTEN_IN_USE: ['another process listens there', 'stop it (ss -ltnp names it), or choose another address'],
  LISTEN_REFUSED: [
    'the system does not let the process listen there',
    'choose an address of this host; ports below 1024 need CAP_NET_BIND_SERVICE',
  ],
  RECONCILE_CANCELLED: [
    'the caller gave up before the change was made; nothing was changed',
    'ask again, with a longer deadline',
  ],
  RECONCILE_OPTIONS: [
    'the datapath does not run with the options that the change needs; nothing was changed',
    'the message has the reason; waggle get options shows what is set',
  ],
  RECONCILE_VIP_REFUSED: [
    'the datapath cannot have this VIP, most often because its address is one of this host',
    'take the address off the host, or choose another one',
  ],
  RECONCILE_WRITE: [
    'a table could not be written; the change was taken back',
    'look into the log: most often a table is full; report it when it is not',
  ],
  RING_ADDRESS: [
    'the address of a backend is neither 4 nor 16 bytes',
    'a defect of the caller: please report it',
  ],
  RING_DUPLICATE: ['two backends of a ring have one address', 'have each address once in a pool'],
  RING_INDEX: [
    'the index of a backend is not a whole number from 1',
    'a defect of the caller: please report it',
  ],
  RING_WEIGHT: [
    'a weight is not a whole number within its range',
    'give 1 to 65535; backends of weight 0 are in no ring',
  ],
  SECURITY_CERTIFICATE: [
    'a certificate or private key cannot be used',
    'look that both are PEM and belong together: openssl x509 -in FILE -noout -pubkey, openssl pkey -in KEY -pubout',
  ],
  SECURITY_FILE: [
    'a file of certificates, keys or access rules cannot be read',
    'mend its path or its rights',
  ],
  SECURITY_NOBODY: [
    'callers must say who they are, and no certificate or token would do',
    'name a client authority (TLS), or put tokens into the access file',
  ],
  SECURITY_OPEN: [
    'other hosts would reach the API, and nobody would be asked who they are',
    'listen on a Unix socket or loopback, or set TLS and access rules; --insecure accepts it',
  ],
  SECURITY_TOKEN: ['the token is too short to be random', 'let waggle hash-token make one'],
  STATE_ETAG: [
    'the resource has changed since you read it',
    'read it again, look whether your change still makes sense, and repeat it with the new etag',
  ],
  STATE_EXISTS: [
    'the name, or the address, port and protocol, is taken',
    'choose another, or change what is there: waggle set',
  ],
  STATE_FIELDS: ['fields break their rules; the message names each with its value', 'correct them'],
  STATE_IMMUTABLE: [
    'the field is set once, when the resource is made',
    'delete the resource and make it anew',
  ],
  STATE_IN_USE: [
    'something else needs the resource',
    'change that first; delete pool --force takes VIPs and backends along',
  ],
  STATE_LIMIT: ['there can be no more of these', 'delete what is not needed, or start with a larger limit'],
  STATE_NOT_FOUND: ['there is no resource of this name', 'waggle get KIND lists the names'],
  TUNNEL_FULL: [
    'as many backends are probed through the tunnel as there are marks for',
    'probe some of them directly: --via direct',
  ],
  WATCH_REVISION: [
    'what changed after this revision is forgotten',
    'watch from the beginning, without --after',
  ],
  WATCH_SEQUENCE: ['the event was never sent: the server was started anew', 'watch from the beginning'],
};

/** Statuses of gRPC, as refusals end with that have no code of their own. */
export const GRPC_CODES: ExplanationTable = {
  ABORTED: ['somebody else changed it in between', 'read it again and repeat'],
  ALREADY_EXISTS: [
    'the name, or the address, port and protocol, is taken',
    'choose another, or change what is there: waggle set',
  ],
  CANCELLED: ['the call was given up', 'repeat it'],
  DEADLINE_EXCEEDED: [
    'the server did not answer in time; the change was not made',
    'look at waggle status, and repeat',
  ],
  ETAG_MISMATCH: [
    'the resource has changed since you read it',
    'read it again, look whether your change still makes sense, and repeat it with the new etag',
  ],
  FAILED_PRECONDITION: ['something else must be done first; the message says what', 'do that, and repeat'],
  INTERNAL: [
    'a fault of the load balancer itself; the message has a request id',
    'look for the id in the log, and please report what stands there',
  ],
  INVALID_ARGUMENT: ['a field breaks its rule; the message names it, its value and the rule', 'correct it'],
  NOT_FOUND: ['there is no resource of this name', 'waggle get KIND lists the names'],
  OUT_OF_RANGE: ['what is asked for is behind the end, or forgotten', 'ask from the beginning'],
  PERMISSION_DENIED: ['your role may not do this', 'call as somebody with the role that the message names'],
  RESOURCE_EXHAUSTED: ['there is no room for more, or you call too often', 'the message names the limit'],
  UNAUTHENTICATED: [
    'the server does not know who calls',
    'show a certificate (--cert, --key) or a token (--token-file)',
  ],
  UNAVAILABLE: ['the server cannot do this now', 'repeat it after a moment'],
  UNIMPLEMENTED: [
    'the server, or the engine that it runs, cannot do this',
    'see waggle get node for version and engine',
  ],
};
