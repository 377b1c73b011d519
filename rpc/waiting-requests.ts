/**
 * Which requests must wait before code of the user runs: those with references that their owners do not count yet, and, so
 * that requests of one worker about one object run in the order in which they came, those behind them. Most wait for
 * nothing, which costs nothing.
 */
import { disposeReferences } from './discard.ts';
import type { MessageKind } from './message.ts';
import type { Handle } from './rref.ts';

/** A request as far as its turn depends on it. */
export interface Coming {
  /** Rank of the caller. */
  readonly peer: number;
  readonly kind: MessageKind;
  readonly head: unknown;
  readonly body: unknown;
}

export class WaitingRequests {
  /** The last one that waits, by caller and object. */
  readonly #last = new Map<string, Promise<void>>();

  /** Resolves when the request may run; undefined: now. Rejects with what became of a reference that is lost. */
  before(request: Coming, unconfirmed: readonly Handle[]): Promise<void> | undefined {
    if (unconfirmed.length === 0 && this.#last.size === 0) return undefined;
    const object = objectOf(request);
    const key = object === undefined ? undefined : `${request.peer} ${object}`;
    const earlier = key === undefined ? undefined : this.#last.get(key);
    if (unconfirmed.length === 0 && earlier === undefined) return undefined;
    const confirmed = unconfirmed.map((handle) => handle.host.references.confirmation(handle));
    const ready = Promise.all([earlier, ...confirmed]).then(
      () => {},
      (error) => {
        disposeReferences(request.body);
        throw error;
      },
    );
    if (key === undefined) return ready;
    const over = ready
      .catch(() => {})
      .then(() => {
        if (this.#last.get(key) === over) this.#last.delete(key);
      });
    this.#last.set(key, over);
    return ready;
  }
}

/** Id of the object that the request is about. */
function objectOf({ kind, head }: Coming): unknown {
  if (!Array.isArray(head)) return undefined;
  if (kind === 'method' || kind === 'fetch') return head[0];
  return kind === 'remote' && head.length > 3 ? head[2] : undefined;
}
