/**
 * Whether the launcher's own output takes more: a reader that is slow slows the ranks instead of filling our memory, and
 * one that is gone holds nobody. Node writes to pipes asynchronously, so this does not come by itself.
 */

/** The part of `process.stdout` that is needed here. Files and terminals are written at once and never full. */
export interface Outlet {
  readonly writableNeedDrain?: boolean;
  on(event: 'drain' | 'error', listener: () => void): unknown;
  off(event: 'drain' | 'error', listener: () => void): unknown;
}

export class BackPressure {
  /** Those that are waited for, with what listens to their errors. */
  readonly #outlets = new Map<Outlet, () => void>();
  readonly #onDrain = () => this.#look();
  #room: Promise<void> | undefined;
  #resolve: (() => void) | undefined;

  constructor(outlets: readonly Outlet[]) {
    for (const outlet of outlets) {
      const onError = () => this.#forget(outlet);
      this.#outlets.set(outlet, onError);
      outlet.on('drain', this.#onDrain);
      outlet.on('error', onError);
    }
  }

  /** Resolves when there is room; undefined if there is. */
  room(): Promise<void> | undefined {
    if (!this.#isFull()) return undefined;
    this.#room ??= new Promise((resolve) => {
      this.#resolve = resolve;
    });
    return this.#room;
  }

  /** Nobody is waited for any more, and nobody is listened to. */
  release(): void {
    for (const outlet of [...this.#outlets.keys()]) this.#forget(outlet);
  }

  #isFull(): boolean {
    return [...this.#outlets.keys()].some(({ writableNeedDrain }) => writableNeedDrain === true);
  }

  #look(): void {
    if (this.#isFull()) return;
    this.#resolve?.();
    this.#room = undefined;
  }

  #forget(outlet: Outlet): void {
    const onError = this.#outlets.get(outlet);
    if (onError === undefined) return;
    this.#outlets.delete(outlet);
    outlet.off('drain', this.#onDrain);
    outlet.off('error', onError);
    this.#look();
  }
}
