/** ERRORS.md has a row for each code, in the order of the list, and says something in each cell. */
import { expect, test } from '@jest/globals';
import { ERROR_CODES } from '../../errors.ts';
import { codeSpans, readText, tableRows } from '../support/documents.ts';

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
