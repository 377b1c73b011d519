/** Workers in processes of their own that a test commands, stops, wakes and kills (test/fixtures/commanded.ts). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { InitOptions } from '../../rpc/options.ts';
import { freePort } from './cluster.ts';
import { until } from './until.ts';

const SCRIPT = fileURLToPath(new URL('../fixtures/commanded.js', import.meta.url));
const START_LIMIT_MS = 40_000;
/** The token of every group, in no word that could come otherwise. */
export const TOKEN = 'canary-5f1c9e0b7d';

/** What a command of a process failed with. */
export class CommandError extends Error {
  readonly code: string;
  readonly peer: string | undefined;
  readonly stage: string | undefined;
  readonly maybeExecuted: boolean | undefined;

  constructor(failure: { code: string; message: string; peer?: string; stage?: string }) {
    super(failure.message);
    this.code = failure.code;
    this.peer = failure.peer;
    this.stage = failure.stage;
    this.maybeExecuted = (failure as { maybeExecuted?: boolean }).maybeExecuted;
  }
}

interface Line {
  readonly id?: number;
  readonly value?: unknown;
  readonly error?: ConstructorParameters<typeof CommandError>[0];
  readonly event?: string;
  readonly about?: string;
}

export class Commanded implements AsyncDisposable {
  readonly name: string;
  /** What it has said of others, oldest first: `dead worker1`. */
  readonly events: string[] = [];
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (line: Line) => void>();
  #next = 1;
  stdout = '';
  stderr = '';

  constructor(name: string, args: readonly string[]) {
    this.name = name;
    this.#child = spawn(process.execPath, [SCRIPT, name, ...args], {
      env: { ...process.env, GRADWIRE_TOKEN: TOKEN, NODE_OPTIONS: '' },
      stdio: 'pipe',
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    if (this.#child.stdout === null) throw new Error('no pipe');
    createInterface({ input: this.#child.stdout }).on('line', (text) => this.#take(text));
  }

  /** Does a command there; what it answers, or rejects with. */
  do<R = unknown>(what: string, ...args: unknown[]): Promise<R> {
    const id = this.#next++;
    this.#child.stdin?.write(`${JSON.stringify({ id, do: what, args })}\n`);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ value, error }) => {
        if (error === undefined) resolve(value as R);
        else reject(new CommandError(error));
      });
    });
  }

  /** Waits until it has said this of another, after what it had said when `from` was taken. */
  async saw(event: string, from = 0): Promise<void> {
    await until(() => {
      if (this.events.slice(from).includes(event)) return true;
      throw new Error(`${this.name} saw ${this.events.join(', ')}, not ${event}\n${this.stderr}`);
    }, START_LIMIT_MS);
  }

  /** Waits until it runs so many calls of others. */
  async serves(calls: number): Promise<void> {
    await until(async () => {
      const info = await this.do<Readonly<Record<string, number>>>('info');
      return info['agent.serverActiveCalls'] === calls;
    }, START_LIMIT_MS);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }

  #take(text: string): void {
    this.stdout += `${text}\n`;
    const line = JSON.parse(text) as Line;
    if (line.event !== undefined) this.events.push(`${line.event} ${line.about}`);
    if (line.id === undefined) return;
    this.#waiting.get(line.id)?.(line);
    this.#waiting.delete(line.id);
  }
}

/** A group of processes worker0, worker1, …; those that are dead or stopped at the end are no matter. */
export class CommandedGroup implements AsyncDisposable {
  readonly #members: Commanded[] = [];
  readonly #port: number;
  readonly #size: string;
  readonly #options: string;

  private constructor(port: number, size: number | 'dynamic', options: Partial<InitOptions>) {
    this.#port = port;
    this.#size = String(size);
    this.#options = JSON.stringify(options);
  }

  /** `count` workers, all there. */
  static async start(
    count: number,
    {
      size = count,
      ...options
    }: { readonly size?: number | 'dynamic' } & Partial<InitOptions> = {},
  ): Promise<CommandedGroup> {
    const group = new CommandedGroup(await freePort(), size, options);
    try {
      for (let rank = 0; rank < count; rank++) group.#add(rank);
      await Promise.all(group.#members.map((member) => member.saw(`ready ${member.name}`)));
      if (size === 'dynamic') {
        await until(async () => {
          const views = await Promise.all(group.#members.map((one) => one.do<string[]>('seen')));
          return views.every((seen) => seen.length === count);
        }, START_LIMIT_MS);
      }
      return group;
    } catch (error) {
      await group[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where the master listens. */
  get port(): number {
    return this.#port;
  }

  at(rank: number): Commanded {
    const member = this.#members[rank];
    if (member === undefined) throw new Error(`no rank ${rank}`);
    return member;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map((member) => member[Symbol.asyncDispose]()));
  }

  #add(rank: number): void {
    const args = [String(rank), this.#size, String(this.#port), this.#options];
    this.#members.push(new Commanded(`worker${rank}`, args));
  }
}
