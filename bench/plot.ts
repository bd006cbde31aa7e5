import { formatAim, formatFigure } from './report.js';
import type { RowDocument, RunDocument } from './results.js';

/** Lengths in px of the drawing's own coordinates. */
const WIDTH = 960;
const LABEL_WIDTH = 330;
const FIGURE_WIDTH = 215;
const MARGIN = 16;
const TITLE_HEIGHT = 20;
const BAR_HEIGHT = 16;
const BAR_GAP = 4;
const ROW_GAP = 14;
const HEAD_HEIGHT = 64;
const PLOT_LEFT = LABEL_WIDTH;
const PLOT_WIDTH = WIDTH - LABEL_WIDTH - FIGURE_WIDTH;
/** Ratios are drawn on a logarithmic scale, on which half and twice are as far from the baseline; what is beyond is cut. */
const RANGE = { least: 1 / 16, most: 16 } as const;
const TICKS = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16] as const;
const TITLE_CHARACTERS = 130;
const LABEL_CHARACTERS = 52;

type Measured = Exclude<RowDocument, { skipped: string }>;

/** Colours that can be told apart by their lightness too, for either ground. */
const STYLE = `
  svg { color-scheme: light dark; }
  .ground { fill: #ffffff; } .text { fill: #1f2328; } .faint { fill: #59636e; } .line { stroke: #d1d9e0; }
  .base { stroke: #59636e; } .plain { fill: #6e7d91; } .met { fill: #1a7f37; } .missed { fill: #cf222e; }
  .aim { stroke: #1f2328; }
  text { font: 12px system-ui, sans-serif; } .title { font-weight: 600; } .number { text-anchor: start; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; } .text { fill: #f0f6fc; } .faint { fill: #9198a1; } .line { stroke: #3d444d; }
    .base { stroke: #9198a1; } .plain { fill: #7d8ca1; } .met { fill: #3fb950; } .missed { fill: #f85149; }
    .aim { stroke: #f0f6fc; }
  }`;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const shortened = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1)}…`;

const fixed = (value: number): string => Number(value.toFixed(1)).toString();

/** Place of a ratio from left to right. */
function placeOf(ratio: number): number {
  const inRange = Math.min(Math.max(ratio, RANGE.least), RANGE.most);
  const share = Math.log(inRange / RANGE.least) / Math.log(RANGE.most / RANGE.least);
  return PLOT_LEFT + share * PLOT_WIDTH;
}

function text(x: number, y: number, classes: string, content: string, most: number): string {
  const short = shortened(content, most);
  const full = short === content ? '' : `<title>${escaped(content)}</title>`;
  return `<text x="${fixed(x)}" y="${fixed(y)}" class="${classes}">${full}${escaped(short)}</text>`;
}

const line = (x: number, top: number, bottom: number, classes: string): string =>
  `<line x1="${fixed(x)}" x2="${fixed(x)}" y1="${fixed(top)}" y2="${fixed(bottom)}" class="${classes}"/>`;

/** The contenders other than the baseline, which is at 1. */
const barsOf = ({ series, baseline }: Measured) => series.filter(({ name }) => name !== baseline);

const heightOf = (row: Measured): number =>
  TITLE_HEIGHT + barsOf(row).length * (BAR_HEIGHT + BAR_GAP) + ROW_GAP;

const VERDICTS = { none: 'plain', true: 'met', false: 'missed' } as const;
const MARKS = { none: '', true: ' ✓', false: ' ✗' } as const;

function drawRow(row: Measured, top: number): string[] {
  const { title, unit, baseline, aim } = row;
  const said = [`${title}, to ${baseline}`, ...(aim ? [`aim: ${formatAim(aim, unit)}`] : [])].join(' · ');
  const parts = [text(MARGIN, top + 13, 'text title', said, TITLE_CHARACTERS)];
  const first = top + TITLE_HEIGHT;
  const bars = barsOf(row);
  for (const [index, { name, ratio, median, met }] of bars.entries()) {
    const y = first + index * (BAR_HEIGHT + BAR_GAP);
    const [from, to] = [placeOf(1), placeOf(ratio)];
    const verdict = met === undefined ? 'none' : (`${met}` as const);
    parts.push(
      text(MARGIN, y + 12, 'text', name, LABEL_CHARACTERS),
      `<rect x="${fixed(Math.min(from, to))}" y="${fixed(y)}" width="${fixed(Math.max(Math.abs(to - from), 1))}" height="${BAR_HEIGHT}" class="${VERDICTS[verdict]}"/>`,
      text(
        PLOT_LEFT + PLOT_WIDTH + 8,
        y + 12,
        'text number',
        `${ratio.toFixed(2)}×${MARKS[verdict]}  ${formatFigure(median)} ${unit}`,
        LABEL_CHARACTERS,
      ),
    );
  }
  const last = first + bars.length * (BAR_HEIGHT + BAR_GAP);
  parts.push(line(placeOf(1), first - 2, last, 'base'));
  if (aim?.of === 'ratio') {
    const bound = 'most' in aim ? aim.most : aim.least;
    parts.push(
      `<g stroke-dasharray="3 2" stroke-width="2">${line(placeOf(bound), first - 2, last, 'aim')}</g>`,
    );
  }
  return parts;
}

function drawScale(bottom: number): string[] {
  return TICKS.flatMap((ratio) => {
    const x = placeOf(ratio);
    const label = ratio < 1 ? `1/${1 / ratio}` : `${ratio}`;
    return [
      line(x, HEAD_HEIGHT, bottom, 'line'),
      `<text x="${fixed(x)}" y="${HEAD_HEIGHT - 4}" class="faint" text-anchor="middle">${label}</text>`,
    ];
  });
}

/**
 * The ratios of a run as horizontal bars from the baseline, at 1, on a logarithmic scale; a broken line is the aim, and
 * a colour and a mark tell whether it is met. For a light ground and for a dark one, as the reader prefers. Rows that have
 * nothing to compare are not drawn.
 * @returns an SVG document (SVG 1.1 with CSS)
 */
export function plotOf({ started, machine, subjects }: RunDocument): string {
  const rows = subjects
    .flatMap(({ rows }) => rows)
    .filter((row): row is Measured => !('skipped' in row) && barsOf(row).length > 0);
  const drawn: string[] = [];
  let top = HEAD_HEIGHT + 8;
  for (const row of rows) {
    drawn.push(...drawRow(row, top));
    top += heightOf(row);
  }
  const height = top + MARGIN;
  const about = `${machine.cores} cores of ${machine.cpu}, Linux ${machine.kernel}, Node ${machine.node}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>Benchmarks of ${escaped(machine.commit)}: ratios to each row’s baseline</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect width="${WIDTH}" height="${height}" class="ground"/>`,
    text(
      MARGIN,
      20,
      'text title',
      `Ratio to each row’s baseline, aim as a broken line · ${started.slice(0, 10)} · ${machine.commit}`,
      TITLE_CHARACTERS,
    ),
    text(MARGIN, 38, 'faint', about, TITLE_CHARACTERS),
    ...drawScale(top),
    ...drawn,
    '</svg>\n',
  ].join('\n');
}
