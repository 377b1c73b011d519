/**
 * Processes that do one job together and answer a line of JSON with a line of JSON: ours or the peer's. Each says a line
 * when it has joined. Knows nothing of what is asked.
 */
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import type { Child } from './processes.ts';

/** How long an answer may take, that a process has joined included. */
const ANSWER_MS = 60_000;

/** How long a group may take to leave by itself. */
const LEAVE_MS = 10_000;

/** How long the peer's processes run before they are asked: TensorPipe's threads poll, and must first find a core each. */
const SETTLE_MS = 200;

/** Bytes of stderr that are kept to explain a failure. */
const TAIL = 4_000;

/** What is asked: the name of a command, and its arguments. */
export interface Request {
  readonly do: string;
  readonly [argument: string]: string | number;
}

/** The members of rank 0, 1, …; rank 0 serves and is never asked. */
export class Group implements AsyncDisposable {
  readonly #members: readonly Member[];
  readonly #callers: readonly Member[];
  readonly #isPeer: boolean;
  #hasFailed = false;

  private constructor(children: readonly Child[], isPeer: boolean) {
    this.#members = children.map((child) => new Member(child));
    this.#callers = this.#members.slice(1);
    this.#isPeer = isPeer;
  }

  /**
   * The group of these processes when all have joined, and what the server said of itself. A peer's group is stopped
   * whenever nothing is asked of it, since TensorPipe polls and would take half a core of each process from ours; and
   * it is killed in the end.
   */
  static async of<R>(
    children: readonly Child[],
    { isPeer }: { readonly isPeer: boolean },
  ): Promise<{ group: Group; about: R }> {
    const group = new Group(children, isPeer);
    try {
      const [about] = await Promise.all(group.#members.map((member) => member.answer()));
      group.#stop();
      return { group, about: about as R };
    } catch (error) {
      group.#kill();
      throw error;
    }
  }

  /** Asks all members but the server at once. @throws Error at the first that fails; the group is then over */
  async ask<R>(request: Request): Promise<readonly R[]> {
    try {
      await this.#resume();
      return (await Promise.all(this.#callers.map((caller) => caller.ask(request)))) as R[];
    } catch (error) {
      this.#kill();
      throw error;
    } finally {
      this.#stop();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isPeer || this.#hasFailed) {
      this.#kill();
      return;
    }
    for (const { child } of this.#members) child.process.stdin?.end();
    const timer = setTimeout(() => this.#kill(), LEAVE_MS);
    await Promise.all(this.#members.map(({ child }) => child.ended)).finally(() =>
      clearTimeout(timer),
    );
  }

  async #resume(): Promise<void> {
    if (!this.#isPeer) return;
    for (const { child } of this.#members) child.signal('SIGCONT');
    await wait(SETTLE_MS);
  }

  #stop(): void {
    if (this.#isPeer) for (const { child } of this.#members) child.signal('SIGSTOP');
  }

  #kill(): void {
    this.#hasFailed = true;
    for (const { child } of this.#members) child.kill();
  }
}

class Member {
  readonly child: Child;
  readonly #lines: AsyncIterator<string>;
  #stderr = '';

  constructor(child: Child) {
    this.child = child;
    const { stdin, stdout, stderr } = child.process;
    if (stdout === null) throw new Error('a member of a group has no pipes');
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    // That it is gone is told by its missing answer.
    stdin?.on('error', () => undefined);
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-TAIL);
    });
  }

  ask(request: Request): Promise<unknown> {
    this.child.process.stdin?.write(`${JSON.stringify(request)}\n`);
    return this.answer();
  }

  /** The next line of JSON. @throws Error with the text that the process gives for its failure */
  async answer(): Promise<unknown> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.child.kill();
    }, ANSWER_MS);
    try {
      for (;;) {
        const { done, value: line } = await this.#lines.next();
        if (done) break;
        if (!line.startsWith('{')) continue;
        const answer: { readonly error?: string } = JSON.parse(line);
        if (answer.error === undefined) return answer;
        throw new Error(answer.error);
      }
    } finally {
      clearTimeout(timer);
    }
    if (isLate) throw new Error(`no answer within ${ANSWER_MS / 1000} s`);
    const reason = await this.child.ended.then(
      () => 'ended before it answered',
      (error: Error) => error.message,
    );
    const said = this.#stderr.trimEnd().split('\n').at(-1) ?? '';
    throw new Error(said === '' ? reason : `${reason}: ${said}`);
  }
}
