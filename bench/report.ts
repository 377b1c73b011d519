/** What the reader sees: figures as a table, and the machine they were measured on. Measures nothing. */
import { availableParallelism, cpus, loadavg } from 'node:os';
import { type Figure, isReached } from './harness.ts';

/** The machine in one line: figures mean nothing without it. */
export function machineLine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const load = loadavg()
    .map((value) => value.toFixed(2))
    .join(' ');
  return `${availableParallelism()} cores (${model}), Node ${process.version}, load ${load} at start`;
}

/** A header, then a line for each figure; ends with a newline. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    `${figure.suite}.${figure.figure}`,
    figure.unit,
    ...[figure.median, figure.min, figure.p90].map(digits),
    `${Math.round(100 * figure.spread)} %`,
    String(figure.samples),
    targetText(figure),
  ]);
  const header = ['figure', 'unit', 'median', 'min', 'p90', 'spread', 'samples', 'target'];
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const isText = (column: number): boolean => column < 2 || column === 7;
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return isText(column) ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  return `${all.map(line).join('\n')}\n`;
}

function targetText(figure: Figure): string {
  const { target } = figure;
  if (target === undefined) return '';
  const bound = 'least' in target ? `>= ${target.least}` : `<= ${target.most}`;
  return isReached(figure) ? bound : `${bound} missed`;
}

/** Three digits, or all before the point. */
function digits(value: number): string {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : value.toPrecision(3);
}
