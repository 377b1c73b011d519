/** The verdict of `gradwire doctor --grads` as text for people, or as JSON lines for programs. Pure. */
import { BOUND, DIFFERENCE_BOUND } from '../tensor/conformance/index.ts';
import type { Cell, Row, Verdict } from './doctor-verdict.ts';

/** One row a case, then the reasons behind its dashes, then a line for each column. */
export function tableOf({ columns, rows, failures, isOk }: Verdict): string {
  const notes = new Map<string, number>();
  const header = ['case', ...columns];
  const body = rows.map(({ name, cells }) => [name, ...cells.map((cell) => textOf(cell, notes))]);
  const widths = header.map((title, i) =>
    Math.max(title.length, ...body.map((row) => row[i]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  const summaries = columns.map((title, i) => summaryOf(title, rows, i));
  return [
    ...[line(header), ...body.map(line), ''],
    ...[...notes].map(([reason, number]) => `– ${number}: ${reason}`),
    '',
    ...summaries,
    ...failures.map((failure) => `✗ ${failure}`),
    `bounds: ${BOUND} relative to the largest element, ${DIFFERENCE_BOUND} for finite differences, which float32 makes no better`,
    isOk
      ? `✓ ${rows.length} cases agree`
      : `✗ ${wrongOf(rows)} of ${rows.length} cases do not agree`,
    '',
  ].join('\n');
}

/** An object for each case, then one for the whole. */
export function jsonOf({ columns, rows, failures, isOk }: Verdict): string {
  const objects = rows.map(({ name, cells }) => ({
    case: name,
    ...Object.fromEntries(columns.map((title, i) => [title, cells[i]])),
  }));
  const whole = { cases: rows.length, wrong: wrongOf(rows), failures, isOk };
  return [...objects, whole].map((object) => `${JSON.stringify(object)}\n`).join('');
}

function textOf({ difference, reason, isOk }: Cell, notes: Map<string, number>): string {
  if (difference !== undefined) {
    return `${isOk ? '✓' : '✗'} ${difference === 0 ? '0' : difference.toExponential(1)}`;
  }
  const text = reason ?? '';
  if (!notes.has(text)) notes.set(text, notes.size + 1);
  return `${isOk ? '–' : '✗'} ${notes.get(text)}`;
}

function summaryOf(title: string, rows: readonly Row[], column: number): string {
  let worst: { readonly name: string; readonly difference: number } | undefined;
  let count = 0;
  for (const { name, cells } of rows) {
    const difference = cells[column]?.difference;
    if (difference === undefined) continue;
    count += 1;
    if (worst === undefined || !(difference <= worst.difference)) worst = { name, difference };
  }
  if (worst === undefined) return `${title}: nothing compared`;
  const largest = worst.difference.toExponential(1);
  return `${title}: ${count} compared, the largest difference is ${largest} (${worst.name})`;
}

function wrongOf(rows: readonly Row[]): number {
  return rows.filter(({ cells }) => cells.some(({ isOk }) => !isOk)).length;
}
