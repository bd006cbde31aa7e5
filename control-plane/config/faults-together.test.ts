import { describe, expect, it } from 'vitest';
import { faultsOf } from '../../test/support/config-faults.js';

describe('all that is wrong is said at once', () => {
  it('in the order of the file', () => {
    const text =
      'workers: 0\nvips:\n  - { address: fc00::1, protocol: tcp, pool: wob }\nnode: { routerMac: 1 }\n';
    expect(faultsOf(text).map((line) => line.split(' ')[1])).toEqual(['1:10:', '3:46:', '4:20:']);
  });

  it.each([
    [
      'a VIP that is not sound in itself, and what it refers to',
      `pools:
  - { name: six, backends: [10.0.0.1, fc00::5] }
vips:
  - { name: a, address: 10.200.1.300, port: 70000, protocol: tcp, pool: wob, flags: [QUICK, QUIC] }
  - { name: a, address: fc00::1, protocol: sctp, pool: six, downBackends: [x, 10.0.0.1, 10.0.0.1] }
  - { name: A, address: fc00::2, protocol: udp, backends: [10.0.0.1, nobody, 10.0.0.2, 10.0.0.1] }
`,
      [
        '4:25 vips[0].address',
        '4:45 vips[0].port',
        '4:73 vips[0].pool',
        '4:86 vips[0].flags[0]',
        '4:93 vips[0].flags[1]',
        '5:13 vips[1].name',
        '5:44 vips[1].protocol',
        '5:56 vips[1].pool',
        '5:76 vips[1].downBackends[0]',
        '5:89 vips[1].downBackends[2]',
        '6:13 vips[2].name',
        '6:60 vips[2].backends[0]',
        '6:70 vips[2].backends[1]',
        '6:78 vips[2].backends[2]',
        '6:88 vips[2].backends[3]',
        '6:88 vips[2].backends[3]',
      ],
    ],
    [
      'options of a node one of which is not sound',
      'node: { options: { quicRouting: false, sourceRouting: maybe, colour: 1 }, limits: { serverIds: 1, connections: 0 } }\nserverIds: { 1: 10.0.0.1, 2: 10.0.0.2 }\nvips: [{ address: 10.9.9.9, protocol: udp, backends: [], flags: QUIC }]\n',
      [
        '1:33 node.options.quicRouting',
        '1:55 node.options.sourceRouting',
        '1:62 node.options.colour',
        '1:96 node.limits.serverIds',
        '1:112 node.limits.connections',
      ],
    ],
    [
      'routes and flows of which one end is not sound',
      'serverIds: [{ id: 5, backend: x }, { id: 5, backend: 10.0.0.1 }]\nsourceRoutes: [{ prefix: 10.0.0.0/8, backend: y }, { prefix: 10.0.0.0/8, backend: 10.0.0.1 }]\nglobalFlows: [{ protocol: tcp, source: "10.0.0.1:1", destination: "[fc00::1]:2", backend: z }]\n',
      [
        '1:31 serverIds[0].backend',
        '1:36 serverIds[1]',
        '2:47 sourceRoutes[0].backend',
        '2:52 sourceRoutes[1]',
        '3:67 globalFlows[0].destination',
        '3:91 globalFlows[0].backend',
      ],
    ],
  ])('%s', (_, text, places) => {
    const shown = faultsOf(text).map((line) => /^\w+ ([\d:]+): ([^:]+)/.exec(line)?.slice(1).join(' '));
    expect(shown).toEqual(places);
  });
});
