/** What creations made, shared by all references to one object: it is freed with the last of them. */
import { freeStored } from '../tensor/index.ts';
import { quietly } from './quietly.ts';

export interface Made {
  readonly value: unknown;
  /** Frees what the creation made; may run code of the user. */
  readonly free: () => unknown;
}

interface Hold {
  count: number;
  readonly free: (() => unknown)[];
}

export class Holds {
  readonly #byObject = new Map<object, Hold>();

  /** One more reference to the object; a value that is no object is nobody else's. */
  add({ value, free }: Made): void {
    if (!isObject(value)) return;
    const hold = this.#byObject.get(value) ?? { count: 0, free: [] };
    hold.count++;
    hold.free.push(free);
    this.#byObject.set(value, hold);
  }

  /** One reference less. Never throws: everything is freed, whatever the user's own code for it does. */
  drop({ value, free }: Made): void {
    if (!isObject(value)) return quietly('freeing', free);
    const hold = this.#byObject.get(value);
    if (hold === undefined || --hold.count > 0) return;
    this.#byObject.delete(value);
    for (const freeOne of hold.free) quietly('freeing', freeOne);
    quietly('freeing', () => freeStored(value));
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
