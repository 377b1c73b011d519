/** Waiting until something has become true of a state that is looked at on every change. */

/** What timers can count. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class Condition {
  readonly #watchers = new Set<() => void>();

  /** The state has changed. */
  changed(): void {
    for (const watch of [...this.#watchers]) watch();
  }

  /** Resolves with true once `isTrue`, or with false after `timeoutMs`. */
  until(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
    if (isTrue()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (outcome: boolean): void => {
        clearTimeout(timer);
        this.#watchers.delete(watch);
        resolve(outcome);
      };
      const watch = (): void => {
        if (isTrue()) end(true);
      };
      const timer = setTimeout(() => end(false), Math.min(timeoutMs, MAX_TIMER_MS));
      this.#watchers.add(watch);
    });
  }
}
