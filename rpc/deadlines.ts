/**
 * Time limits of many waits with one timer: entries with a similar due time share a bucket, so that a call costs two Set
 * operations and no timer. Limits are met late by up to the resolution, never early (promise P4). The timer keeps the process
 * alive only while something is limited.
 */
import { outside } from '../tensor/index.ts';

const RESOLUTION_MS = 10;

export interface Deadline {
  /** Takes the limit away. Idempotent. */
  cancel(): void;
}

interface Entry extends Deadline {
  readonly expire: () => void;
}

export class Deadlines {
  readonly #buckets = new Map<number, Set<Entry>>();
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #timerBucket = Number.POSITIVE_INFINITY;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Calls `expire` once, after `timeoutMs`, unless cancelled before. Infinity: never. */
  add(timeoutMs: number, expire: () => void): Deadline {
    if (timeoutMs === Number.POSITIVE_INFINITY) return { cancel: () => {} };
    const due = Math.ceil((this.#now() + timeoutMs) / RESOLUTION_MS);
    const bucket = this.#buckets.get(due) ?? new Set<Entry>();
    this.#buckets.set(due, bucket);
    const entry: Entry = { expire, cancel: () => this.#remove(due, bucket, entry) };
    bucket.add(entry);
    this.#timer?.ref();
    if (due < this.#timerBucket) this.#arm(due);
    return entry;
  }

  /** Forgets every limit and stops the timer. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timerBucket = Number.POSITIVE_INFINITY;
    this.#buckets.clear();
  }

  #remove(due: number, bucket: Set<Entry>, entry: Entry): void {
    bucket.delete(entry);
    if (bucket.size > 0) return;
    // The timer stays armed for an emptied bucket: the next call would need it anyway.
    if (this.#buckets.get(due) === bucket) this.#buckets.delete(due);
    if (this.#buckets.size === 0) this.#timer?.unref();
  }

  #arm(due: number): void {
    clearTimeout(this.#timer);
    this.#timerBucket = due;
    const delay = Math.max(0, due * RESOLUTION_MS - this.#now());
    this.#timer = outside(() => setTimeout(() => this.#ring(), Math.min(delay, 2 ** 31 - 1)));
  }

  #ring(): void {
    this.#timerBucket = Number.POSITIVE_INFINITY;
    const now = this.#now() / RESOLUTION_MS;
    let next = Number.POSITIVE_INFINITY;
    for (const [due, bucket] of this.#buckets) {
      if (due > now) {
        next = Math.min(next, due);
        continue;
      }
      this.#buckets.delete(due);
      for (const entry of bucket) entry.expire();
    }
    if (next < this.#timerBucket) this.#arm(next);
  }
}
