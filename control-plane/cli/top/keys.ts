import type { SortKey, TopModel, View } from './model.js';

/** What a key does beside changing the model. */
export type KeyEffect = 'quit' | 'suspend' | 'faster' | 'slower' | 'help' | 'type' | 'none';

const NAMED: Readonly<Record<string, string>> = {
  '\u001b[A': 'up',
  '\u001b[B': 'down',
  '\u001b[C': 'right',
  '\u001b[D': 'left',
  '\u001bOA': 'up',
  '\u001bOB': 'down',
  '\u001bOC': 'right',
  '\u001bOD': 'left',
  '\u001b[5~': 'page-up',
  '\u001b[6~': 'page-down',
  '\u001b[H': 'home',
  '\u001b[F': 'end',
  '\u001b[1~': 'home',
  '\u001b[4~': 'end',
  '\u001b': 'escape',
  '\r': 'enter',
  '\n': 'enter',
  '\t': 'tab',
  '\u007f': 'backspace',
  '\b': 'backspace',
  '\u0003': 'ctrl-c',
  '\u001a': 'ctrl-z',
  ' ': 'space',
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: keys of a terminal are control characters.
const KEY = /\u001b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])|[\s\S]/gu;

/** Keys of what a terminal sent: names of those that have one, characters of the others. */
export const keysOf = (data: string): string[] =>
  [...data.matchAll(KEY)].map(([key]) => NAMED[key] ?? key).filter((key) => !key.startsWith('\u001b'));

const SORTS: Readonly<Record<string, SortKey>> = {
  n: 'name',
  p: 'packets',
  t: 'bits',
  c: 'connections',
  d: 'drops',
  f: 'flows',
};
const VIEWS: Readonly<Record<string, View>> = { v: 'vips', b: 'backends' };

/** How far keys scroll, in rows, for a page of so many. */
const scrolls = (page: number): Readonly<Record<string, number>> => ({
  up: -1,
  down: 1,
  k: -1,
  j: 1,
  'page-up': -page,
  'page-down': page,
  home: Number.NEGATIVE_INFINITY,
  end: Number.POSITIVE_INFINITY,
});

const EFFECTS: Readonly<Record<string, KeyEffect>> = {
  q: 'quit',
  Q: 'quit',
  'ctrl-c': 'quit',
  'ctrl-z': 'suspend',
  '+': 'faster',
  '=': 'faster',
  '-': 'slower',
  '?': 'help',
  h: 'help',
  '/': 'type',
};

/** Do what a key says. @param page rows that have room */
export function pressKey(model: TopModel, key: string, page: number): KeyEffect {
  const sort = SORTS[key];
  const view = VIEWS[key];
  const scroll = scrolls(page)[key];
  if (sort !== undefined && model.sortKeys.includes(sort)) model.sort = sort;
  else if (view !== undefined) model.show(view);
  else if (scroll !== undefined)
    model.offset = Math.min(Math.max(0, model.offset + scroll), Number.MAX_SAFE_INTEGER);
  else if (key === 'tab') model.show(model.view === 'vips' ? 'backends' : 'vips');
  else if (key === 'left' || key === '<') model.moveSort(-1);
  else if (key === 'right' || key === '>' || key === 's') model.moveSort(1);
  else if (key === 'r') model.isReversed = !model.isReversed;
  else if (key === 'space') model.isPaused = !model.isPaused;
  else if (key === 'escape') model.filter = '';
  return EFFECTS[key] ?? 'none';
}

/** Do what a key says while the filter is being typed. @returns false when that is over */
export function typeKey(model: TopModel, key: string): boolean {
  if (key === 'enter') return false;
  if (key === 'escape' || key === 'ctrl-c') {
    model.filter = '';
    return false;
  }
  if (key === 'backspace') model.filter = model.filter.slice(0, -1);
  else if (/^[\x21-\x7e]$/.test(key)) model.filter += key;
  model.offset = 0;
  return true;
}
