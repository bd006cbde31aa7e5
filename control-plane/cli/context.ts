import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ConnectionFlags, DEFAULT_SERVER } from './connection.js';
import {
  CONTEXT_NAME,
  CONTEXT_NAME_RULE,
  type Context,
  type Contexts,
  contextOf,
  contextsPath,
  readContexts,
  writeContexts,
} from './contexts.js';
import { usageError } from './faults.js';
import { type Column, isForPeople, type Output, structured, table, wantsColor } from './format.js';

interface ContextRow extends Context {
  readonly name: string;
  readonly isCurrent: boolean;
}

const COLUMNS: readonly Column<ContextRow>[] = [
  { title: '', value: ({ isCurrent }) => (isCurrent ? '*' : ' '), tone: () => 'good' },
  { title: 'CONTEXT', value: ({ name }) => name },
  { title: 'SERVER', value: ({ server }) => server },
  { title: 'TLS', value: ({ tls, ca, cert }) => (cert ? 'with a certificate' : tls || ca ? 'yes' : 'no') },
  { title: 'TOKEN FILE', value: ({ tokenFile }) => tokenFile ?? '' },
];

function parseName(text: string): string {
  if (!CONTEXT_NAME.test(text)) throw new InvalidArgumentError(`${text} is not ${CONTEXT_NAME_RULE}.`);
  return text;
}

function print(output: Output, value: unknown, asText: () => string): void {
  console.log(isForPeople(output) ? asText() : structured(value, output));
}

interface Kept {
  readonly path: string;
  readonly contexts: Contexts;
}
const kept = (): Kept => {
  const path = contextsPath(process.env);
  return { path, contexts: readContexts(path) };
};

function list(output: Output): void {
  const { path, contexts } = kept();
  const rows = Object.entries(contexts.contexts).map(([name, context]) => ({
    name,
    isCurrent: name === contexts.current,
    ...context,
  }));
  print(output, contexts, () =>
    rows.length === 0
      ? `no contexts in ${path}: see waggle context set --help`
      : table(COLUMNS, rows, wantsColor(process.stdout, process.env)),
  );
}

interface SetOptions extends ConnectionFlags {
  readonly use?: boolean;
}

/** Without what was not given. */
const given = (context: ConnectionFlags): Partial<Context> =>
  Object.fromEntries(
    (['server', 'tls', 'ca', 'cert', 'key', 'tokenFile', 'serverName'] as const)
      .filter((key) => context[key] !== undefined)
      .map((key) => [key, context[key]]),
  );

function set(name: string, options: SetOptions): void {
  const { path, contexts } = kept();
  const before = contexts.contexts[name];
  const changes = given(options);
  if (before === undefined && options.server === undefined)
    throw usageError(`--server: is missing: there is no context "${name}" yet`);
  if (Object.keys(changes).length === 0 && !options.use)
    throw usageError('nothing to set: give --server, --ca and the like');
  const context: Context = { server: DEFAULT_SERVER, ...before, ...changes };
  // The first one is what was meant, whatever it is called.
  const current = options.use || contexts.current === undefined ? name : contexts.current;
  writeContexts(path, { current, contexts: { ...contexts.contexts, [name]: context } });
  const isNew = before === undefined ? 'made' : 'changed';
  console.log(`context ${name} ${isNew}${current === name ? '; it is the one in use' : ''}`);
}

function use(name: string): void {
  const { path, contexts } = kept();
  const { server } = contextOf(path, contexts, name);
  writeContexts(path, { ...contexts, current: name });
  console.log(`context ${name} is in use: ${server}`);
}

function remove(name: string): void {
  const { path, contexts } = kept();
  contextOf(path, contexts, name);
  const { [name]: _, ...rest } = contexts.contexts;
  const { current } = contexts;
  writeContexts(path, { ...(current !== undefined && current !== name && { current }), contexts: rest });
  console.log(`context ${name} deleted${current === name ? '; none is in use' : ''}`);
}

function show(name: string | undefined, output: Output): void {
  const { path, contexts } = kept();
  const wanted = name ?? contexts.current;
  if (wanted === undefined) throw usageError(`context: none is in use in ${path}: give a name`);
  const shown = { name: wanted, ...contextOf(path, contexts, wanted) };
  console.log(structured(shown, isForPeople(output) ? 'yaml' : output));
}

export function addContext(program: Command): void {
  const context = program
    .command('context')
    .description('servers by name: where each is, and what to show it');
  const listed = context.command('list').description('all of them; * is the one in use');
  listed.action(() => list(listed.optsWithGlobals<{ output: Output }>().output));
  const shown = context
    .command('show')
    .description('one of them')
    .argument('[context]', 'its name; without, the one in use', parseName);
  shown.action((name: string | undefined) => show(name, shown.optsWithGlobals<{ output: Output }>().output));
  context
    .command('use')
    .description('ask this server unless another is named')
    .argument('<context>', 'its name', parseName)
    .action((name: string) => use(name));
  const setting = context.command('set');
  setting
    .description(
      'make one, or change it: with the flags that name a server, as --server, --ca, --cert, --key, --token-file',
    )
    .argument('<context>', 'its name', parseName)
    .addOption(new Option('--use', 'and use it from now on'))
    .action((name: string) => set(name, setting.optsWithGlobals<SetOptions>()));
  context
    .command('delete')
    .description('forget one')
    .argument('<context>', 'its name', parseName)
    .action((name: string) => remove(name));
}
