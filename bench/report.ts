/** What the reader sees: figures as a table, and as JSON. Measures nothing. */
import { type Conditions, type Figure, isReached } from './harness.ts';

const HEADER = ['figure', 'unit', 'ours', 'peer', 'ratio', 'target'];

/** A header, then a line for each figure; ends with a newline. */
export function table(figures: readonly Figure[]): string {
  const all = [HEADER, ...figures.map(row)];
  const widths = HEADER.map((_, column) =>
    Math.max(...all.map((cells) => textAt(cells, column).length)),
  );
  const line = (cells: readonly string[]): string =>
    HEADER.map((_, column) => textAt(cells, column).padEnd(widths[column] as number))
      .join('  ')
      .trimEnd();
  return `${all.map(line).join('\n')}\n`;
}

function textAt(cells: readonly string[], column: number): string {
  return cells[column] ?? '';
}

function row(figure: Figure): string[] {
  const { name, unit, value, peer, ratio, conditions } = figure;
  const { peerFailure } = conditions;
  return [
    name,
    unit,
    withNoise(value, conditions['spread']),
    peer === null
      ? peerFailure === undefined
        ? '–'
        : `fails: ${peerFailure}`
      : withNoise(peer, conditions['peerSpread']),
    ratio === null ? '–' : withNoise(ratio, conditions['ratioSpread']),
    mark(figure),
  ];
}

function withNoise(value: number, spread: Conditions[string] | undefined): string {
  if (typeof spread !== 'number') return digits(value);
  return `${digits(value)} ±${Math.round(100 * spread)} %`;
}

/** `ratio >= 0.9` and what became of it. */
function mark(figure: Figure): string {
  const bound = targetText(figure);
  if (bound === undefined) return '';
  return `${bound} ${{ true: 'reached', false: 'MISSED', undefined: '(no peer)' }[`${isReached(figure)}`]}`;
}

function targetText({ target }: Figure): string | undefined {
  if (target === undefined) return undefined;
  return `${target.of} ${'least' in target ? `>= ${target.least}` : `<= ${target.most}`}`;
}

/** Three digits, or all before the point. */
function digits(value: number): string {
  if (value === 0) return '0';
  return Math.abs(value) >= 100 ? String(Math.round(value)) : value.toPrecision(3);
}

/** The figures as an array of `{ name, unit, value, peer, ratio, conditions }`, ending with a newline. */
export function json(figures: readonly Figure[]): string {
  const plain = figures.map((figure) => {
    const { name, unit, value, peer, ratio } = figure;
    const target = targetText(figure);
    const conditions = { ...figure.conditions, ...(target === undefined ? {} : { target }) };
    return { name, unit, value, peer, ratio, conditions };
  });
  return `${JSON.stringify(plain, null, 2)}\n`;
}
