/**
 * The files of `--log-dir`: what each rank writes, as DIR/RUN_ID/RANK/stdout.log and stderr.log (torchrun has the number
 * of the attempt between them; nothing is restarted here). Lines are written as they come, without prefix and without
 * live progress. Writing is synchronous, like that to the launcher's own output: a rank that writes faster than the disk
 * waits, nothing is collected in memory, and what was written is there however the launcher ends.
 */
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Piece } from './lines.ts';
import type { StreamName } from './terminal.ts';
import { UsageError } from './usage-error.ts';

export interface RankLogsSpec {
  /** Made if it is missing. */
  readonly dir: string;
  readonly runId: string;
  readonly worldSize: number;
}

export class RankLogs {
  /** Absolute name of the folder of this run. */
  readonly folder: string;
  readonly #files = new Map<string, number>();
  #onFailure: (text: string) => void = () => undefined;

  /** @throws UsageError if a file cannot be written; then none is left open */
  constructor({ dir, runId, worldSize }: RankLogsSpec) {
    this.folder = resolve(dir, runId);
    try {
      for (let rank = 0; rank < worldSize; rank++) {
        makeFolder(join(this.folder, String(rank)));
        for (const stream of ['stdout', 'stderr'] as const) {
          const path = this.pathOf(rank, stream);
          this.#files.set(path, openSync(path, 'w'));
        }
      }
    } catch (error) {
      this.close();
      throw new UsageError(`--log-dir ${dir} cannot be written: ${(error as Error).message}`);
    }
  }

  /** Who is told, in one line, that a file cannot be written any further. The job goes on. */
  set onFailure(listener: (text: string) => void) {
    this.#onFailure = listener;
  }

  pathOf(rank: number, stream: StreamName): string {
    return join(this.folder, String(rank), `${stream}.log`);
  }

  write(rank: number, stream: StreamName, pieces: readonly Piece[]): void {
    const path = this.pathOf(rank, stream);
    const file = this.#files.get(path);
    const text = pieces
      .map(({ kind, text, isCut }) => (kind === 'status' ? '' : `${text}${isCut ? '' : '\n'}`))
      .join('');
    if (file === undefined || text === '') return;
    try {
      writeFileSync(file, text);
    } catch (error) {
      this.#end(path, file);
      this.#onFailure(`gradwire: ${path} ends here: ${(error as Error).message}`);
    }
  }

  close(): void {
    for (const [path, file] of this.#files) this.#end(path, file);
  }

  #end(path: string, file: number): void {
    this.#files.delete(path);
    closeSync(file);
  }
}

/** With the folders around it. (Node's own way never ends where one cannot be made for want of its parent, as in /proc.) */
function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    makeFolder(dirname(path));
    mkdirSync(path);
  }
}
