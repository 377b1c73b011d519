/**
 * How far a training loop is, live. On a terminal one status line with a bar that rewrites itself: `\r`, the text, blanks
 * over what stood there before, `\r`; a launcher that shows several workers reads this form, and sets GRADWIRE_TTY=1 for
 * them. Elsewhere plain lines, few of them, so that logs stay readable.
 */

/** How a line tells how far the loop is. */
export interface Unit {
  /** `done` of `total`, which may be infinite: not known. */
  count(done: number, total: number): string;
  rate(perSecond: number): string;
}

/** Steps of a loop: `12/100`, `3.4 it/s`. */
const STEPS: Unit = {
  count: (done, total) => `${done}/${total}`,
  rate: (perSecond) => `${perSecond.toFixed(1)} it/s`,
};

/** Bytes of a transfer: `1.2/9.9 MB`, `3.4 MB/s`. */
export const BYTES: Unit = {
  count: (done, total) => {
    const of = Number.isFinite(total) ? `/${megabytes(total)}` : '';
    return `${megabytes(done)}${of} MB`;
  },
  rate: (perSecond) => `${megabytes(perSecond)} MB/s`,
};

/** One digit, or as many as a small number takes to be seen. */
function megabytes(bytes: number): string {
  const mb = bytes / 1e6;
  return mb > 0 && mb < 0.1 ? mb.toPrecision(1) : mb.toFixed(1);
}

/** What is known of the loop at one step. */
export interface Figures {
  readonly loss?: number;
  /** Steps per second; default: the mean since the start. */
  readonly rate?: number;
}

export interface ProgressOptions {
  /** What is going on, at the start of each line. */
  readonly label: string;
  /** Number of steps at the end. */
  readonly total: number;
  /** Number of steps that were over before. Default 0. */
  readonly from?: number;
  /** Default steps. */
  readonly unit?: Unit;
  /** How many plain lines there are at most, unless it takes long. Default 10. */
  readonly lines?: number;
  /** Default standard output. */
  readonly stream?: { readonly isTTY?: boolean; write(text: string): unknown };
  /** Whether lines can be rewritten; default: the stream is a terminal, or the launcher says that it has one. */
  readonly terminal?: boolean;
  /** A clock in milliseconds. Default `performance.now`. */
  readonly now?: () => number;
}

/** Between two status lines on a terminal: often enough to look alive, too seldom to cost anything. */
const TERMINAL_MS = 100;

/** A plain line comes after this much time or its part of the way, whichever is first. */
const LINE_MS = 5000;

/** Length of the bar in characters. */
const BAR = 20;

/** Shows the progress of one loop. */
export class Progress {
  readonly #label: string;
  readonly #total: number;
  readonly #from: number;
  readonly #unit: Unit;
  readonly #lines: number;
  readonly #stream: NonNullable<ProgressOptions['stream']>;
  readonly #terminal: boolean;
  readonly #now: () => number;
  readonly #startMs: number;
  #writtenMs = Number.NEGATIVE_INFINITY;
  #writtenDone: number;
  #width = 0;
  #last: { readonly done: number; readonly figures: Figures } | undefined;
  #ended = false;

  constructor(options: ProgressOptions) {
    const { from = 0, unit = STEPS, lines = 10, stream = process.stdout, now, terminal } = options;
    this.#label = options.label;
    this.#total = options.total;
    this.#from = from;
    this.#writtenDone = from;
    this.#unit = unit;
    this.#lines = lines;
    this.#stream = stream;
    const { GRADWIRE_TTY } = process.env;
    this.#terminal = terminal ?? (stream.isTTY === true || GRADWIRE_TTY === '1');
    this.#now = now ?? (() => performance.now());
    this.#startMs = this.#now();
    if (!this.#terminal) this.#writtenMs = this.#startMs;
  }

  /** Says that `done` steps are over; shown when it is time to, so it may be called at each step. */
  update(done: number, figures: Figures = {}): void {
    this.#last = { done, figures };
    const sinceMs = this.#now() - this.#writtenMs;
    const isDue = this.#terminal
      ? sinceMs >= TERMINAL_MS
      : sinceMs >= LINE_MS || done - this.#writtenDone >= this.#total / this.#lines;
    if (isDue && !this.#ended) this.#write(this.#terminal ? '\r' : '\n');
  }

  /** Ends with a plain line of where the loop stands, if that is not on the page yet. Later calls do nothing. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#terminal || this.#last?.done !== this.#writtenDone) this.#write('\n');
  }

  #write(ending: '\r' | '\n'): void {
    if (this.#last === undefined) return;
    const { done, figures } = this.#last;
    const nowMs = this.#now();
    const elapsedMs = nowMs - this.#startMs;
    const rate =
      figures.rate ?? (elapsedMs > 0 ? ((done - this.#from) / elapsedMs) * 1000 : undefined);
    const bar = this.#terminal ? `${drawBar(done / this.#total)} ` : '';
    const parts = [`${this.#label} ${bar}${this.#unit.count(done, this.#total)}`];
    if (figures.loss !== undefined) parts.push(`loss ${figures.loss.toFixed(4)}`);
    if (rate !== undefined) parts.push(this.#unit.rate(rate));
    const text = parts.join('  ');
    this.#stream.write(
      this.#terminal ? `\r${text.padEnd(this.#width)}${ending}` : `${text}${ending}`,
    );
    this.#width = text.length;
    this.#writtenMs = nowMs;
    this.#writtenDone = done;
  }
}

function drawBar(part: number): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * BAR);
  return `${'█'.repeat(full)}${'░'.repeat(BAR - full)}`;
}
