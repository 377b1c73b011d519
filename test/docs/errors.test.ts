/** ERRORS.md has a row for each code, in the order of the list, and says something in each cell. */
import { expect, test } from '@jest/globals';
import { ERROR_CODES, ERROR_STAGES } from '../../errors.ts';
import { codeSpans, readText, sourcesOf, tableRows } from '../support/documents.ts';

const rows = tableRows(readText('ERRORS.md'));

test('the rows of ERRORS.md are the codes of errors.ts', () => {
  expect(rows.map(([code]) => codeSpans(code ?? '').join())).toEqual(Object.keys(ERROR_CODES));
});

test('each row says what the code means, when it comes and what to do', () => {
  for (const row of rows) {
    expect(row).toHaveLength(4);
    for (const cell of row) expect(cell).not.toBe('');
  }
});

test('the stages that the sources name are those of the list, and the page explains each', () => {
  const sources = ['rpc', 'autograd', 'optim', 'tensor'].flatMap(sourcesOf).map(readText);
  const named = sources
    .filter((text) => text.includes('GradwireError') && !text.includes('DETAILS: Readonly'))
    .flatMap((text) => [...text.matchAll(/\bstage: '(\w+)'/g)].map(([, stage]) => stage));
  // Seats of a dynamic group have stages of their own.
  const ours = new Set(
    named.filter((stage) => !['reserved', 'here', 'leaving'].includes(`${stage}`)),
  );
  expect([...ours].filter((stage) => !ERROR_STAGES.some((known) => known === stage))).toEqual([]);
  const spans = codeSpans(readText('ERRORS.md'));
  expect(ERROR_STAGES.filter((stage) => !spans.includes(stage))).toEqual([]);
});
