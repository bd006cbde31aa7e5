/**
 * Reads PromQL as far as dashboards and alert rules use it, to see that an expression is one, and what it asks for.
 * Grammar: prometheus.io/docs/prometheus/latest/querying/basics, …/operators, …/functions.
 */

/** A selector of series: the metric, and the labels that are asked for. */
export interface Selector {
  readonly metric: string;
  readonly labels: readonly string[];
}

const AGGREGATIONS = new Set(['sum', 'min', 'max', 'avg', 'count', 'topk', 'bottomk', 'stddev', 'quantile']);
/** Functions in use, and whether their argument is a range. */
const FUNCTIONS: ReadonlyMap<string, 'range' | 'instant' | 'none'> = new Map([
  ['rate', 'range'],
  ['increase', 'range'],
  ['changes', 'range'],
  ['histogram_quantile', 'instant'],
  ['vector', 'instant'],
  ['time', 'none'],
]);
const BINARY = /^(?:[-+*/%^]|[=!<>]=|[<>]|and\b|or\b|unless\b)/;
const TOKEN =
  /\s*(?:(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?<duration>\d+[smhdw]\b|\$__rate_interval|\$__range)|(?<number>\d+(?:\.\d+)?)|(?<text>"[^"]*"|'[^']*')|(?<sign>[=!]~|[=!<>]=|[-+*/%^(){}[\],=<>]))/y;

interface Token {
  readonly kind: string;
  readonly text: string;
}

function tokensOf(expression: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < expression.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const groups = TOKEN.exec(expression)?.groups;
    const [kind, text] = Object.entries(groups ?? {}).find(([, found]) => found !== undefined) ?? [];
    if (kind === undefined || text === undefined)
      throw new SyntaxError(`at "${expression.slice(at)}" of ${expression}`);
    tokens.push({ kind, text });
  }
  return tokens;
}

/** The selectors of an expression. @throws SyntaxError for what is none */
export function selectorsOf(expression: string): Selector[] {
  const tokens = tokensOf(expression);
  const selectors: Selector[] = [];
  let at = 0;
  const peek = () => tokens[at]?.text;
  const fail = (wanted: string): never => {
    throw new SyntaxError(`${wanted} is wanted at "${peek() ?? 'the end'}" of ${expression}`);
  };
  const take = (text?: string): string => {
    const token = tokens[at] ?? fail(text ?? 'something');
    if (text !== undefined && token.text !== text) fail(text);
    at++;
    return token.text;
  };
  const takeKind = (kind: string): string => (tokens[at]?.kind === kind ? take() : fail(`a ${kind}`));
  const labelList = (): void => {
    take('(');
    while (peek() !== ')') {
      takeKind('name');
      if (peek() !== ')') take(',');
    }
    take(')');
  };
  const grouping = (): void => {
    if (peek() !== 'by' && peek() !== 'without') return;
    take();
    labelList();
  };
  const selector = (metric: string): 'instant' | 'range' => {
    const labels: string[] = [];
    if (peek() === '{') {
      take();
      while (peek() !== '}') {
        labels.push(takeKind('name'));
        if (!['=', '!=', '=~', '!~'].includes(peek() ?? '')) fail('a matcher');
        take();
        takeKind('text');
        if (peek() !== '}') take(',');
      }
      take('}');
    }
    selectors.push({ metric, labels });
    const isRange = peek() === '[';
    if (isRange) {
      take('[');
      takeKind('duration');
      take(']');
    }
    if (peek() === 'offset') {
      take();
      takeKind('duration');
    }
    return isRange ? 'range' : 'instant';
  };
  const operand = (): 'instant' | 'range' => {
    const token = tokens[at] ?? fail('an operand');
    if (token.kind === 'number') {
      take();
      return 'instant';
    }
    if (token.text === '(') {
      take();
      const type = binary();
      take(')');
      return type;
    }
    if (token.text === '-') {
      take();
      return operand();
    }
    const name = takeKind('name');
    if (AGGREGATIONS.has(name)) {
      grouping();
      take('(');
      if (name === 'topk' || name === 'bottomk' || name === 'quantile') {
        takeKind('number');
        take(',');
      }
      if (binary() === 'range') fail('an instant');
      take(')');
      grouping();
      return 'instant';
    }
    const argument = FUNCTIONS.get(name);
    if (argument === undefined) return peek() === '(' ? fail('a function that is known') : selector(name);
    take('(');
    if (name === 'histogram_quantile') {
      takeKind('number');
      take(',');
    }
    if (argument !== 'none' && binary() !== argument) fail(`a ${argument} for ${name}`);
    take(')');
    return 'instant';
  };
  const binary = (): 'instant' | 'range' => {
    let type = operand();
    while (BINARY.test(peek() ?? '')) {
      take();
      if (peek() === 'on' || peek() === 'ignoring') {
        take();
        labelList();
        if (peek() === 'group_left' || peek() === 'group_right') {
          take();
          if (peek() === '(') labelList();
        }
      }
      if (type === 'range' || operand() === 'range') fail('an instant');
      type = 'instant';
    }
    return type;
  };
  if (binary() === 'range') fail('an instant');
  if (at < tokens.length) fail('the end');
  return selectors;
}
