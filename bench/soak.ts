/**
 * Soak: four processes of a dynamic group work for minutes over gRPC, leave and join again, and one is killed a minute. Whenever
 * they are quiet they must hold nothing, and what they use must not grow: `npm run soak -- --minutes 10 [--seed N] [--json FILE]`.
 * Exit code 1 if anything leaked, grew, hung or failed without a name.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { beside, type Child, endOnSignals, freePort, startNode } from './processes.ts';
import { growths, type Taken, table } from './soak-report.ts';
import type { Order, Sample, Told } from './soak-words.ts';

const RANKS = [0, 1, 2, 3] as const;
/** Rank 0 keeps the group, rank 1 leaves and joins again; the others are killed. */
const [HUB, WANDERER] = RANKS;
/** How long any answer of a member may take, in ms. */
const ANSWER_MS = 60_000;
const LEAST_ROUNDS = 5;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    json: { type: 'string' },
  },
});
const seed = Number(values.seed);
const totalMs = Number(values.minutes) * 60_000;
const roundMs = Math.min(60_000, totalMs / LEAST_ROUNDS);

class Member {
  readonly rank: number;
  readonly #child: Child;
  readonly #told: Told[] = [];
  #wake: () => void = () => {};

  constructor(rank: number, port: number) {
    this.rank = rank;
    this.#child = startMember(rank, port);
    this.#child.process.on('message', (told: Told) => {
      this.#told.push(told);
      this.#wake();
    });
    this.#child.process.once('exit', () => this.#wake());
  }

  order(order: Order): void {
    this.#child.process.send(order);
  }

  /** The next word of that type. @throws Error if it reports a fault, ends or is silent */
  async hear<T extends Told['type']>(type: T): Promise<Extract<Told, { type: T }>> {
    const end = performance.now() + ANSWER_MS;
    for (;;) {
      const fault = this.#told.find((told) => told.type === 'fault');
      if (fault?.type === 'fault') throw new Error(`rank ${this.rank} ${fault.what}`);
      const at = this.#told.findIndex((told) => told.type === type);
      if (at >= 0) return this.#told.splice(at, 1)[0] as Extract<Told, { type: T }>;
      const { exitCode, signalCode } = this.#child.process;
      if (exitCode !== null || signalCode !== null) throw new Error(`rank ${this.rank} has ended`);
      if (performance.now() > end)
        throw new Error(`rank ${this.rank} does not say that it is ${type}`);
      await Promise.race([delay(200), new Promise<void>((resolve) => (this.#wake = resolve))]);
    }
  }

  async kill(): Promise<void> {
    this.#child.kill();
    await this.#child.ended.catch(() => {});
  }
}

function startMember(rank: number, port: number): Child {
  return startNode(beside('soak-member'), { GRADWIRE_SOAK: `${rank} ${port} ${seed}` });
}

/** One round: all work, one leaves and comes back, one is killed and replaced, all are quiet. */
async function round(members: Member[], port: number, number: number): Promise<Taken> {
  for (const member of members) member.order('work');
  await delay(roundMs / 4);
  members[WANDERER]?.order('rejoin');
  await members[WANDERER]?.hear('ready');
  members[WANDERER]?.order('work');
  await delay(roundMs / 4);
  const victim = 2 + (number % 2);
  await members[victim]?.kill();
  await delay(roundMs / 4);
  const next = new Member(victim, port);
  members[victim] = next;
  await next.hear('ready');
  next.order('work');
  await delay(roundMs / 4);
  for (const member of members) member.order('quiet');
  const told = await Promise.all(members.map((member) => member.hear('sample')));
  return { number, killed: victim, told };
}

/** What they hold when they are quiet, if anything; sockets and descriptors are those of the first round. */
function faultsOf({ number, told }: Taken, base: Taken): string[] {
  const faults: string[] = [];
  for (const { rank, sample } of told) {
    for (const key of ['tensors', 'references', 'contexts', 'flows'] as const) {
      if (sample[key] !== 0)
        faults.push(`round ${number}: rank ${rank} holds ${sample[key]} ${key}`);
    }
    // Those that are killed begin anew in each round, with other connections to make.
    const before = base.told.find((one) => one.rank === rank)?.sample;
    for (const key of ['sockets', 'descriptors'] as const satisfies readonly (keyof Sample)[]) {
      if (rank > WANDERER || before === undefined || sample[key] <= before[key]) continue;
      faults.push(
        `round ${number}: rank ${rank} has ${sample[key]} ${key}, at first ${before[key]}`,
      );
    }
  }
  return faults;
}

async function soak(): Promise<{
  readonly taken: readonly Taken[];
  readonly faults: readonly string[];
}> {
  const port = await freePort();
  const members: Member[] = [];
  for (const rank of RANKS) {
    const member = new Member(rank, port);
    members.push(member);
    await member.hear('ready');
  }
  const taken: Taken[] = [];
  const faults: string[] = [];
  try {
    const startedAt = performance.now();
    while (performance.now() - startedAt < totalMs) {
      const last = await round(members, port, taken.length);
      taken.push(last);
      faults.push(...faultsOf(last, taken[0] ?? last));
      const seconds = Math.round((performance.now() - startedAt) / 1000);
      console.log(`${seconds} s, ${faults.length} faults, ${lineOf(last)}`);
    }
    for (const member of [...members].reverse()) {
      member.order('leave');
      const { drained } = await member.hear('left');
      if (!drained) faults.push(`rank ${member.rank} left work undone`);
    }
  } catch (error) {
    faults.push((error as Error).message);
  } finally {
    for (const member of members) await member.kill();
  }
  return { taken, faults: [...faults, ...growths(taken, [HUB, WANDERER])] };
}

function lineOf({ told, killed }: Taken): string {
  const deeds = told.reduce((sum, { done }) => sum + done, 0);
  const hub = told.find(({ rank }) => rank === HUB);
  return `${deeds} deeds of those alive, rank ${killed} killed, rank 0: ${JSON.stringify(hub?.errors)}`;
}

endOnSignals();
console.log(
  `soak: ${values.minutes} min in rounds of ${Math.round(roundMs / 1000)} s, --seed ${seed}`,
);
const { taken, faults } = await soak();
console.log(table(taken));
for (const fault of faults) console.log(`FAULT: ${fault}`);
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ seed, taken, faults })}\n`);
console.log(
  faults.length === 0 ? 'soak: nothing leaked, grew or hung' : `soak: ${faults.length} faults`,
);
process.exitCode = faults.length === 0 ? 0 : 1;
