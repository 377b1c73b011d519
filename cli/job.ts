/**
 * The ranks of one run together: the first failure ends all, signals are passed on, the result line comes last. Owns
 * every process, timer and listener, and has released them all when `run` resolves.
 */
import {
  exitCodeOf,
  type RankExit,
  type RankProcess,
  type RankSpec,
  signalExitCode,
  startRank,
} from './launch.ts';
import type { Piece } from './lines.ts';
import type { Screen, StreamName } from './terminal.ts';

/** Time between SIGTERM and SIGKILL for the ranks that are left after a failure. */
const STOP_GRACE_MS = 5000;
/** How many of the failing rank's last stderr lines its report repeats. */
const TAIL_LINES = 10;
const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface JobSpec extends Omit<RankSpec, 'rank'> {
  readonly resultRank: number | undefined;
}

/** A stderr line of a rank, with the number of the line on the screen. */
interface TailLine {
  readonly at: number;
  readonly text: string;
}

export class Job {
  readonly #spec: JobSpec;
  readonly #screen: Screen;
  readonly #ranks: RankProcess[] = [];
  readonly #tails: TailLine[][] = [];
  #lineCount = 0;
  #heldResult: string | undefined;
  #failure: RankExit | undefined;
  #interruption: NodeJS.Signals | undefined;
  #killTimer: NodeJS.Timeout | undefined;

  constructor(spec: JobSpec, screen: Screen) {
    this.#spec = spec;
    this.#screen = screen;
  }

  /** Runs all ranks to their end; resolves to the exit code of the launcher. */
  async run(): Promise<number> {
    const onSignal = (signal: NodeJS.Signals) => this.#interrupt(signal);
    // The reader of our output is gone (`gradwire run … | head`): nobody wants the rest.
    const onBrokenOutput = () => this.#abandon();
    for (const signal of PASSED_ON) process.on(signal, onSignal);
    process.stdout.on('error', onBrokenOutput);
    try {
      for (let rank = 0; rank < this.#spec.worldSize; rank++) this.#start(rank);
      await Promise.all(this.#ranks.map((rank) => this.#follow(rank)));
      return this.#finish();
    } finally {
      clearTimeout(this.#killTimer);
      this.#signalAll('SIGKILL');
      for (const signal of PASSED_ON) process.off(signal, onSignal);
      process.stdout.off('error', onBrokenOutput);
      this.#screen.close();
    }
  }

  #start(rank: number): void {
    this.#tails[rank] = [];
    this.#ranks.push(
      startRank({ ...this.#spec, rank }, (stream, piece) => this.#output(rank, stream, piece)),
    );
  }

  async #follow(process: RankProcess): Promise<void> {
    const exit = await process.exited;
    const isFirstFailure =
      exitCodeOf(exit) !== 0 && this.#failure === undefined && this.#interruption === undefined;
    if (isFirstFailure) {
      this.#failure = exit;
      this.#stop();
    }
    await process.closed;
    if (isFirstFailure) this.#report(exit);
  }

  #output(rank: number, stream: StreamName, { kind, text }: Piece): void {
    if (kind === 'status') this.#screen.status(rank, text);
    else if (stream === 'stdout' && rank === this.#spec.resultRank) this.#hold(text);
    else this.#line(stream, rank, text);
  }

  #line(stream: StreamName, rank: number, text: string): void {
    this.#screen.line(stream, rank, text);
    this.#lineCount += 1;
    if (stream === 'stdout') return;
    const tail = this.#tails[rank];
    tail?.push({ at: this.#lineCount, text });
    if (tail !== undefined && tail.length > TAIL_LINES) tail.shift();
  }

  /** Any line of the result rank may be its last, so each is shown when the next one comes. */
  #hold(text: string): void {
    this.#releaseHeld();
    this.#heldResult = text;
    if (this.#failure !== undefined) this.#releaseHeld();
  }

  #releaseHeld(): void {
    const { resultRank } = this.#spec;
    if (this.#heldResult === undefined || resultRank === undefined) return;
    this.#line('stdout', resultRank, this.#heldResult);
    this.#heldResult = undefined;
  }

  #stop(): void {
    this.#signalAll('SIGTERM');
    this.#killTimer ??= setTimeout(() => this.#signalAll('SIGKILL'), STOP_GRACE_MS);
  }

  #interrupt(signal: NodeJS.Signals): void {
    if (this.#interruption !== undefined) {
      this.#signalAll('SIGKILL');
      return;
    }
    this.#interruption = signal;
    this.#screen.plain(
      'stderr',
      `gradwire: passing ${signal} on to all ranks; once more kills them`,
    );
    this.#signalAll(signal);
  }

  #abandon(): void {
    this.#interruption ??= 'SIGPIPE';
    this.#stop();
  }

  #signalAll(signal: NodeJS.Signals): void {
    for (const rank of this.#ranks) rank.signal(signal);
  }

  #report(exit: RankExit): void {
    this.#releaseHeld();
    const others = this.#spec.worldSize > 1 ? '; the other ranks are stopped' : '';
    const lines = [`gradwire: rank ${exit.rank} ${describe(exit)}${others}`];
    const tail = this.#tails[exit.rank] ?? [];
    const [first] = tail;
    const isRightAbove = first !== undefined && this.#lineCount - first.at === tail.length - 1;
    if (first !== undefined && !isRightAbove) {
      lines.push(`gradwire: rank ${exit.rank} last wrote to stderr:`);
      lines.push(...tail.map(({ text }) => `    ${text}`));
    }
    this.#screen.plain('stderr', lines.join('\n'));
  }

  #finish(): number {
    if (this.#failure !== undefined || this.#interruption !== undefined) this.#releaseHeld();
    this.#screen.close();
    if (this.#failure !== undefined) return exitCodeOf(this.#failure);
    if (this.#interruption !== undefined) return signalExitCode(this.#interruption);
    if (this.#heldResult !== undefined) this.#screen.plain('stdout', this.#heldResult);
    return 0;
  }
}

function describe({ code, signal, startError }: RankExit): string {
  if (startError !== undefined) return `could not be started: ${startError}`;
  if (signal !== null) return `was killed by ${signal}`;
  return `failed with exit code ${code}`;
}
