import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LineSplitter, type Piece } from '../../cli/lines.ts';

/** What the chunks give, written `line` and `~status`. */
function split(...chunks: string[]): string[] {
  const splitter = new LineSplitter();
  const pieces: Piece[] = chunks.flatMap((chunk) => splitter.push(chunk));
  pieces.push(...splitter.end());
  return pieces.map(({ kind, text }) => (kind === 'line' ? text : `~${text}`));
}

test.each<[string[], string[]]>([
  [['a\nb\n'], ['a', 'b']],
  [
    ['a', 'b\n\nc'],
    ['ab', '', 'c'],
  ],
  [['a\r\nb\r\n'], ['a', 'b']],
  [
    ['\rone', '\rtwo'],
    ['~one', '~two', '~'],
  ],
  [
    ['\rone', 'line\n', '\rtwo'],
    ['~one', 'line', '~two', '~'],
  ],
  [['\rone\rtwo\rline\n'], ['~one', '~two', 'line', '~']],
  [
    ['\rdone', '\n'],
    ['~done', 'done', '~'],
  ],
  [['\rdone\n'], ['done']],
  [
    ['one\r', 'two\r'],
    ['~one', '~two', '~'],
  ],
  [
    ['\rone', '\r\x1b[K'],
    ['~one', '~'],
  ],
  [
    ['\rone', '\r\x1b[Kline\n'],
    ['~one', 'line', '~'],
  ],
  [['\r\x1b[32mone\x1b[39m'], ['~one', '~']],
  [['\x1b[32mgreen\x1b[39m\n'], ['\x1b[32mgreen\x1b[39m']],
  [[''], []],
])('%j gives %j', (chunks, pieces) => {
  expect(split(...chunks)).toEqual(pieces);
});

test('a carriage return and its newline may come apart', () => {
  expect(split('a\r', '\nb\n')).toEqual(['~a', 'a', '~', 'b']);
});

test('a line without end is cut, not collected', () => {
  const splitter = new LineSplitter();
  const pieces = splitter.push('x'.repeat(200_000));
  expect(pieces).toHaveLength(3);
  expect(pieces.every(({ isCut }) => isCut)).toBe(true);
  expect([...pieces, ...splitter.end()].map(({ text }) => text).join('')).toBe('x'.repeat(200_000));
});

test('how plain text is cut into chunks makes no difference', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\n', '\u00e9') });
  fc.assert(
    fc.property(text, fc.array(fc.nat(60)), (whole, cuts) => {
      const at = [0, ...cuts.map((cut) => Math.min(cut, whole.length)), whole.length];
      at.sort((a, b) => a - b);
      const chunks = at.slice(1).map((end, i) => whole.slice(at[i], end));
      expect(split(...chunks)).toEqual(split(whole));
    }),
  );
});

test('no line is lost, whatever stands between', () => {
  const part = fc.constantFrom('\rstatus', '\rstatus\r', 'line\n', '\r\nline\n');
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const lines = split(...parts).filter((piece) => piece === 'line');
      expect(lines).toHaveLength(parts.filter((one) => one.includes('line')).length);
    }),
  );
});
