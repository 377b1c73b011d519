/**
 * The ranks of one run together: the first failure ends all, signals are passed on. Owns every process, timer and
 * listener, and has released them all when `run` resolves.
 */
import { hostname } from 'node:os';
import { type Failures, failureReport, orderFailures } from './failures.ts';
import type { JobOutput } from './job-output.ts';
import {
  exitCodeOf,
  type RankEnd,
  type RankProcess,
  type RankSpec,
  signalExitCode,
  startRank,
} from './launch.ts';
import { Reaper } from './reaper.ts';

/**
 * Time that the other ranks have after a failure to notice it, say so and end by themselves. What fails in it is told in
 * one report, in order. A dead peer is noticed within milliseconds; the rest is for what they have to clear away.
 */
const NOTICE_GRACE_MS = 2000;
/** Time between SIGTERM and SIGKILL for the ranks that are left then. */
const STOP_GRACE_MS = 5000;
/** The same after a signal that was passed on: ranks may save their work. Docker and Kubernetes wait no longer either. */
const INTERRUPT_GRACE_MS = 30_000;
const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export type JobSpec = Omit<RankSpec, 'rank'>;

export class Job {
  readonly #spec: JobSpec;
  readonly #output: JobOutput;
  readonly #running = new Set<RankProcess>();
  /** Ends of the ranks that failed before any was stopped. */
  readonly #failed: Promise<RankEnd>[] = [];
  #reaper: Reaper | undefined;
  #interruption: NodeJS.Signals | undefined;
  #isStopping = false;
  #noticeTimer: NodeJS.Timeout | undefined;
  #killTimer: NodeJS.Timeout | undefined;
  /** The failures, once they are reported. */
  #reported: Promise<Failures | undefined> = Promise.resolve(undefined);

  constructor(spec: JobSpec, output: JobOutput) {
    this.#spec = spec;
    this.#output = output;
  }

  /** Runs all ranks to their end; resolves to the exit code of the launcher. */
  async run(): Promise<number> {
    const onSignal = (signal: NodeJS.Signals) => this.#interrupt(signal);
    // The reader of our output is gone (`gradwire run … | head`): nobody wants the rest.
    const onBrokenOutput = () => this.#abandon();
    for (const signal of PASSED_ON) process.on(signal, onSignal);
    process.stdout.on('error', onBrokenOutput);
    try {
      this.#reaper = new Reaper();
      const ranks = Array.from({ length: this.#spec.worldSize }, (_, rank) => this.#start(rank));
      await Promise.all(ranks.map((rank) => this.#follow(rank)));
      return this.#exitCode(await this.#reported);
    } finally {
      clearTimeout(this.#noticeTimer);
      clearTimeout(this.#killTimer);
      this.#signalAll('SIGKILL');
      await this.#reaper?.close();
      for (const signal of PASSED_ON) process.off(signal, onSignal);
      process.stdout.off('error', onBrokenOutput);
      this.#output.close();
    }
  }

  #start(rank: number): RankProcess {
    const started = startRank({ ...this.#spec, rank }, (stream, pieces) =>
      this.#output.take(rank, stream, pieces),
    );
    this.#running.add(started);
    if (started.pid !== undefined) this.#reaper?.add(started.pid);
    return started;
  }

  async #follow(rank: RankProcess): Promise<void> {
    const exit = await rank.exited;
    this.#running.delete(rank);
    if (rank.pid !== undefined) this.#reaper?.drop(rank.pid);
    if (exitCodeOf(exit) !== 0 && !this.#isStopping && this.#interruption === undefined) {
      this.#failed.push(rank.closed);
      this.#noticeTimer ??= setTimeout(() => this.#stopRest(), NOTICE_GRACE_MS);
    }
    // Nobody is left to be given time.
    if (this.#running.size === 0 && this.#failed.length > 0) this.#stopRest();
    await rank.closed;
  }

  /** The time to notice is over: reports what failed, and stops what runs. */
  #stopRest(): void {
    if (this.#isStopping) return;
    const running = [...this.#running].map(({ rank }) => rank);
    this.#stop();
    this.#reported = Promise.all(this.#failed).then((ends) => this.#report(ends, running));
  }

  #report(ends: readonly RankEnd[], running: readonly number[]): Failures | undefined {
    const output = this.#output;
    output.release();
    const failures = orderFailures(ends);
    if (failures === undefined) return undefined;
    const tailOf = (rank: number) => output.tailOf(rank);
    const logOf = (rank: number) => output.logOf(rank);
    output.say(failureReport(failures, { host: hostname(), tailOf, logOf, running }));
    return failures;
  }

  #stop(): void {
    this.#isStopping = true;
    this.#signalAll('SIGTERM');
    this.#killTimer ??= setTimeout(() => this.#signalAll('SIGKILL'), STOP_GRACE_MS);
  }

  #interrupt(signal: NodeJS.Signals): void {
    if (this.#interruption !== undefined) {
      this.#output.hurry();
      this.#signalAll('SIGKILL');
      return;
    }
    this.#interruption = signal;
    const seconds = INTERRUPT_GRACE_MS / 1000;
    this.#output.say(
      `gradwire: passing ${signal} on to all ranks, which are killed after ${seconds} s, or at once by another signal`,
    );
    this.#signalAll(signal);
    this.#killTimer ??= setTimeout(() => this.#signalAll('SIGKILL'), INTERRUPT_GRACE_MS);
  }

  #abandon(): void {
    this.#interruption ??= 'SIGPIPE';
    this.#output.hurry();
    this.#stop();
  }

  #signalAll(signal: NodeJS.Signals): void {
    for (const rank of this.#running) rank.signal(signal);
  }

  #exitCode(failures: Failures | undefined): number {
    if (failures !== undefined) return exitCodeOf(failures.first);
    if (this.#interruption === undefined) return 0;
    this.#output.release();
    return signalExitCode(this.#interruption);
  }
}
