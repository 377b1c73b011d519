/** Priority queue of numbers, largest first: the order in which a backward pass runs nodes. */

export class MaxHeap {
  readonly #items: number[] = [];

  get size(): number {
    return this.#items.length;
  }

  push(value: number): void {
    const items = this.#items;
    let at = items.length;
    items.push(value);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] as number;
      if (above >= value) break;
      items[at] = above;
      at = parent;
    }
    items[at] = value;
  }

  /** Takes the largest number out; undefined if there is none. */
  pop(): number | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= items.length) break;
      const right = left + 1;
      const isRight = right < items.length && (items[right] as number) > (items[left] as number);
      const child = isRight ? right : left;
      const below = items[child] as number;
      if (below <= last) break;
      items[at] = below;
      at = child;
    }
    items[at] = last;
    return top;
  }

  clear(): void {
    this.#items.length = 0;
  }
}
