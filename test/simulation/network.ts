/**
 * Virtual time, and connections whose control packets are lost, doubled, delayed and swapped. Calls are delayed and swapped
 * too, but come at most once and are lost only with their connection. Each end learns of a connection's end in its
 * own time.
 */
import type { Random } from './random.ts';

const { max } = Math;

export interface End {
  readonly rank: number;
  isAlive: boolean;
  /** The connection to a peer is over. */
  gone(rank: number): void;
}

export class Clock {
  now = 0;
  readonly #queue: { at: number; order: number; work: () => void }[] = [];
  #order = 0;

  after(ms: number, work: () => void): void {
    const entry = { at: this.now + ms, order: this.#order++, work };
    // A heap: schedules are long.
    const queue = this.#queue;
    let i = queue.push(entry) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!earlier(entry, queue[up])) break;
      queue[i] = queue[up] as typeof entry;
      i = up;
    }
    queue[i] = entry;
  }

  /** Runs all that is due until `until`. */
  run(until: number): void {
    for (let top = this.#queue[0]; top !== undefined && top.at <= until; top = this.#queue[0]) {
      this.#pop();
      this.now = max(this.now, top.at);
      top.work();
    }
    this.now = until;
  }

  #pop(): void {
    const queue = this.#queue;
    const last = queue.pop();
    if (last === undefined || queue.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= queue.length) break;
      if (child + 1 < queue.length && earlier(queue[child + 1], queue[child])) child++;
      if (!earlier(queue[child], last)) break;
      queue[i] = queue[child] as typeof last;
      i = child;
    }
    queue[i] = last;
  }
}

type Timed = { at: number; order: number } | undefined;

function earlier(a: Timed, b: Timed): boolean {
  if (a === undefined || b === undefined) return false;
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

export interface Weather {
  readonly loss: number;
  readonly doubling: number;
  readonly delayMs: number;
}

export class Connection {
  readonly ends: readonly [End, End];
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #open: Set<End>;
  /** Nothing passes before this time. */
  mutedUntil = 0;

  constructor(ends: readonly [End, End], clock: Clock, random: Random, weather: Weather) {
    this.ends = ends;
    this.#open = new Set(ends);
    this.#clock = clock;
    this.#random = random;
    this.#weather = weather;
  }

  isOpenAt(end: End): boolean {
    return this.#open.has(end);
  }

  other(end: End): End {
    return end === this.ends[0] ? this.ends[1] : this.ends[0];
  }

  /** May come never, once or twice. */
  sendControl(from: End, deliver: () => void): void {
    const { loss, doubling } = this.#weather;
    const copies = this.#random.chance(loss) ? 0 : this.#random.chance(doubling) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.mutedUntil <= this.#clock.now) this.#arriveAt(this.other(from), deliver, 0);
    }
  }

  /** Comes once, unless the connection ends. */
  sendCall(from: End, deliver: () => void): void {
    this.#arriveAt(this.other(from), deliver, max(0, this.mutedUntil - this.#clock.now));
  }

  /** Ends it at one end now and at the other later. */
  close(by: End): void {
    this.#closeAt(by);
    const healMs = max(0, this.mutedUntil - this.#clock.now);
    const other = this.other(by);
    this.#clock.after(healMs + this.#random.below(60), () => this.#closeAt(other));
  }

  #closeAt(end: End): void {
    if (!this.#open.delete(end) || !end.isAlive) return;
    end.gone(this.other(end).rank);
  }

  #arriveAt(to: End, deliver: () => void, heldMs: number): void {
    this.#clock.after(heldMs + 1 + this.#random.below(this.#weather.delayMs), () => {
      if (to.isAlive && this.#open.has(to)) deliver();
    });
  }
}
