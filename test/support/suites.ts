import { filesOf, importersOf } from './import-graph.js';

/** Tests of these live on real links, sockets and processes, but for those of CALM. */
const LIVE_FOLDERS =
  /^(lb\/[^/]+|lb\/(engine|io|sys|worker)\/.*|test\/(companions|crash|docs|e2e|health|security)\/.*|demo\/.*)\.test\.ts$/;

/** Tests in folders of live ones that touch no link, namespace, process or thread. */
export const CALM: readonly string[] = [
  'lb/simulate-flow.test.ts',
  'lb/engine/mirrored-map.test.ts',
  'lb/engine/replay-spread.test.ts',
  'lb/engine/replay.test.ts',
  'lb/engine/undo.test.ts',
  'lb/io/af-packet.test.ts',
  'lb/io/cpu-facts.test.ts',
  'lb/sys/mapped-array.test.ts',
  'lb/worker/counters.test.ts',
  'lb/worker/inbox.test.ts',
  'lb/worker/pump-checksum.test.ts',
  'lb/worker/pump.test.ts',
  'lb/worker/redirect.test.ts',
  'lb/worker/xsk-pump.test.ts',
  'test/companions/decap.test.ts',
  'test/companions/healthcheck-tunnel.test.ts',
  'test/companions/healthcheck.test.ts',
  'test/companions/root.test.ts',
  'test/companions/source-match.test.ts',
  'test/companions/verify.test.ts',
  'test/health/monitor.test.ts',
  'test/health/pool-health.test.ts',
  'test/health/schedule.test.ts',
  'test/health/validate.test.ts',
  'test/health/verdict.test.ts',
];

/** Folders that have tests. */
const FOLDERS = ['lb', 'control-plane', 'programs', 'bench', 'test', 'demo'];
const FILES = FOLDERS.flatMap(filesOf);

/** All tests, by path. */
export const TESTS: readonly string[] = FILES.filter((file) => file.endsWith('.test.ts'));

/** What a test's datapath stands on; it runs over an arena, or over the kernel's maps where WAGGLE_TEST_DATAPATH says so. */
export const DATAPATH = 'test/support/datapath-engine.ts';

/** Tests of the control plane over a datapath: whoever comes to have one is among them. They run on both engines. */
export const OVER_DATAPATH: readonly string[] = importersOf([DATAPATH], FILES).filter((file) =>
  TESTS.includes(file),
);

/** Tests of real sockets, links and processes. */
export const LIVE: readonly string[] = TESTS.filter(
  (file) => LIVE_FOLDERS.test(file) && !CALM.includes(file) && !OVER_DATAPATH.includes(file),
);
