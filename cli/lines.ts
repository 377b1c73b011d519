/**
 * Splits what a process writes into whole lines and status texts (live progress). Pure: text in, pieces out.
 *
 * A status is text between a carriage return and whatever ends it: the next carriage return, or the end of the chunk that
 * holds it. A newline after it makes it an ordinary line, as on a terminal. Scripts that show progress write
 * `'\r' + text + '\r'`: without the second one, a line written right after it may arrive in the same chunk and join it.
 */
import { stripVTControlCharacters } from 'node:util';

export interface Piece {
  readonly kind: 'line' | 'status';
  /** Without its line end. An empty status takes the status away. */
  readonly text: string;
  /** A line that was too long: what follows is more of it. */
  readonly isCut?: true;
}

/** A line longer than this is cut into several, so that a process that never ends its line cannot fill our memory. */
const LINE_LIMIT_CHARS = 65_536;

/** The state of one output stream between two chunks of decoded text. */
export class LineSplitter {
  /** The line or status under way. */
  #text = '';
  /** Whether it began after a carriage return. */
  #isStatus = false;
  /** A carriage return came last: what follows replaces the text, a newline only ends it. */
  #hasReturned = false;
  /** The chunk that held the status has ended: what follows is no part of it. */
  #isSettled = false;
  /** The status that the reader of our pieces shows now. */
  #shown = '';

  push(chunk: string): Piece[] {
    const pieces: Piece[] = [];
    for (const token of chunk.split(/([\r\n])/)) {
      if (token === '') continue;
      if (token === '\n') this.#endLine(pieces);
      else if (token === '\r') this.#hasReturned = true;
      else this.#append(token, pieces);
    }
    if ((this.#isStatus || this.#hasReturned) && this.#text !== '') {
      this.#showStatus(pieces);
      this.#isSettled = true;
    }
    return pieces;
  }

  /** At the end of the stream: a last line without a newline is a line too, and no status is left. */
  end(): Piece[] {
    const pieces: Piece[] = [];
    if (!this.#isStatus && this.#text !== '') this.#endLine(pieces);
    this.#text = '';
    this.#showStatus(pieces);
    return pieces;
  }

  #append(text: string, pieces: Piece[]): void {
    if (this.#hasReturned) {
      if (!this.#isSettled && this.#text !== '') this.#showStatus(pieces);
      this.#begin(true);
    } else if (this.#isSettled) {
      this.#begin(false);
    }
    this.#text += text;
    while (this.#text.length > LINE_LIMIT_CHARS) {
      pieces.push({ kind: 'line', text: this.#text.slice(0, LINE_LIMIT_CHARS), isCut: true });
      this.#text = this.#text.slice(LINE_LIMIT_CHARS);
    }
  }

  #endLine(pieces: Piece[]): void {
    const text = this.#isStatus ? stripVTControlCharacters(this.#text) : this.#text;
    pieces.push({ kind: 'line', text });
    if (text !== '' && text === this.#shown) {
      this.#text = '';
      this.#showStatus(pieces);
    }
    this.#begin(false);
  }

  #begin(isStatus: boolean): void {
    this.#text = '';
    this.#isStatus = isStatus;
    this.#hasReturned = false;
    this.#isSettled = false;
  }

  #showStatus(pieces: Piece[]): void {
    const text = stripVTControlCharacters(this.#text).trimEnd();
    if (text === this.#shown) return;
    this.#shown = text;
    pieces.push({ kind: 'status', text });
  }
}
