/**
 * Which requests have come by one connection, so that one that comes twice is not run twice (guarantee G7). A carrier delivers each once;
 * this is for one that does not, for faults that are injected, and for a peer that is not what it seems. Costs one look at
 * an array; an id is known until one that is the same in its lowest bits comes: for that many later requests.
 */

const REMEMBERED = 1024;

export class SeenIds {
  /** Made with the first: most connections of a large group carry few requests. */
  #slots: Uint32Array | undefined;

  /** Whether the id, which is not 0, comes for the first time. */
  isNew(id: number): boolean {
    this.#slots ??= new Uint32Array(REMEMBERED);
    const slot = id % REMEMBERED;
    if (this.#slots[slot] === id) return false;
    this.#slots[slot] = id;
    return true;
  }
}
