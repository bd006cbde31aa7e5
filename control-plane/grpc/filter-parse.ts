import { fieldError } from '../state/faults.js';

/** How a field is compared; `:` is "has". */
export type Comparator = '=' | '!=' | '<' | '<=' | '>' | '>=' | ':';

/** A filter as it is written. `at`: where in the text, from 0. */
export type FilterExpression =
  | { readonly kind: 'and' | 'or'; readonly terms: readonly FilterExpression[] }
  | { readonly kind: 'not'; readonly term: FilterExpression }
  | FilterComparison;

export interface FilterComparison {
  readonly kind: 'compare';
  /** Names from the message down: `status`, `state`. */
  readonly path: readonly string[];
  readonly at: number;
  readonly comparator: Comparator;
  readonly value: string;
  readonly valueAt: number;
  /** It stands between quotes: a text, whatever it looks like. */
  readonly isQuoted: boolean;
}

/** Nobody writes a longer one by hand; it bounds the work that a filter asks for. */
const MAX_FILTER_CHARACTERS = 2048;
const MAX_DEPTH = 64;

/** @throws StateError STATE_FIELDS, which names the character, from 1 */
export function filterFault(at: number, text: string): never {
  throw fieldError('filter', `character ${at + 1}: ${text}`);
}

const SPACE = /\s*/y;
const KEYWORD = /(AND|OR|NOT)(?=[\s("'-]|$)/y;
const FIELD = /[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*/y;
const COMPARATOR = /<=|>=|!=|=|<|>|:/y;
/** Addresses, names and times need no quotes: only spaces, quotes and parentheses end a value. */
const BARE_VALUE = /[^\s()"'=<>!]+/y;

/**
 * Read a filter (AIP-160): comparisons joined by AND, OR and NOT (or `-`), with parentheses. OR binds tighter than AND,
 * as AIP-160 has it. Values stand between quotes where they have spaces, quotes, parentheses or comparators;
 * a backslash takes the next character as it is.
 * @returns undefined for a text of spaces: everything
 * @throws StateError STATE_FIELDS
 */
export function parseFilter(text: string): FilterExpression | undefined {
  if (text.length > MAX_FILTER_CHARACTERS)
    filterFault(MAX_FILTER_CHARACTERS, `a filter has at most ${MAX_FILTER_CHARACTERS} characters`);
  const parser = new Parser(text);
  return parser.isAtEnd() ? undefined : parser.whole();
}

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#take(SPACE);
  }

  isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  whole(): FilterExpression {
    const expression = this.#conjunction();
    if (!this.isAtEnd()) filterFault(this.#at, `${this.#seen()} where AND, OR or the end should be`);
    return expression;
  }

  #conjunction(): FilterExpression {
    if (++this.#depth > MAX_DEPTH)
      filterFault(this.#at, `more than ${MAX_DEPTH} levels of parentheses and NOT`);
    const terms = [this.#disjunction()];
    while (this.#keyword('AND')) terms.push(this.#disjunction());
    this.#depth--;
    return joined('and', terms);
  }

  #disjunction(): FilterExpression {
    const terms = [this.#term()];
    while (this.#keyword('OR')) terms.push(this.#term());
    return joined('or', terms);
  }

  #term(): FilterExpression {
    if (this.#keyword('NOT') || this.#sign('-')) {
      if (++this.#depth > MAX_DEPTH)
        filterFault(this.#at, `more than ${MAX_DEPTH} levels of parentheses and NOT`);
      const term = this.#term();
      this.#depth--;
      return { kind: 'not', term };
    }
    const start = this.#at;
    if (!this.#sign('(')) return this.#comparison();
    const inner = this.#conjunction();
    if (!this.#sign(')'))
      filterFault(this.#at, `${this.#seen()} where ")" of character ${start + 1} should be`);
    return inner;
  }

  #comparison(): FilterComparison {
    const at = this.#at;
    const field = this.#peek(KEYWORD) === undefined ? this.#take(FIELD) : undefined;
    if (field === undefined) filterFault(at, `${this.#seen()} where a field should be`);
    this.#take(SPACE);
    const comparator = this.#take(COMPARATOR);
    if (comparator === undefined)
      filterFault(
        this.#at,
        `${this.#seen()} where one of =, !=, <, <=, >, >= and : should follow "${field}"`,
      );
    this.#take(SPACE);
    const valueAt = this.#at;
    const quote = this.#text[valueAt];
    const isQuoted = quote === '"' || quote === "'";
    const value = isQuoted ? this.#quoted(quote) : this.#take(BARE_VALUE);
    if (value === undefined) filterFault(valueAt, `${this.#seen()} where a value should be`);
    this.#take(SPACE);
    return {
      kind: 'compare',
      path: field.split('.'),
      at,
      // The expression matches nothing else.
      comparator: comparator as Comparator,
      value,
      valueAt,
      isQuoted,
    };
  }

  #quoted(quote: string): string {
    const start = this.#at++;
    let value = '';
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at];
      if (character === quote) {
        this.#at++;
        return value;
      }
      if (character === '\\') this.#at++;
      value += this.#text[this.#at] ?? '';
    }
    return filterFault(start, `a text that no ${quote} ends`);
  }

  #keyword(word: 'AND' | 'OR' | 'NOT'): boolean {
    if (this.#peek(KEYWORD) !== word) return false;
    this.#at += word.length;
    this.#take(SPACE);
    return true;
  }

  #sign(sign: '(' | ')' | '-'): boolean {
    if (this.#text[this.#at] !== sign) return false;
    this.#at++;
    this.#take(SPACE);
    return true;
  }

  #peek(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0];
  }

  #take(pattern: RegExp): string | undefined {
    const found = this.#peek(pattern);
    this.#at += found?.length ?? 0;
    return found;
  }

  /** What stands here, for a message. */
  #seen(): string {
    if (this.isAtEnd()) return 'the end';
    const word = /^(?:[A-Za-z0-9_.]+|.)/su.exec(this.#text.slice(this.#at, this.#at + 32))?.[0];
    return JSON.stringify(word);
  }
}

function joined(kind: 'and' | 'or', terms: readonly FilterExpression[]): FilterExpression {
  const [first] = terms;
  return terms.length === 1 && first !== undefined ? first : { kind, terms };
}
