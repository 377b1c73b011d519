/**
 * Draws the output of all ranks on the launcher's stdout and stderr: lines with a prefix, and at the bottom of a terminal
 * one status line for each rank that has one. Knows nothing of processes.
 */

/** The part of `process.stdout` that is needed here. */
export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export type StreamName = 'stdout' | 'stderr';

/** Foreground colours of the prefixes, by rank: cyan, yellow, green, magenta, blue. Red is left to errors. */
const COLORS = [36, 33, 32, 35, 34] as const;
/** Values of FORCE_COLOR that ask for colours, as Node reads it; any other asks for none. */
const FORCED_ON: readonly string[] = ['', '1', 'true', '2', '3'];
const ERASE_BELOW = '\x1b[J';
const WRAP_OFF = '\x1b[?7l';
const WRAP_ON = '\x1b[?7h';

export class Screen {
  readonly #sinks: Readonly<Record<StreamName, Sink>>;
  /** Whether prefixes are coloured; undefined: on a terminal. */
  readonly #isColored: boolean | undefined;
  readonly #status = new Map<number, string>();
  #drawnRows = 0;

  /**
   * @param env only FORCE_COLOR is read, as Node does, and NO_COLOR, in which any text turns colours off (no-color.org)
   */
  constructor(sinks: Readonly<Record<StreamName, Sink>>, env: NodeJS.ProcessEnv) {
    const { FORCE_COLOR, NO_COLOR = '' } = env;
    this.#sinks = sinks;
    if (FORCE_COLOR !== undefined) this.#isColored = FORCED_ON.includes(FORCE_COLOR);
    else this.#isColored = NO_COLOR === '' ? undefined : false;
  }

  /** A line of a rank, with its prefix. */
  line(stream: StreamName, rank: number, text: string): void {
    this.#print(stream, `${this.#prefix(stream, rank)} ${text}`);
  }

  /** Text of the launcher itself or the result of the job, as it is; may hold several lines. */
  plain(stream: StreamName, text: string): void {
    this.#print(stream, text);
  }

  /** Sets the status line of a rank; an empty text takes it away. Without a terminal on stdout there are none. */
  status(rank: number, text: string): void {
    if (this.#sinks.stdout.isTTY !== true || this.#status.get(rank) === text) return;
    const erase = this.#erased();
    if (text === '') this.#status.delete(rank);
    else this.#status.set(rank, text);
    this.#sinks.stdout.write(erase + this.#drawn());
  }

  /** Takes all status lines away. */
  close(): void {
    const erase = this.#erased();
    this.#status.clear();
    if (erase !== '') this.#sinks.stdout.write(erase);
  }

  #print(stream: StreamName, text: string): void {
    const { stdout, stderr } = this.#sinks;
    const erase = this.#erased();
    if (stream === 'stdout') {
      stdout.write(`${erase}${text}\n${this.#drawn()}`);
      return;
    }
    if (erase !== '') stdout.write(erase);
    stderr.write(`${text}\n`);
    const drawn = this.#drawn();
    if (drawn !== '') stdout.write(drawn);
  }

  #prefix(stream: StreamName, rank: number): string {
    const plain = `[${rank}]`;
    if (!(this.#isColored ?? this.#sinks[stream].isTTY)) return plain;
    return `\x1b[${COLORS[rank % COLORS.length]}m${plain}\x1b[39m`;
  }

  /** What takes the drawn status lines away; the cursor stands at the end of the last one. */
  #erased(): string {
    const rows = this.#drawnRows;
    this.#drawnRows = 0;
    if (rows === 0) return '';
    return `\r${rows > 1 ? `\x1b[${rows - 1}A` : ''}${ERASE_BELOW}`;
  }

  /** What draws the status lines by rank, each clipped to one row, and never more than the terminal has. */
  #drawn(): string {
    if (this.#status.size === 0) return '';
    // A terminal whose size nobody has set says 0.
    const columns = this.#sinks.stdout.columns || 80;
    const rows = this.#sinks.stdout.rows || 24;
    const lines = [...this.#status]
      .sort(([a], [b]) => a - b)
      .slice(0, Math.max(1, rows - 1))
      .map(([rank, text]) => {
        const room = Math.max(0, columns - `[${rank}] `.length);
        return `${this.#prefix('stdout', rank)} ${[...text].slice(0, room).join('')}`;
      });
    this.#drawnRows = lines.length;
    return `${WRAP_OFF}${lines.join('\n')}${WRAP_ON}`;
  }
}
