/**
 * Workers killed and stopped at every step of the upkeep of references (F18, F19, F20): never a leak, never an early free.
 * Guarantees G1 and G2. The worker whose turn it is injects the fault itself, at the nth message of a kind that it sends or
 * reads; the sweep goes on until the scenario ends before there is an nth. Whole in `npm run test:long`.
 */
import { expect, test } from '@jest/globals';
import { freePort } from '../support/cluster.ts';
import { Commanded } from '../support/commanded.ts';
import { until } from '../support/until.ts';

const LIMIT_MS = process.env['GRADWIRE_TEST_LONG'] === '1' ? 1_800_000 : 180_000;
const isLong = process.env['GRADWIRE_TEST_LONG'] === '1';
/** The bound of point 2: the owner's count is back at its base within that time of the death. */
const BACK_MS = 10_000;
/** Faster than the defaults, with a margin for a crowded machine. */
const FAST = { heartbeatMs: 200, deadAfterMs: 2_000 };

class Sharing implements AsyncDisposable {
  readonly #port: number;
  readonly #members: (Commanded | undefined)[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  at(rank: number): Commanded {
    const member = this.#members[rank];
    if (member === undefined) throw new Error(`no rank ${rank}`);
    return member;
  }

  /** A worker joins, in the place of one that has ended. @param chaos the fault that it injects */
  async join(rank: number, chaos?: string): Promise<void> {
    await this.#members[rank]?.[Symbol.asyncDispose]();
    const options = { ...FAST, initTimeoutMs: 40_000, ...(chaos !== undefined && { chaos }) };
    const args = [String(rank), 'dynamic', String(this.#port), JSON.stringify(options)];
    const member = new Commanded(`worker${rank}`, args);
    this.#members[rank] = member;
    await member.saw(`ready worker${rank}`);
  }

  /** All there see so many. */
  async complete(count: number): Promise<void> {
    await until(async () => {
      const seen = await Promise.all(this.#members.map((one) => one?.do<string[]>('seen')));
      return seen.every((names) => names?.length === count);
    }, 40_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map((member) => member?.[Symbol.asyncDispose]()));
  }
}

/** Objects that a worker keeps, and copies that it holds. */
async function held(member: Commanded): Promise<number> {
  const info = await member.do<Readonly<Record<string, number>>>('info');
  const keys = ['rref.numOwnerRrefs', 'rref.numLocalObjects', 'rref.numUserRrefs'];
  return keys.reduce((sum, key) => sum + (info[key] ?? 0), 0);
}

/** It holds nothing any more. */
async function empty(member: Commanded): Promise<void> {
  await until(async () => {
    const count = await held(member);
    if (count === 0) return true;
    throw new Error(`${member.name} still holds ${count}`);
  }, BACK_MS);
}

test(
  'F19: a user killed with 1,000 references leaves nothing at their owner within 10 s',
  async () => {
    await using group = new Sharing(await freePort());
    for (const rank of [0, 1]) await group.join(rank);
    await group.complete(2);
    await group.at(1).do('makeMany', 'worker0', 1_000);
    expect(await held(group.at(0))).toBe(1_000);
    group.at(1).signal('SIGKILL');
    await empty(group.at(0));
  },
  LIMIT_MS,
);

test(
  'F18: the owner is killed: whoever holds a reference hears owner_died, and lets go of it',
  async () => {
    await using group = new Sharing(await freePort());
    for (const rank of [0, 1, 2]) await group.join(rank);
    await group.complete(3);
    await group.at(1).do('make', 'worker2');
    await group.at(1).do('give', 0, 'worker0');
    group.at(2).signal('SIGKILL');
    for (const rank of [0, 1]) {
      await group.at(rank).saw('dead worker2');
      const use = group.at(rank).do('use', 0);
      await expect(use).rejects.toMatchObject({ code: 'owner_died', peer: 'worker2' });
      await group.at(rank).do('drop');
      await empty(group.at(rank));
    }
  },
  LIMIT_MS,
);

/** Worker 1 makes an object on worker 0, gives worker 2 a copy, and both let go. Stops where the fault strikes. */
async function share(group: Sharing): Promise<void> {
  await group.at(1).do('make', 'worker0');
  await group.at(1).do('give', 0, 'worker2');
  await group.at(1).do('drop');
  await group.at(2).do('use', 0);
  await group.at(2).do('drop');
}

/** Kinds of messages that worker 1 or 2 sends or reads in the scenario. */
const KINDS = ['references', 'references.received', 'remote', 'call', 'call.received', 'method'];
const STRIKES = [1, 2].flatMap((victim) =>
  KINDS.flatMap((kind) => (['kill', 'stop'] as const).map((action) => ({ victim, kind, action }))),
);
/** In the usual suite: the worker that forks, wherever it hears of its copies. */
const FEW = [{ victim: 1, kind: 'references.received', action: 'kill' }] as const;

test.each(isLong ? STRIKES : FEW)(
  'F20: worker $victim at each $kind it handles: $action',
  async ({ victim, kind, action }) => {
    await using group = new Sharing(await freePort());
    for (const rank of [0, 1, 2]) if (rank !== victim) await group.join(rank);
    for (let nth = 1; ; nth++) {
      await group.join(victim, `${kind}=${action}@${nth}`);
      await group.complete(3);
      const survivor = 3 - victim;
      const from = group.at(0).events.length;
      const isDead = (): boolean => group.at(0).events.slice(from).includes(`dead worker${victim}`);
      let isOver = false;
      share(group).then(
        () => {
          isOver = true;
        },
        () => {},
      );
      await until(() => isOver || isDead(), 60_000);
      if (isOver) {
        // It may be struck at the very end: then it does not answer.
        await empty(group.at(0));
        let isAlive = false;
        const answered = group.at(victim).do('info');
        void answered.then(() => {
          isAlive = true;
        });
        await until(() => isAlive || isDead(), 60_000);
        if (isAlive) return;
      }
      // What the survivor was given and can count on is there, until it lets go.
      const use = group.at(survivor).do('use', 0);
      expect([1, null, 'unknown_rref']).toContain(await use.catch((error) => error.code));
      await group.at(survivor).do('drop');
      for (const rank of [0, survivor]) await empty(group.at(rank));
      if (action === 'stop') {
        // It wakes, and all that it still has to say is refused.
        group.at(victim).signal('SIGCONT');
        await group.at(victim).saw('fenced worker0');
        for (const rank of [0, survivor]) await empty(group.at(rank));
      }
    }
  },
  LIMIT_MS,
);
