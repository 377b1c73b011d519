/** What the language model learns: the numbers from one to ninety-nine in words, one after another, letter by letter. */

const ONES =
  'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  );
const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');

const text: string = [
  ...ONES,
  ...TENS.flatMap((ten) => [ten, ...ONES.slice(0, 9).map((one) => `${ten} ${one}`)]),
  '',
].join(' ');

const letters: readonly string[] = [...new Set(text)].sort();

/** Different letters of the text, blanks included. */
export const NTOKEN: number = letters.length;

/** One piece of the text for each row: letters, and for each of them the one that follows. */
export interface Piece {
  /** `[batch][steps]`, whole numbers below NTOKEN. */
  readonly data: number[][];
  readonly target: number[][];
}

/**
 * The text from end to end in pieces of `steps` letters, for `batch` rows that each read a part of it. A row goes on in the
 * next piece where it was, so that a hidden state can be carried over.
 */
export function* pieces(batch: number, steps: number): Generator<Piece> {
  const tokens = [...text].map((letter) => letters.indexOf(letter));
  const part = Math.floor((tokens.length - 1) / batch);
  for (let start = 0; start + steps <= part; start += steps) {
    const row = (shift: number) => (_: unknown, i: number) => {
      const from = i * part + start + shift;
      return tokens.slice(from, from + steps);
    };
    yield {
      data: Array.from({ length: batch }, row(0)),
      target: Array.from({ length: batch }, row(1)),
    };
  }
}
