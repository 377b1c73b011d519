/**
 * The state of whole sessions: a member of a dynamic group follows a recorded part of the traffic, and somewhere in it says
 * what is malformed. Nothing of it may outlast its connection, and the others are served as before.
 */
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { isGradwireError } from '../../errors.ts';
import { disposeReferences } from '../../rpc/discard.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { TensorScope, tf } from '../../tensor/index.ts';
import { collectGarbage } from '../support/garbage.ts';
import { add, double } from '../support/services.ts';
import { count } from '../support/streams.ts';
import type { Arena } from './arena.ts';
import type { Dice } from './dice.ts';
import { malformedStream, recut } from './frames.ts';
import { framesOf, type Recorded } from './message-parts.ts';
import { malformed } from './mutations.ts';
import { ATTACKER, type Failure, Peer } from './peer.ts';
import type { Traffic } from './recorder.ts';
import { renumbered } from './renumber.ts';

/** Ids of one session, at most. */
const IDS = 10_000;
/** How long a session may keep a worker from its base, in ms. */
const LIMIT_MS = 5_000;

/** Id of a request that nothing else uses, and how long to wait for its answer, in ms. */
const PROBE = 0x7fff_ff01;
const PROBE_MS = 50;

/** What became of the inputs of one session. */
export interface Outcome {
  readonly how: readonly string[];
  readonly wasCut: boolean;
  /** Codes of the failures that came back. */
  readonly refusals: readonly string[];
}

export class SessionTarget implements AsyncDisposable {
  readonly #arena: Arena;
  readonly #sessions: ReadonlyMap<string, readonly Traffic[]>;
  readonly #all: readonly Traffic[];
  readonly #greeting: readonly Buffer[];
  readonly #tensors: number;
  #number = 0;

  constructor(arena: Arena, traffic: readonly Traffic[]) {
    this.#arena = arena;
    this.#all = traffic.filter(({ bytes }) => bytes.length < 65_536);
    const sessions = new Map<string, Traffic[]>();
    for (const message of traffic) {
      const { from, to, part, bytes } = message;
      // Large ones seldom, and from the worker that is impersonated.
      if (from !== ATTACKER.rank || to !== 0 || bytes.length > 2 ** 21) continue;
      const session = sessions.get(part) ?? [];
      sessions.set(part, session);
      session.push(message);
    }
    this.#sessions = sessions;
    const greetings = sessions.get('join')?.filter(({ kind }) => kind === 'join') ?? [];
    this.#greeting = greetings.flatMap(framesOf);
    this.#tensors = tf.memory().numTensors;
  }

  /** A good member is served. */
  async check(): Promise<void> {
    const [zero, one] = this.#arena.workers as [WorkerNode, WorkerNode];
    const sums = [one.rpcSync(0, add, [1, 2]), zero.rpcSync(1, add, [1, 2])];
    for (const sum of await Promise.all(sums)) if (sum !== 3) throw new Error(`1 + 2 is ${sum}`);
    const x = tf.ones([2]);
    tf.dispose([await one.rpcSync(0, double, [x]), x]);
  }

  /** One session. @throws what is not as it should be */
  async play(dice: Dice): Promise<Outcome> {
    const worker = dice.pick(this.#arena.targets);
    const part = dice.pick([...this.#sessions.keys()]);
    const script = this.#sessions.get(part) ?? [];
    const offset = ++this.#number * IDS;
    const peer = new Peer(await this.#arena.connect(worker, this.#number));
    if (this.#arena.isLive) peer.say(this.#greeting);
    const asked = Promise.allSettled(dice.chance(0.3) ? [ask(worker, dice)] : []);
    const how: string[] = [];
    const last = dice.below(script.length + 1);
    const from = dice.chance(0.4) ? 0 : Math.max(0, last - 2);
    for (const message of script.slice(from, last)) peer.say(framesOf(renumbered(message, offset)));
    for (let inputs = 1 + dice.below(8); inputs > 0 && !peer.isCut; inputs--) {
      const near = script[(last + inputs) % script.length];
      const message = renumbered(
        dice.chance(0.7) && near !== undefined ? near : dice.pick(this.#all),
        offset,
      );
      how.push(`${part}: ${this.#input(dice, message, peer)}`);
      if (dice.chance(0.3)) await turn();
    }
    if (dice.chance(0.3))
      for (const message of script.slice(last)) peer.say(framesOf(renumbered(message, offset)));
    for (let turns = 3 + dice.below(3); turns > 0; turns--) await turn();
    if (this.#arena.isLive) await heard(peer);
    const wasCut = peer.isCut;
    peer.close();
    await this.#atBase(worker, how);
    for (const outcome of await asked) judgeOutcome(outcome);
    for (const failure of peer.failures) judgeFailure(failure);
    return { how, wasCut, refusals: peer.failures.map(({ code }) => code) };
  }

  #input(dice: Dice, message: Recorded, peer: Peer): string {
    if (dice.chance(0.15)) {
      const { how, chunks } = malformedStream(dice, message, this.#all);
      peer.say(recut(dice, chunks));
      return how;
    }
    const answer = dice.chance(0.3) ? peer.requests.at(-1) : undefined;
    const { how, ...wrong } = malformed(dice, message, this.#all);
    const frames = framesOf(answer === undefined ? wrong : { ...wrong, id: answer });
    peer.say(recut(dice, dice.chance(0.05) ? [...frames, ...frames] : frames));
    return how;
  }

  async #atBase(worker: WorkerNode, how: readonly string[]): Promise<void> {
    const { endpoint, references } = worker;
    const left = (): Record<string, number> => ({
      running: endpoint.runningCount,
      waiting: endpoint.waitingCount,
      connected: Number(endpoint.isConnected(ATTACKER.rank)),
      owned: references.ownedCount,
      copies: references.copyCount,
      contexts: Number(worker.getDebugInfo()['autograd.numContexts']),
      tensors: tf.memory().numTensors - this.#tensors,
    });
    const isClean = (): boolean => Object.values(left()).every((value) => value === 0);
    const end = performance.now() + LIMIT_MS;
    for (let looks = 0; !isClean(); looks++) {
      if (performance.now() > end) {
        throw new Error(`left behind: ${JSON.stringify(left())} after ${how.join('; ')}`);
      }
      // References in a value that nobody looks at are let go of when they are collected.
      if (looks % 50 === 20) collectGarbage();
      // Not in every turn: what it costs to look would count as what the input costs.
      await (looks < 10 ? turn() : delay(2));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of [...this.#arena.workers].reverse())
      await worker.shutdown({ timeoutMs: 5_000 });
  }
}

/** All that was said has come, unless it ends in a frame that is not whole, which takes this one for its rest. */
async function heard(peer: Peer): Promise<void> {
  peer.say(framesOf({ kind: 'type', id: PROBE, bytes: Buffer.alloc(8) }));
  const end = performance.now() + PROBE_MS;
  while (!peer.isCut && !peer.answered.has(PROBE) && performance.now() < end) await delay(1);
}

/** What was thrown before code of the user began is an error of gradwire, or else something was not checked. */
function judgeFailure({ code, name, message, maybeExecuted }: Failure): void {
  if (code !== 'remote_error' || maybeExecuted !== false) return;
  throw new Error(`a request was refused by ${name}: ${message}`);
}

/** What the worker itself asks of the attacker, who answers anything. The answers are not kept. */
async function ask(worker: WorkerNode, dice: Dice): Promise<void> {
  const { name } = ATTACKER;
  const scope = new TensorScope();
  const call = dice.pick([
    () => worker.rpcSync(name, add, [1, 2]),
    () => worker.rpcSync(name, double, [tf.ones([2])]),
    async () => {
      using made = worker.remote(name, add, [1, 2]);
      return await made.toHere();
    },
    async () => {
      for await (const item of worker.rpcStream(name, count, [5])) disposeReferences(item);
    },
  ]);
  try {
    disposeReferences(await scope.run<Promise<unknown>>(call));
  } finally {
    scope.dispose();
  }
}

function judgeOutcome(outcome: PromiseSettledResult<unknown>): void {
  if (outcome.status === 'fulfilled' || isGradwireError(outcome.reason)) return;
  throw new Error('a caller got an error that is none of gradwire', { cause: outcome.reason });
}
