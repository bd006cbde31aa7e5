import { type Command, Option } from 'commander';
import type { NodeConfig, NodeConfig__Output } from '../grpc/generated/waggle/v1/NodeConfig.js';
import { several, vipName } from './arguments.js';
import { asList, asText, checkAny, type Field, field, flagsOf, readFields, setOptions } from './fields.js';
import { OPTION_NAMES, parseOptions } from './node-options.js';
import { type ChangeOptions, dryRunOption, etagOption, report } from './report.js';
import { withSession } from './session.js';

/** ADDRESS, or ADDRESS/egress. */
const destination = (text: string) => ({
  address: text.replace(/\/egress$/, ''),
  egress: text.endsWith('/egress'),
});

const NODE_FIELDS: readonly Field<Partial<NodeConfig>>[] = [
  field({
    flags: '--router-mac <address>',
    says: "next hop of backends that have none of their own; '' finds each one's",
    path: 'router_mac_address',
    parse: asText,
    put: (routerMacAddress) => ({ routerMacAddress }),
  }),
  field<readonly string[], Partial<NodeConfig>>({
    flags: '--own-addresses <list>',
    says: "sources of GUE, and where tunnels for this node end; '' for none",
    path: 'own_addresses',
    parse: asList,
    put: (addresses) => ({ ownAddresses: [...addresses] }),
  }),
  field<readonly string[], Partial<NodeConfig>>({
    flags: '--decap-destinations <list>',
    says: "addresses whose tunnel packets are taken apart, ADDRESS or ADDRESS/egress; '' for none",
    path: 'decap_destinations',
    parse: asList,
    put: (texts) => ({ decapDestinations: texts.map(destination) }),
  }),
  field({
    flags: '--counted-vip <vip>',
    says: "VIP whose new connections are counted by backend; '' for none",
    path: 'counted_vip',
    parse: (text: string) => (text === '' ? '' : vipName(text)),
    put: (countedVip) => ({ countedVip }),
  }),
];

export function addSetNode(set: Command): void {
  const command = set
    .command('node')
    .description(
      'change what the node has of its own, and which parts of the program are on; no packet is lost',
    );
  setOptions(command, NODE_FIELDS)
    .addOption(
      new Option(
        '--option <name=value>',
        `a part of the program, on, off or default; may be given several times (${OPTION_NAMES.join(', ')})`,
      ).argParser(several),
    )
    .addOption(etagOption())
    .addOption(dryRunOption())
    .action(() => {
      const options = command.optsWithGlobals<ChangeOptions & { option?: readonly string[] }>();
      const { resource, paths } = readFields<NodeConfig>(NODE_FIELDS, options);
      const parts = parseOptions(options.option ?? []);
      const mask = [...paths, ...parts.paths];
      checkAny([...flagsOf(NODE_FIELDS), '--option'], mask);
      const request = {
        config: {
          ...resource,
          name: 'nodes/self',
          options: parts.options,
          ...(options.etag !== undefined && { etag: options.etag }),
        },
        updateMask: { paths: mask },
        validateOnly: options.dryRun,
      };
      return withSession(options, async (session) => {
        const config = await session.client.ask<NodeConfig__Output>((call, done) =>
          session.client.nodes.UpdateNodeConfig(request, call, done),
        );
        report(session, options, config, 'node set');
      });
    });
}
