import {
  Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from 'yaml';
import {
  ConfigError,
  type ConfigFault,
  type ConfigFaultCode,
  type ConfigPath,
  formatPath,
  formatValue,
} from './faults.js';

/** Anchors may be used this often: files that grow without bound are refused. */
const MAX_ALIASES = 1000;
/** Aliases of aliases come to the top of the tree after so many steps, or never. */
const MAX_ALIAS_DEPTH = 100;

interface Position {
  readonly line: number;
  readonly column: number;
}

/** Takes note of what is wrong with a file. */
export type FaultNotes = Pick<ConfigSource, 'fail' | 'spell'>;

/** A YAML file as plain data, and where in the text each part of it stands. */
export class ConfigSource {
  readonly fileName: string;
  /** Maps without the keys that have no value. */
  readonly data: unknown;
  readonly #document: Document;
  readonly #lines = new LineCounter();
  readonly #faults: ConfigFault[] = [];
  /** Keys as they are written, by the path that is spoken of (JSON). */
  readonly #spellings = new Map<string, string>();

  /** @throws ConfigError CONFIG_SYNTAX for text that is not YAML */
  constructor(text: string, fileName: string) {
    this.fileName = fileName;
    this.#document = this.#parse(text);
    const { errors, warnings } = this.#document;
    for (const { message, pos } of [...errors, ...warnings]) this.#syntax(message, pos[0]);
    this.done();
    this.#checkKeys(this.#document.contents);
    this.done();
    this.data = this.#read();
    this.done();
  }

  /** Whether anything was wrong so far. */
  get isSound(): boolean {
    return this.#faults.length === 0;
  }

  /** The last key of a path is written otherwise in the file. */
  spell(path: ConfigPath, written: string): void {
    this.#spellings.set(JSON.stringify(path), written);
  }

  /** Whether there is anything at a path, sound or not. */
  has(path: ConfigPath): boolean {
    return this.valueOf(path) !== undefined;
  }

  /** What stands at a path, as it was read; undefined for nothing. */
  valueOf(path: ConfigPath): unknown {
    let value = this.data;
    for (const part of this.#written(path)) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
      value = (value as Readonly<Record<string | number, unknown>>)[part];
    }
    return value;
  }

  /** Whether the map at a path has a name of the API's form, with its collection. */
  isNamed(path: ConfigPath, collection: string): boolean {
    const name = this.valueOf([...path, 'name']);
    return typeof name === 'string' && name.startsWith(collection);
  }

  /** Note a second one of what is to be there once. @param seen where each stands */
  once(seen: Map<string, ConfigPath>, key: string, path: ConfigPath, value: unknown): void {
    const other = seen.get(key);
    if (other === undefined) seen.set(key, path);
    else this.fail('CONFIG_DUPLICATE', path, value, `is there already, on ${this.lineOf(other)}`);
  }

  /** Note that the value at a path breaks a rule. */
  fail(code: ConfigFaultCode, path: ConfigPath, value: unknown, rule: string): void {
    const written = this.#written(path);
    const at = code === 'CONFIG_UNKNOWN_KEY' ? this.#keyAt(written) : this.#valueAt(written);
    this.#faults.push({ code, ...at, path: formatPath(written), value: formatValue(value), rule });
  }

  /** Takes note of faults within a part of the file that has one place alone. */
  at(place: ConfigPath): FaultNotes {
    return {
      fail: (code, _, value, rule) => this.fail(code, place, value, rule),
      spell: () => {},
    };
  }

  /** @throws ConfigError when anything was wrong */
  done(): void {
    if (this.#faults.length === 0) return;
    const inOrder = [...this.#faults].sort((a, b) => a.line - b.line || a.column - b.column);
    throw new ConfigError(this.fileName, inOrder);
  }

  /** `line 12` of what stands at a path, for messages that name a second place. */
  lineOf(path: ConfigPath): string {
    return `line ${this.#valueAt(this.#written(path)).line}`;
  }

  #written(path: ConfigPath): ConfigPath {
    if (this.#spellings.size === 0) return path;
    return path.map((part, i) => this.#spellings.get(JSON.stringify(path.slice(0, i + 1))) ?? part);
  }

  #parse(text: string): Document {
    try {
      return parseDocument(text, {
        lineCounter: this.#lines,
        merge: true,
        // YAML 1.1 takes 10:20:30 for a number, which a MAC address may look like.
        version: '1.2',
        prettyErrors: false,
        // Checked here (checkKeys): the library's check takes the square of a map's size.
        uniqueKeys: false,
      });
    } catch (error) {
      this.#syntax(reasonOf(error), 0);
      return new Document();
    }
  }

  /** Each key of a map is a word or number, and there once. */
  #checkKeys(root: unknown): void {
    const open: unknown[] = [root];
    while (open.length > 0) {
      const node = open.pop();
      if (isSeq(node)) open.push(...node.items.toReversed().filter(isNode));
      if (!isMap(node)) continue;
      const seen = new Map<string, Node>();
      for (const { key, value } of node.items) {
        open.push(value);
        if (!isScalar(key)) {
          this.#syntax('a key is a map or a list', isNode(key) ? (key.range?.[0] ?? 0) : 0);
          continue;
        }
        const name = String(key.value);
        const first = seen.get(name);
        if (first === undefined) {
          seen.set(name, key);
          continue;
        }
        const rule = `is there already, on line ${this.#positionOf(first).line}`;
        const at = this.#positionOf(key);
        this.#faults.push({ code: 'CONFIG_DUPLICATE', ...at, path: name, value: undefined, rule });
      }
    }
  }

  #read(): unknown {
    try {
      return withoutNulls(this.#document.toJS({ maxAliasCount: MAX_ALIASES }));
    } catch (error) {
      this.#syntax(reasonOf(error), 0);
      return undefined;
    }
  }

  #syntax(message: string, offset: number): void {
    const rule = `is not YAML: ${message.split('\n', 1)[0]}`;
    this.#faults.push({ code: 'CONFIG_SYNTAX', ...this.#position(offset), path: '', value: undefined, rule });
  }

  #position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  /** Where a value starts; its key where it has none, and what it should be in where it is not there. */
  #valueAt(path: ConfigPath): Position {
    const { key, value } = this.#find(path);
    return this.#positionOf(value ?? key);
  }

  #keyAt(path: ConfigPath): Position {
    const { key, value } = this.#find(path);
    return this.#positionOf(key ?? value);
  }

  #positionOf(node: Node | undefined): Position {
    return this.#position(node?.range?.[0] ?? 0);
  }

  /** The nodes at a path, or the deepest that are there. */
  #find(path: ConfigPath): { readonly key: Node | undefined; readonly value: Node | undefined } {
    let [key, value]: [Node | undefined, Node | undefined] = [
      undefined,
      this.#document.contents ?? undefined,
    ];
    for (const part of path) {
      const inner = this.#child(value, part);
      if (inner === undefined) break;
      [key, value] = inner;
    }
    return { key, value: isScalar(value) && value.value === null ? undefined : value };
  }

  #child(parent: Node | undefined, part: string | number): [Node | undefined, Node | undefined] | undefined {
    const node = this.#resolve(parent);
    if (isSeq(node)) {
      const item = node.items[Number(part)];
      return isNode(item) ? [undefined, item] : undefined;
    }
    if (!isMap(node)) return undefined;
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
    if (pair === undefined) return undefined;
    return [isNode(pair.key) ? pair.key : undefined, isNode(pair.value) ? pair.value : undefined];
  }

  #resolve(node: Node | undefined): Node | undefined {
    let found = node;
    for (let depth = 0; isAlias(found) && depth < MAX_ALIAS_DEPTH; depth++)
      found = found.resolve(this.#document);
    return found;
  }
}

/** The parser and the reading of its tree recurse: only nesting without end, or an alias within itself, ends that. */
function reasonOf(error: unknown): string {
  if (error instanceof RangeError) return 'it is nested too deeply, or an alias stands in what it names';
  return error instanceof Error ? error.message : String(error);
}

/** `pools:` with nothing after it is `pools` not given. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined);
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutNulls(inner)]));
}
