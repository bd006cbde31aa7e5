import type { Command } from 'commander';
import type { UpdateGlobalFlowsResponse__Output } from '../grpc/generated/waggle/v1/UpdateGlobalFlowsResponse.js';
import type { UpdateServerIdsResponse__Output } from '../grpc/generated/waggle/v1/UpdateServerIdsResponse.js';
import type { UpdateSourceRoutesResponse__Output } from '../grpc/generated/waggle/v1/UpdateSourceRoutesResponse.js';
import { wholeNumber } from './arguments.js';
import { usageError } from './faults.js';
import { parseFlowText } from './flow-text.js';
import { counted } from './format.js';
import { type ChangeOptions, dryRunOption, report } from './report.js';
import { withSession } from './session.js';

const MAX_SERVER_ID = 0xffffffff;
const serverId = wholeNumber(0, MAX_SERVER_ID);

/** @throws CliError of wrong usage */
export function parseServerId(text: string): number {
  try {
    return serverId(text);
  } catch {
    throw usageError(`server id: "${text}" is not a whole number from 0 to ${MAX_SERVER_ID}`);
  }
}

/** What stands before and behind the last "=". */
function pair(what: string, text: string): { readonly key: string; readonly backend: string } {
  const at = text.lastIndexOf('=');
  if (at <= 0 || at === text.length - 1)
    throw usageError(`${what}: "${text}" is not of the form ${what}=BACKEND-ADDRESS`);
  return { key: text.slice(0, at), backend: text.slice(at + 1) };
}

/** All of the pairs are set in one change, or none. */
export function addSetRouting(set: Command): void {
  const ids = set.command('server-id').alias('server-ids');
  ids
    .description('have packets with a server id go to a backend; all or none are set')
    .argument('<id=address...>', 'server id and address of the backend, as 17=10.0.0.11')
    .addOption(dryRunOption())
    .action((pairs: readonly string[]) => {
      const options = ids.optsWithGlobals<ChangeOptions>();
      const rows = pairs.map((text) => {
        const { key, backend } = pair('ID', text);
        return { id: parseServerId(key), backendAddress: backend };
      });
      const request = { set: rows, validateOnly: options.dryRun };
      return withSession(options, async (session) => {
        const { total } = await session.client.ask<UpdateServerIdsResponse__Output>((call, done) =>
          session.client.routing.UpdateServerIds(request, call, done),
        );
        report(session, options, { total }, `${counted(rows.length, 'server id')} set, ${total} in all`);
      });
    });

  const routes = set.command('source-route').alias('source-routes');
  routes
    .description('have new flows of clients in a prefix go to a backend; all or none are set')
    .argument('<prefix=address...>', 'prefix and address of the backend, as 192.0.2.0/24=10.0.0.11')
    .addOption(dryRunOption())
    .action((pairs: readonly string[]) => {
      const options = routes.optsWithGlobals<ChangeOptions>();
      const rows = pairs.map((text) => {
        const { key, backend } = pair('PREFIX', text);
        return { prefix: key, backendAddress: backend };
      });
      const request = { set: rows, validateOnly: options.dryRun };
      return withSession(options, async (session) => {
        const { total } = await session.client.ask<UpdateSourceRoutesResponse__Output>((call, done) =>
          session.client.routing.UpdateSourceRoutes(request, call, done),
        );
        report(session, options, { total }, `${counted(rows.length, 'source route')} set, ${total} in all`);
      });
    });

  const flows = set.command('global-flow').alias('global-flows');
  flows
    .description('make a flow from outside known, with the backend that has it')
    .argument('<flow>', "such as 'tcp 192.0.2.1:4000 -> 198.51.100.1:80'; IPv6 addresses in brackets")
    .argument('<address>', 'address of the backend')
    .addOption(dryRunOption())
    .action((text: string, backendAddress: string) => {
      const options = flows.optsWithGlobals<ChangeOptions>();
      const request = { set: [{ flow: parseFlowText(text), backendAddress }], validateOnly: options.dryRun };
      return withSession(options, async (session) => {
        const { total } = await session.client.ask<UpdateGlobalFlowsResponse__Output>((call, done) =>
          session.client.routing.UpdateGlobalFlows(request, call, done),
        );
        report(session, options, { total }, `global flow set, ${total} in all`);
      });
    });
}
