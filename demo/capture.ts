import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildRing } from '../control-plane/maglev/ring.js';
import { BALANCER_PROGRAM, balancerObject } from '../lb/balancer/object.js';
import { BalancerTables } from '../lb/balancer/tables.js';
import { VERDICT_NAMES, XDP_TX } from '../lb/bpf/engine/context.js';
import { Replay } from '../lb/engine/replay.js';
import { formatIp, ipFromBytes, parseIp, parseMac } from '../lb/net/address.js';
import { type FrameToWrite, writePcapng } from '../lb/net/pcap.js';
import { flowOf, TCP_ACK, TCP_SYN, tcpFrame } from './frames.js';
import { bold, dim, green, red } from './view.js';

const VIP = parseIp('192.0.2.80');
const PORT = 80;
const VIP_NUMBER = 0;
const RING = 0;
const FLOWS_A_PHASE = 4000;
const CONNECTIONS = 65_536;
const NS_A_FRAME = 1000n;
/** Of the outer IPv4 header: destination address, past the Ethernet header. */
const OUTER_DESTINATION = 14 + 16;

interface Backend {
  readonly name: string;
  readonly index: number;
  readonly address: string;
  weight: number;
}

/** Runs generated traffic through the balancer's own object, compiled, in this process. */
class CaptureRun {
  readonly #replay = new Replay({ object: balancerObject(), program: BALANCER_PROGRAM, engine: 'jit' });
  readonly #tables = new BalancerTables(this.#replay.maps);
  readonly #written: { input: FrameToWrite[]; output: FrameToWrite[] } = { input: [], output: [] };
  /** Backend that each flow went to first. */
  readonly #home = new Map<number, string>();
  readonly #backends: Backend[] = [];
  #ring: Uint32Array = new Uint32Array();
  #clockNs = 1n;
  #flows = 0;
  moved = 0;
  unsent = 0;

  constructor() {
    this.#tables.attachConnectionTables(this.#replay.host, 1, CONNECTIONS);
    this.#tables.setRouterMac(parseMac('02:00:00:00:00:fe'));
    this.#tables.putVip({ address: VIP, port: PORT, protocol: 'tcp' }, { flags: 0, number: VIP_NUMBER });
    this.#tables.putVipRing(VIP_NUMBER, RING);
  }

  add(name: string, address: string): void {
    const backend = { name, address, index: this.#backends.length + 1, weight: 1 };
    this.#backends.push(backend);
    this.#tables.putReal(backend.index, parseIp(address));
    this.#writeRing();
  }

  weigh(name: string, weight: number): void {
    for (const backend of this.#backends) if (backend.name === name) backend.weight = weight;
    this.#writeRing();
  }

  /** Every flow so far sends one more segment, then new ones begin; shows where the new ones went. */
  phase(): void {
    for (let i = 0; i < this.#flows; i++) this.#send(i, TCP_ACK, 'GET / HTTP/1.1\r\n\r\n');
    const counts = new Map<string, number>();
    for (const end = this.#flows + FLOWS_A_PHASE; this.#flows < end; this.#flows++) {
      const name = this.#send(this.#flows, TCP_SYN, '');
      if (name) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const shares = this.#backends.map(
      ({ name }) => `${name} ${(((counts.get(name) ?? 0) / FLOWS_A_PHASE) * 100).toFixed(1)} %`,
    );
    console.log(
      `  ${FLOWS_A_PHASE} new connections: ${shares.join('  ')}   ${dim(`${this.moved} of the older ones moved`)}`,
    );
  }

  get served(): boolean {
    return this.#backends.every(({ name }) => [...this.#home.values()].includes(name));
  }

  /** Write both captures; gives their paths. */
  save(): { input: string; output: string } {
    const folder = mkdtempSync(join(tmpdir(), 'waggle-demo-'));
    const paths = { input: join(folder, 'in.pcapng'), output: join(folder, 'out.pcapng') };
    writeFileSync(paths.input, writePcapng(this.#written.input));
    writeFileSync(paths.output, writePcapng(this.#written.output));
    return paths;
  }

  #writeRing(): void {
    const next = buildRing(
      this.#backends.map(({ index, address, weight }) => ({
        index,
        weight,
        address: parseIp(address).bytes,
      })),
    );
    this.#tables.putRing(RING, next, this.#ring.length > 0 ? this.#ring : undefined);
    this.#ring = next;
  }

  #send(flow: number, flags: number, payload: string): string | undefined {
    const frame = tcpFrame(flowOf(flow, VIP, PORT), flags, payload);
    this.#clockNs += NS_A_FRAME;
    this.#written.input.push({ timestampNs: this.#clockNs, bytes: frame });
    const result = this.#replay.run(frame, this.#clockNs);
    const name = this.#backendOf(result.verdict, result.frame);
    const comment = `${VERDICT_NAMES[result.verdict] ?? result.verdict}${name ? ` to ${name}` : ''}`;
    this.#written.output.push({ timestampNs: this.#clockNs, bytes: result.frame, comment });
    if (!name) {
      this.unsent += 1;
      return undefined;
    }
    const home = this.#home.get(flow);
    if (home === undefined) this.#home.set(flow, name);
    else if (home !== name) this.moved += 1;
    return name;
  }

  #backendOf(verdict: number, frame: Uint8Array): string | undefined {
    if (verdict !== XDP_TX) return undefined;
    const outer = formatIp(ipFromBytes(frame.subarray(OUTER_DESTINATION, OUTER_DESTINATION + 4)));
    return this.#backends.find(({ address }) => address === outer)?.name;
  }
}

/**
 * The demo without a network: the balancer's object over generated traffic, while the backends change.
 * @returns true when every packet was forwarded, no connection moved and every backend served
 */
export function captureDemo(): boolean {
  const run = new CaptureRun();
  const step = (title: string, change: () => void) => {
    console.log(bold(title));
    change();
    run.phase();
  };
  step('Three backends of equal weight', () => {
    run.add('a', '10.77.0.11');
    run.add('b', '10.77.0.12');
    run.add('c', '10.77.0.13');
  });
  step('A fourth joins', () => run.add('d', '10.77.0.14'));
  step('a takes twice the share', () => run.weigh('a', 2));
  step('b is drained', () => run.weigh('b', 0));
  const { input, output } = run.save();
  console.log(
    `\nCaptures of what went in and what came out, verdicts as comments (tcpdump -r, Wireshark):\n  ${input}\n  ${output}`,
  );
  const passed = run.moved === 0 && run.unsent === 0 && run.served;
  console.log(
    passed
      ? green('Every packet was forwarded, no connection moved, every backend served.')
      : red(
          `${run.unsent} packets not forwarded, ${run.moved} sent to another backend than the connection's first.`,
        ),
  );
  return passed;
}
