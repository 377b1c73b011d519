/** JSON Lines: a file that grows by one record a line, so that another program can follow a run. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { UsageError } from './args.ts';

/** A file of records, one JSON object on each line; each line is written whole. */
export class JsonLines {
  readonly #path: string;

  /** Empties the file. @throws UsageError if it cannot be written */
  constructor(path: string) {
    this.#path = path;
    this.#guard(() => writeFileSync(path, ''));
  }

  /** Adds a line. Numbers that are not finite become null. @throws UsageError if it cannot be written */
  write(record: object): void {
    this.#guard(() => appendFileSync(this.#path, `${JSON.stringify(record)}\n`));
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (cause) {
      throw new UsageError(`${this.#path}: cannot be written: ${(cause as Error).message}`, {
        cause,
      });
    }
  }
}
