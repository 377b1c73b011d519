/**
 * A request that is being handled: until when its caller waits, and how its handler hears that nobody waits any more. Costs
 * no timer and no controller unless the handler asks for the signal. Carries promise P5. Knows nothing of messages.
 */
import { GradwireError } from '../errors.ts';
import type { Deadline, Deadlines } from './deadlines.ts';

export class RunningCall {
  /** Rank of the caller. */
  readonly peer: number;
  /** Id of the request, by which its caller speaks of it. */
  readonly id: number;
  /** When its time is over, by `performance.now()`. */
  until: number = Number.POSITIVE_INFINITY;
  /** Is told, before the handler, that nobody waits any more. */
  onStop: (() => void) | undefined;
  /** More items of a stream may come, if it is one. */
  onCredit: ((items: number) => void) | undefined;
  readonly #deadlines: Deadlines;
  #controller: AbortController | undefined;
  #deadline: Deadline | undefined;
  #reason: GradwireError | undefined;
  #isOver = false;
  #hasHeard = false;
  #stoppedAt: number = Number.POSITIVE_INFINITY;

  constructor(peer: number, id: number, deadlines: Deadlines) {
    this.peer = peer;
    this.id = id;
    this.#deadlines = deadlines;
  }

  /** Whether it has been answered. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether its caller is known to wait no longer, by its own word or by its death. */
  get isStopped(): boolean {
    return this.#reason !== undefined;
  }

  /** Whether its handler was told that its time is over: what it makes of that is no answer, and its caller's time is over too. */
  get hasHeardDeadline(): boolean {
    return this.#hasHeard;
  }

  /** When its caller stops waiting, as far as is known, by `performance.now()`. */
  get awaitedUntil(): number {
    return Math.min(this.until, this.#stoppedAt);
  }

  /** For how long its caller still waits, in ms. */
  get remainingMs(): number {
    return Math.max(0, this.until - performance.now());
  }

  /** Aborts when the caller cancels, dies, or its deadline passes, until the call is over. */
  get signal(): AbortSignal {
    if (this.#controller !== undefined) return this.#controller.signal;
    this.#controller = new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    else if (!this.#isOver) {
      this.#deadline = this.#deadlines.add(this.remainingMs, () => {
        this.#hasHeard = true;
        const message = 'the deadline of the call being handled has passed';
        this.#controller?.abort(new GradwireError('deadline_exceeded', message));
      });
    }
    return this.#controller.signal;
  }

  /** @throws GradwireError the reason, if its caller waits no longer */
  throwIfStopped(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  /** The caller waits no longer. */
  stop(reason: GradwireError): void {
    if (this.#isOver || this.#reason !== undefined) return;
    this.#reason = reason;
    this.#stoppedAt = performance.now();
    this.#deadline?.cancel();
    this.onStop?.();
    this.#controller?.abort(reason);
  }

  /** The handler is done. */
  end(): void {
    this.#isOver = true;
    this.#deadline?.cancel();
  }
}
