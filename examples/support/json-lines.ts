/** JSON Lines: a file that grows by one record a line, so that another program can follow a run. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { UsageError } from './args.ts';

/** A file of records, one JSON object on each line; each line is written whole. */
export class JsonLines implements Disposable {
  readonly #path: string;
  readonly #file: number;

  /** Empties the file. @throws UsageError if it cannot be written */
  constructor(path: string) {
    this.#path = path;
    this.#file = this.#guard(() => openSync(path, 'w'));
  }

  /** Adds a line. Numbers that are not finite become null. @throws UsageError if it cannot be written */
  write(record: object): void {
    this.#guard(() => writeFileSync(this.#file, `${JSON.stringify(record)}\n`));
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  #guard<T>(action: () => T): T {
    try {
      return action();
    } catch (cause) {
      throw new UsageError(`${this.#path}: cannot be written: ${(cause as Error).message}`, {
        cause,
      });
    }
  }
}
