import { type Appliance, built, Appliance as Lb, startDecap } from './appliance.js';
import type { BackendReport } from './backend-server.js';
import { readJsonLines, tailOfErrors } from './lines.js';
import type { LoadResult, LoadSample } from './load.js';
import { type HostSpec, Topology } from './topology.js';
import { bold, dim, green, LiveView, red } from './view.js';

const VIP = '192.0.2.80';
const PORT = 80;
const POOL = 'web';
const CONNECTIONS = 40;
const REQUESTS_A_CONNECTION = 20;
/** Room for the outer header on the links that carry it. */
const CLIENT_MTU = 1500;
const FABRIC_MTU = 1600;

const LB_NUMBER = 2;
const BACKENDS = [
  { name: 'a', number: 11 },
  { name: 'b', number: 12 },
  { name: 'c', number: 13 },
  { name: 'd', number: 14 },
] as const;

const HOSTS: readonly HostSpec[] = [
  { name: 'client', number: 1, mtu: CLIENT_MTU, routes: { [`${VIP}/32`]: LB_NUMBER } },
  { name: 'lb', number: LB_NUMBER, mtu: FABRIC_MTU },
  ...BACKENDS.map(({ name, number }) => ({ name, number, mtu: FABRIC_MTU, loopback: [VIP] })),
];

interface Step {
  readonly second: number;
  readonly why: string;
  readonly command: readonly string[];
}

export interface NetworkDemoOptions {
  readonly seconds: number;
  readonly keep: boolean;
  readonly signal: AbortSignal;
}

/** Commands at their time in the run, spread over its length. */
function script(seconds: number, addressOf: (name: string) => string): readonly Step[] {
  const at = (share: number) => Math.round(seconds * share);
  return [
    {
      second: at(0.15),
      why: 'a fourth backend joins',
      command: ['create', 'backend', `${POOL}/d`, '--address', addressOf('d')],
    },
    { second: at(0.35), why: 'a takes twice the share', command: ['weight', `${POOL}/a`, '2'] },
    { second: at(0.55), why: 'b takes no new connections', command: ['drain', 'backend', `${POOL}/b`] },
    {
      second: at(0.75),
      why: 'a worker thread is killed; the pool replaces it',
      command: ['restart', 'worker', '1'],
    },
  ];
}

async function runCommand(
  lb: Appliance,
  view: LiveView,
  command: readonly string[],
  why: string,
): Promise<void> {
  view.say(`${bold(`$ waggle ${command.join(' ')}`)}  ${dim(`# ${why}`)}`);
  const output = (await lb.must(...command)).trim();
  if (output) view.say(output);
}

/** Start the backends' servers and their decapsulation; their reports go to the view. */
async function startBackends(topology: Topology, view: LiveView): Promise<void> {
  await Promise.all(
    BACKENDS.map(async ({ name }) => {
      await startDecap(topology, name);
      const server = topology.spawn(
        name,
        [process.execPath, built('demo/backend-server.js'), name, String(PORT)],
        {
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      const errors = tailOfErrors(server);
      await new Promise<void>((resolve, reject) => {
        readJsonLines<BackendReport>(
          server,
          (report) => {
            view.report(report);
            resolve();
          },
          (text) => view.say(text),
        );
        server.once('exit', (status) =>
          reject(new Error(`server ${name} ended with status ${status}: ${errors()}`)),
        );
      });
    }),
  );
}

/** Drive the load, running each step at its second; gives the result of the whole run. */
function drive(
  topology: Topology,
  lb: Appliance,
  view: LiveView,
  options: NetworkDemoOptions,
): Promise<LoadResult> {
  const steps = [...script(options.seconds, (name) => topology.host(name).address4)];
  const load = topology.spawn(
    'client',
    [
      process.execPath,
      built('demo/load.js'),
      `http://${VIP}:${PORT}/`,
      ...[options.seconds, CONNECTIONS, REQUESTS_A_CONNECTION].map(String),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const errors = tailOfErrors(load);
  return new Promise((resolve, reject) => {
    let running: Promise<void> = Promise.resolve();
    let result: LoadResult | undefined;
    options.signal.addEventListener('abort', () => reject(options.signal.reason), { once: true });
    readJsonLines<LoadSample | LoadResult>(
      load,
      (sample) => {
        if ('done' in sample) {
          result = sample;
          return;
        }
        view.show(sample);
        while (steps[0] && sample.seconds >= steps[0].second) {
          const step = steps.shift()!;
          running = running.then(() => runCommand(lb, view, step.command, step.why));
          running.catch(reject);
        }
      },
      (text) => view.say(text),
    );
    load.once('close', (status) => {
      running.then(() => {
        if (result) resolve(result);
        else reject(new Error(`the load generator ended with status ${status}: ${errors()}`));
      }, reject);
    });
  });
}

async function summary(lb: Appliance, result: LoadResult): Promise<boolean> {
  const unserved = BACKENDS.filter(({ name }) => !result.byBackend[name]);
  console.log(`\n${bold('Summary')}`);
  console.log((await lb.must('status')).trimEnd());
  console.log('');
  console.log(
    `${result.requests.toLocaleString('en-US')} requests in ${result.seconds.toFixed(0)} s, ${Math.round(result.requestsPerSecond).toLocaleString('en-US')} a second, ` +
      `latency p50 ${result.latencyMs.p50} ms, p99 ${result.latencyMs.p99} ms, max ${result.latencyMs.max} ms`,
  );
  const served = BACKENDS.map(
    ({ name }) => `${name} ${(result.byBackend[name] ?? 0).toLocaleString('en-US')}`,
  );
  console.log(`${served.join(', ')} requests by backend`);
  for (const [kind, times] of Object.entries(result.faults)) console.log(red(`${times} × ${kind}`));
  for (const { name } of unserved) console.log(red(`backend ${name} served nothing`));
  const passed = result.failed === 0 && result.requests > 0 && unserved.length === 0;
  console.log(
    passed
      ? green(
          '0 failed requests while adding, re-weighting, draining and losing a worker; every backend served.',
        )
      : red(`${result.failed} failed requests`),
  );
  return passed;
}

function invite(topology: Topology, lb: Appliance): void {
  const waggle = `waggle --server ${lb.server}`;
  console.log(`
The topology stays up. Try, in another terminal (waggle = npx waggle, from this folder):
  ${waggle} status
  ${waggle} get backends
  ${waggle} weight ${POOL}/c 5
  ${waggle} undrain backend ${POOL}/b
  ${topology.commandOn('client', ['curl', '-s', `http://${VIP}/`]).join(' ')}
  ${topology.commandOn('lb', ['tcpdump', '-ni', 'eth0', '-c', '10']).join(' ')}
Ctrl-C ends it and removes everything.`);
}

/**
 * The demo with real traffic: network namespaces, HTTP servers behind IPIP, a client that drives
 * requests while the configuration changes.
 * @returns true when no request failed and every backend served
 */
export async function networkDemo(options: NetworkDemoOptions): Promise<boolean> {
  console.log(
    `A client, a load balancer with 2 workers and ${BACKENDS.length} backends, each in a network namespace of its own.`,
  );
  const topology = new Topology(`waggle-demo-${process.pid}`, HOSTS);
  const emergency = () => topology.close();
  process.once('exit', emergency);
  const view = new LiveView(BACKENDS.map(({ name }) => name));
  let lb: Appliance | undefined;
  try {
    lb = await Lb.start(topology, 'lb', { workers: 2 });
    await startBackends(topology, view);
    await runCommand(lb, view, ['create', 'pool', POOL], 'backends that serve the same thing');
    for (const { name } of BACKENDS.slice(0, 3)) {
      await runCommand(
        lb,
        view,
        ['create', 'backend', `${POOL}/${name}`, '--address', topology.host(name).address4],
        'a real server',
      );
    }
    const flags = ['--address', VIP, '--port', String(PORT), '--protocol', 'tcp', '--pool', POOL];
    await runCommand(lb, view, ['create', 'vip', 'web', ...flags], 'the address that clients use');
    const result = await drive(topology, lb, view, options);
    view.finish();
    const passed = await summary(lb, result);
    if (options.keep) {
      invite(topology, lb);
      await new Promise<void>((resolve) =>
        options.signal.addEventListener('abort', () => resolve(), { once: true }),
      );
    }
    return passed;
  } catch (error) {
    if (lb && !options.signal.aborted)
      console.error(`${dim('last words of the load balancer:')}\n${lb.log()}`);
    throw error;
  } finally {
    view.finish();
    await lb?.stop();
    await topology.stop();
    process.off('exit', emergency);
  }
}
