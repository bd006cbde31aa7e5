import { type Command, Option } from 'commander';
import type { BpfData__Output } from '../../grpc/generated/waggle/v1/BpfData.js';
import type { BpfMap__Output } from '../../grpc/generated/waggle/v1/BpfMap.js';
import type { BpfMapEntry__Output } from '../../grpc/generated/waggle/v1/BpfMapEntry.js';
import type { ListBpfMapEntriesResponse__Output } from '../../grpc/generated/waggle/v1/ListBpfMapEntriesResponse.js';
import type { ListBpfMapsResponse__Output } from '../../grpc/generated/waggle/v1/ListBpfMapsResponse.js';
import { allPages } from '../client.js';
import { usageError } from '../faults.js';
import { bytes, type Column, count, table } from '../format.js';
import { type GlobalOptions, type Session, withSession } from '../session.js';

const PAGE_SIZE = 1000;
const PREFIX = 'maps/';
const shortName = (name: string) => name.replace(PREFIX, '');

const MAP_COLUMNS: readonly Column<BpfMap__Output>[] = [
  { title: 'NAME', value: ({ name }) => shortName(name) },
  { title: 'ID', value: ({ id }) => `${id}`, align: 'right' },
  { title: 'TYPE', value: ({ type }) => type },
  { title: 'KEY', value: ({ keyType, keySize }) => keyType || `${keySize} bytes` },
  { title: 'VALUE', value: ({ valueType, valueSize }) => valueType || `${valueSize} bytes` },
  { title: 'CPUS', value: ({ cpus }) => `${cpus}`, align: 'right' },
  { title: 'ENTRIES', value: ({ maxEntries }) => count(maxEntries), align: 'right' },
  { title: 'MEMORY', value: ({ memoryBytes }) => bytes(memoryBytes), align: 'right' },
];

/** JSON where the map's types are known, else the bytes. */
const textOf = (data: BpfData__Output | null): string =>
  data === null ? '' : data.json || `0x${Buffer.from(data.raw).toString('hex')}`;

const ENTRY_COLUMNS: readonly Column<BpfMapEntry__Output>[] = [
  { title: 'KEY', value: ({ key }) => textOf(key) },
  { title: 'VALUE', value: ({ value }) => textOf(value) },
];

/** A key or value as the user writes it: bytes in the order of memory behind 0x, or JSON, or the name of an enum. */
export function parseData(what: string, text: string): { raw: Buffer; json: string } {
  if (/^0x/i.test(text)) {
    const digits = text.slice(2);
    if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits))
      throw usageError(`${what}: "${text}" is not an even number of hexadecimal digits behind 0x`);
    return { raw: Buffer.from(digits, 'hex'), json: '' };
  }
  try {
    JSON.parse(text);
    return { raw: Buffer.alloc(0), json: text };
  } catch {
    if (/^[{["]/.test(text)) throw usageError(`${what}: ${text} is not JSON`);
    return { raw: Buffer.alloc(0), json: JSON.stringify(text) };
  }
}

/** What `-o json` shows of an entry: values as data, not as text with data in it. */
const plainEntry = ({ key, value }: BpfMapEntry__Output) => {
  const plain = (data: BpfData__Output | null): unknown =>
    data === null || data.json === '' ? textOf(data) : JSON.parse(data.json);
  return { key: plain(key), value: plain(value) };
};

function printEntries(session: Session, entries: readonly BpfMapEntry__Output[]): void {
  session.print(entries.map(plainEntry), () => table(ENTRY_COLUMNS, entries, session.isColored));
}

function printEntry(session: Session, entry: BpfMapEntry__Output): void {
  session.print(plainEntry(entry), () => table(ENTRY_COLUMNS, [entry], session.isColored));
}

async function listMaps(session: Session): Promise<void> {
  const { client } = session;
  const { maps } = await client.ask<ListBpfMapsResponse__Output>((options, done) =>
    client.bpf.ListBpfMaps({}, options, done),
  );
  session.print(maps, () => table(MAP_COLUMNS, maps, session.isColored));
}

async function dumpMap(session: Session, name: string): Promise<void> {
  const { client } = session;
  const map = `${PREFIX}${name}`;
  const entries = await allPages(
    (pageToken) =>
      client.ask<ListBpfMapEntriesResponse__Output>((options, done) =>
        client.bpf.ListBpfMapEntries({ map, pageSize: PAGE_SIZE, pageToken }, options, done),
      ),
    (page) => page.entries,
  );
  printEntries(session, entries);
}

async function getEntry(session: Session, name: string, key: string): Promise<void> {
  const { client } = session;
  const entry = await client.ask<BpfMapEntry__Output>((options, done) =>
    client.bpf.GetBpfMapEntry({ map: `${PREFIX}${name}`, key: parseData('key', key) }, options, done),
  );
  printEntry(session, entry);
}

const CONDITIONS = { absent: 'CONDITION_ABSENT', present: 'CONDITION_PRESENT' } as const;

interface SetOptions extends GlobalOptions {
  readonly if?: keyof typeof CONDITIONS;
}

async function setEntry(
  session: Session,
  name: string,
  key: string,
  value: string,
  options: SetOptions,
): Promise<void> {
  const { client } = session;
  const request = {
    map: `${PREFIX}${name}`,
    key: parseData('key', key),
    value: parseData('value', value),
    condition: options.if === undefined ? 'CONDITION_UNSPECIFIED' : CONDITIONS[options.if],
  } as const;
  const entry = await client.ask<BpfMapEntry__Output>((call, done) =>
    client.bpf.SetBpfMapEntry(request, call, done),
  );
  printEntry(session, entry);
}

async function deleteEntry(session: Session, name: string, key: string): Promise<void> {
  const { client } = session;
  await client.ask<object>((options, done) =>
    client.bpf.DeleteBpfMapEntry({ map: `${PREFIX}${name}`, key: parseData('key', key) }, options, done),
  );
  session.print({ deleted: name }, () => `${name}: entry deleted`);
}

const KEY_HELP = 'JSON by the map’s type, or bytes in the order of memory behind 0x';

export function addMaps(bpf: Command): void {
  bpf
    .command('maps')
    .description('list the maps of a running load balancer')
    .action((_: unknown, command: Command) =>
      withSession(command.optsWithGlobals<GlobalOptions>(), (session) => listMaps(session)),
    );
  const map = bpf.command('map').description('look into one map of a running load balancer, or change it');
  map
    .command('dump')
    .description('show all entries')
    .argument('<map>', 'map')
    .action((name: string, _: unknown, command: Command) =>
      withSession(command.optsWithGlobals<GlobalOptions>(), (session) => dumpMap(session, name)),
    );
  map
    .command('get')
    .description('show one entry')
    .argument('<map>', 'map')
    .argument('<key>', KEY_HELP)
    .action((name: string, key: string, _: unknown, command: Command) =>
      withSession(command.optsWithGlobals<GlobalOptions>(), (session) => getEntry(session, name, key)),
    );
  map
    .command('set')
    .description(
      'write one entry; programs see it at once, the next change of the configuration may write over it',
    )
    .argument('<map>', 'map')
    .argument('<key>', KEY_HELP)
    .argument('<value>', 'as the key; of a map with a copy for each CPU a list of values')
    .addOption(new Option('--if <state>', 'only when the key is so').choices(Object.keys(CONDITIONS)))
    .action((name: string, key: string, value: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<SetOptions>();
      return withSession(options, (session) => setEntry(session, name, key, value, options));
    });
  map
    .command('delete')
    .description('remove one entry')
    .argument('<map>', 'map')
    .argument('<key>', KEY_HELP)
    .action((name: string, key: string, _: unknown, command: Command) =>
      withSession(command.optsWithGlobals<GlobalOptions>(), (session) => deleteEntry(session, name, key)),
    );
}
