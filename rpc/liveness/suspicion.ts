/**
 * When a silent peer is suspected, and when it counts as dead: one observer's view of those that it watches. Takes one event
 * at a time and says what follows. Only time in which the observer itself ran counts as silence: one that was stopped, or on
 * a machine that slept, blames nobody. Pure: the clock is an argument, and beats and links are others' business.
 */

/** How much silence is borne from one peer, in ms. */
export interface Patience {
  /** From here on it is suspected. */
  readonly suspectAfterMs: number;
  /** From here on it is dead. */
  readonly deadAfterMs: number;
  /** The same, once another member has said that it is dead. */
  readonly confirmAfterMs: number;
}

export type SuspicionEvent =
  | { readonly type: 'watch'; readonly key: string; readonly patience: Patience }
  | { readonly type: 'unwatch'; readonly key: string }
  /** A sign of life. */
  | { readonly type: 'beat'; readonly key: string }
  /** Another member says that this one is dead. One whose own link works knows better. */
  | { readonly type: 'accused'; readonly key: string }
  /** Time has passed; must come at least every `MAX_STEP_MS`. */
  | { readonly type: 'tick' };

export interface SuspicionEffect {
  /** `dead` comes once, and nothing after it. */
  readonly type: 'suspected' | 'alive' | 'dead';
  readonly key: string;
  readonly silentMs: number;
}

/** The most that the time between two events counts: what is beyond, the observer did not run. */
export const MAX_STEP_MS = 250;

interface Watched {
  readonly patience: Patience;
  /** By the observer's own running time. */
  heardAt: number;
  state: 'alive' | 'suspected' | 'dead';
  isAccused: boolean;
}

const NOTHING: readonly never[] = [];

export class Suspicion {
  readonly #watched = new Map<string, Watched>();
  #lastAt: number | undefined;
  /** For how long the observer has run, in ms. */
  #ranMs = 0;

  /** @param now ms of a clock that never goes back */
  step(event: SuspicionEvent, now: number): readonly SuspicionEffect[] {
    this.#ranMs += Math.min(Math.max(0, now - (this.#lastAt ?? now)), MAX_STEP_MS);
    this.#lastAt = now;
    if (event.type === 'tick')
      return [...this.#watched].flatMap(([key, one]) => this.#judge(key, one));
    const { key } = event;
    if (event.type === 'watch') {
      const { patience } = event;
      this.#watched.set(key, { patience, heardAt: this.#ranMs, state: 'alive', isAccused: false });
    } else if (event.type === 'unwatch') this.#watched.delete(key);
    const watched = this.#watched.get(key);
    if (watched === undefined || watched.state === 'dead') return NOTHING;
    if (event.type === 'beat') return this.#heard(key, watched);
    watched.isAccused ||= event.type === 'accused';
    return this.#judge(key, watched);
  }

  /** Whether this peer is watched and gives signs of life. */
  isAlive(key: string): boolean {
    return this.#watched.get(key)?.state === 'alive';
  }

  #heard(key: string, watched: Watched): readonly SuspicionEffect[] {
    const silentMs = this.#ranMs - watched.heardAt;
    const wasSuspected = watched.state === 'suspected';
    watched.heardAt = this.#ranMs;
    watched.state = 'alive';
    watched.isAccused = false;
    return wasSuspected ? [{ type: 'alive', key, silentMs }] : NOTHING;
  }

  #judge(key: string, watched: Watched): readonly SuspicionEffect[] {
    const { patience, heardAt, state, isAccused } = watched;
    if (state === 'dead') return NOTHING;
    const silentMs = this.#ranMs - heardAt;
    const isOver = silentMs >= (isAccused ? patience.confirmAfterMs : patience.deadAfterMs);
    if (isOver) watched.state = 'dead';
    else if (state === 'alive' && silentMs >= patience.suspectAfterMs) watched.state = 'suspected';
    return watched.state === state ? NOTHING : [{ type: watched.state, key, silentMs }];
  }
}
