import { count, rate, toned } from '../format.js';
import type { ShownRow, SortKey, TopModel } from './model.js';
import type { Rates } from './rates.js';
import { sparkline } from './sparkline.js';

/** The terminal's cells. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** What the picture shows beside the model. */
export interface Scene {
  readonly server: string;
  readonly intervalMs: number;
  /** Why there are no new samples; empty while there are. */
  readonly trouble: string;
  /** The filter is being typed. */
  readonly isTyping: boolean;
  readonly isHelp: boolean;
  readonly isColored: boolean;
}

const REVERSE = '\u001b[7m';
const BOLD = '\u001b[1m';
const RESET = '\u001b[0m';

interface TopColumn {
  readonly key: SortKey;
  readonly title: string;
  readonly width: number;
  readonly value: (row: ShownRow) => string;
}

const dash = (value: number | undefined, text: (value: number) => string) =>
  value === undefined ? '-' : text(value);

const COLUMNS: Readonly<Record<Exclude<SortKey, 'name'>, TopColumn>> = {
  packets: { key: 'packets', title: 'PACKETS/S', width: 10, value: ({ packets }) => rate(packets) },
  bits: { key: 'bits', title: 'BITS/S', width: 8, value: ({ bits }) => rate(bits) },
  connections: {
    key: 'connections',
    title: 'NEW/S',
    width: 8,
    value: ({ connections }) => rate(connections),
  },
  drops: { key: 'drops', title: 'DROPS/S', width: 8, value: ({ drops }) => rate(drops) },
  flows: { key: 'flows', title: 'FLOWS', width: 12, value: ({ flows }) => dash(flows, count) },
};

const GAP = '  ';
const MIN_NAME_WIDTH = 12;
const MAX_NAME_WIDTH = 48;
const MIN_TREND_WIDTH = 8;
const MAX_TREND_WIDTH = 60;
const TOTAL_TREND_WIDTH = 12;

/** Lines above and below the rows. */
const FRAME_LINES = 5;

/** How many rows have room. */
export const roomFor = ({ rows }: Size): number => Math.max(1, rows - FRAME_LINES);

/** Cut to the terminal's width; colours are outside, so that a cell is a code point. */
const clip = (text: string, width: number): string => {
  const points = [...text];
  return points.length <= width
    ? text.padEnd(width - points.length + text.length)
    : `${points.slice(0, Math.max(0, width - 1)).join('')}…`;
};

function head(model: TopModel, { server, intervalMs, trouble }: Scene, width: number): string {
  const { sample, view, sort, isReversed, filter, isPaused } = model;
  const time = sample === undefined ? '' : new Date(sample.timeMs).toISOString().slice(11, 19);
  const missed =
    sample !== undefined && sample.missedSamples > 0 ? `${sample.missedSamples} samples missed` : '';
  const parts = [
    'waggle top',
    server,
    `every ${intervalMs / 1000} s`,
    `${view === 'vips' ? 'VIPs' : 'backends'} by ${sort}${isReversed ? ', reversed' : ''}`,
    ...(filter === '' ? [] : [`filter "${filter}"`]),
    ...(isPaused ? ['PAUSED'] : []),
    ...(missed === '' ? [] : [missed]),
    ...(trouble === '' ? [] : [trouble]),
    ...(time === '' ? [] : [`${time} UTC`]),
  ];
  return clip(parts.join(' · '), width);
}

function totalLine(model: TopModel, width: number): string {
  const { sample } = model;
  if (sample === undefined) return clip('waiting for the first sample', width);
  const { total, workers } = sample;
  const trended = (label: string, text: string, key: 'packets' | 'bits' | 'connections') =>
    `${label} ${text} ${sparkline(model.totalTrend(key), TOTAL_TREND_WIDTH)}`;
  const parts = [
    trended('packets/s', rate(total.packets), 'packets'),
    trended('bits/s', rate(total.bits), 'bits'),
    trended('new/s', rate(total.connections), 'connections'),
    `drops/s ${rate(total.drops)}`,
    `flows ${dash(total.flows, count)}`,
    `workers ${workers.running}/${workers.all}`,
  ];
  return clip(parts.join('   '), width);
}

/** Which columns fit beside a name, and how wide name and trend are. */
function layout(model: TopModel, rows: readonly ShownRow[], width: number) {
  const keys = model.sortKeys.filter((key) => key !== 'name');
  const widest = rows.reduce((most, { name }) => Math.max(most, name.length), MIN_NAME_WIDTH);
  const nameWidth = Math.min(widest, MAX_NAME_WIDTH, Math.max(MIN_NAME_WIDTH, width));
  const columns: TopColumn[] = [];
  let used = nameWidth;
  for (const key of keys) {
    const column = COLUMNS[key];
    if (used + GAP.length + column.width > width) break;
    columns.push(column);
    used += GAP.length + column.width;
  }
  const left = width - used - GAP.length;
  return { nameWidth, columns, trendWidth: left < MIN_TREND_WIDTH ? 0 : Math.min(left, MAX_TREND_WIDTH) };
}

function tableLines(model: TopModel, { isColored }: Scene, { columns: width, rows: height }: Size): string[] {
  const rows = model.rows();
  const room = roomFor({ columns: width, rows: height });
  model.offset = Math.max(0, Math.min(model.offset, rows.length - room));
  const { nameWidth, columns, trendWidth } = layout(model, rows, width);
  const mark = (key: SortKey, title: string) =>
    key === model.sort ? `${title}${model.isReversed ? '▴' : '▾'}` : title;
  const titles = [
    clip(mark('name', model.view === 'vips' ? 'VIP' : 'BACKEND'), nameWidth),
    ...columns.map(({ key, title, width: cell }) => mark(key, title).padStart(cell)),
    ...(trendWidth > 0 ? [`${model.trendKey.toUpperCase()} OVER TIME`.slice(0, trendWidth)] : []),
  ].join(GAP);
  const lines = rows.slice(model.offset, model.offset + room).map((row) => {
    const cells = [
      clip(row.name, nameWidth),
      ...columns.map(({ value, width: cell }) => value(row).padStart(cell)),
    ];
    const isBad = row.drops > 0;
    const trend = trendWidth > 0 ? [toned(sparkline(row.trend, trendWidth), 'good', isColored)] : [];
    return [toned(cells.join(GAP), isBad ? 'warn' : undefined, isColored), ...trend].join(GAP);
  });
  const title = clip(titles, width);
  return [isColored ? `${BOLD}${title}${RESET}` : title, ...lines];
}

const KEYS =
  'q quit  v VIPs  b backends  ←→ sort  r reverse  / filter  space pause  +- interval  ↑↓ scroll  ? help';

/** Every key, for the help. */
const HELP: readonly (readonly [string, string])[] = [
  ['v, b, Tab', 'VIPs, backends, the other of them'],
  ['← →, < >', 'sort by the column beside'],
  ['n p t c d f', 'sort by name, packets, bits, new connections, drops, flows'],
  ['r', 'the other way round'],
  ['/', 'show names with a text in them; Enter keeps it, Esc drops it'],
  ['space', 'stop the picture, and go on'],
  ['+ -', 'half, twice the interval'],
  ['↑ ↓ PgUp PgDn Home End', 'scroll'],
  ['?, h', 'this, and back'],
  ['q, Ctrl-C', 'quit'],
];

function helpLines(width: number): string[] {
  return [
    'waggle top: what the load balancer does, a second',
    '',
    ...HELP.map(([keys, says]) => `${keys.padEnd(24)} ${says}`),
    '',
    'NEW/S counts new connections: of UDP, packets that no table knows',
  ].map((line) => clip(line, width));
}

/** The picture: as many lines as the terminal has, none wider than it. */
export function render(model: TopModel, scene: Scene, size: Size): string[] {
  const { columns: width, rows: height } = size;
  const { isColored, isHelp, isTyping } = scene;
  const foot = isTyping ? `filter: ${model.filter}█` : KEYS;
  const top = [
    isColored ? `${REVERSE}${head(model, scene, width)}${RESET}` : head(model, scene, width),
    totalLine(model, width),
    '',
  ];
  const body = isHelp ? helpLines(width) : tableLines(model, scene, size);
  const lines = [...top, ...body].slice(0, Math.max(0, height - 1));
  while (lines.length < height - 1) lines.push('');
  return [...lines, toned(clip(foot, width), 'dim', isColored)];
}

/** A sample as lines, where there is no terminal: time, what, and its rates. */
export function sampleLines(model: TopModel): string[] {
  const { sample } = model;
  if (sample === undefined) return [];
  const time = new Date(sample.timeMs).toISOString().slice(0, 19);
  const line = (name: string, rates: Rates) =>
    [
      time,
      name,
      `packets/s=${Math.round(rates.packets)}`,
      `bits/s=${Math.round(rates.bits)}`,
      `new/s=${Math.round(rates.connections)}`,
      ...(rates.flows === undefined ? [`drops/s=${Math.round(rates.drops)}`] : [`flows=${rates.flows}`]),
    ].join(' ');
  return [
    line('total', { ...sample.total, flows: undefined }),
    ...model.rows().map((row) => line(row.name, row)),
  ];
}
