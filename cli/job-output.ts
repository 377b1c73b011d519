/**
 * What the ranks of a job write: to the screen and into the logs, and the last lines of each are kept for a report.
 * The result line is held back until the job has succeeded. Knows nothing of processes.
 */
import type { BackPressure } from './back-pressure.ts';
import type { Piece } from './lines.ts';
import type { RankLogs } from './rank-logs.ts';
import type { Screen, StreamName } from './terminal.ts';

/** How many of the last lines of a rank are kept of each stream. */
const TAIL_LINES = 10;

/** A line of a rank, with the number of the line on the screen. */
interface TailLine {
  readonly at: number;
  readonly text: string;
}

export interface Tail {
  /** Where the lines were written: stderr, or stdout if nothing was. */
  readonly stream: StreamName;
  /** Last lines of a rank, oldest first. */
  readonly lines: readonly string[];
  /** Whether they are the last lines on the screen, so that nobody needs to see them again. */
  readonly isOnScreen: boolean;
}

export interface JobOutputSpec {
  readonly screen: Screen;
  /** Of what the screen writes to. */
  readonly pressure: BackPressure;
  readonly logs: RankLogs | undefined;
  /** The rank whose last stdout line is the result. */
  readonly resultRank: number | undefined;
}

export class JobOutput {
  readonly #screen: Screen;
  readonly #pressure: BackPressure;
  readonly #logs: RankLogs | undefined;
  readonly #resultRank: number | undefined;
  readonly #tails: Readonly<Record<StreamName, Map<number, TailLine[]>>> = {
    stdout: new Map(),
    stderr: new Map(),
  };
  #lineCount = 0;
  #heldResult: string | undefined;
  #isHolding = true;

  constructor({ screen, pressure, logs, resultRank }: JobOutputSpec) {
    this.#screen = screen;
    this.#pressure = pressure;
    this.#logs = logs;
    this.#resultRank = resultRank;
    if (logs === undefined) return;
    logs.onFailure = (text) => this.say(text);
    this.say(
      `gradwire: the output of each rank is also in ${logs.folder}/RANK/{stdout,stderr}.log`,
    );
  }

  /** Takes what a rank has written; it is to write no more until the promise resolves, if there is one. */
  take(rank: number, stream: StreamName, pieces: readonly Piece[]): Promise<void> | undefined {
    this.#logs?.write(rank, stream, pieces);
    for (const { kind, text } of pieces) {
      if (kind === 'status') this.#screen.status(rank, text);
      else if (stream === 'stdout' && rank === this.#resultRank) this.#hold(text);
      else this.#line(stream, rank, text);
    }
    return this.#pressure.room();
  }

  /** The ranks are to end: nobody waits any more for a slow reader. */
  hurry(): void {
    this.#pressure.release();
  }

  /** Says something of the launcher itself; may hold several lines. */
  say(text: string): void {
    this.#screen.plain('stderr', text);
  }

  /** There will be no result: what is held is an ordinary line, and so is what comes. */
  release(): void {
    this.#isHolding = false;
    this.#showHeld();
  }

  /** Nothing more comes: takes the live progress away and shows the result, if there is one. */
  close(): void {
    this.#pressure.release();
    this.#screen.close();
    if (this.#heldResult !== undefined) this.#screen.plain('stdout', this.#heldResult);
    this.#heldResult = undefined;
  }

  tailOf(rank: number): Tail {
    const errors = this.#tails.stderr.get(rank);
    const stream = errors === undefined ? 'stdout' : 'stderr';
    const tail = errors ?? this.#tails.stdout.get(rank) ?? [];
    const first = tail.at(0)?.at ?? Number.NaN;
    return {
      stream,
      lines: tail.map(({ text }) => text),
      isOnScreen: this.#lineCount - first === tail.length - 1,
    };
  }

  logOf(rank: number): string | undefined {
    return this.#logs?.pathOf(rank, 'stderr');
  }

  #line(stream: StreamName, rank: number, text: string): void {
    this.#screen.line(stream, rank, text);
    this.#lineCount += 1;
    const tails = this.#tails[stream];
    const tail = tails.get(rank) ?? [];
    tail.push({ at: this.#lineCount, text });
    if (tail.length > TAIL_LINES) tail.shift();
    tails.set(rank, tail);
  }

  /** Any line of the result rank may be its last, so each is shown when the next one comes. */
  #hold(text: string): void {
    this.#showHeld();
    this.#heldResult = text;
    if (!this.#isHolding) this.#showHeld();
  }

  #showHeld(): void {
    if (this.#heldResult === undefined || this.#resultRank === undefined) return;
    this.#line('stdout', this.#resultRank, this.#heldResult);
    this.#heldResult = undefined;
  }
}
