/**
 * The agent of PyTorch's tutorial "Getting Started with Distributed RPC Framework": it has the policy, makes the observers,
 * answers them all during an episode, and then learns from what they reported.
 */
import { autograd, optim, rpc, tf } from 'gradwire';
import { Random } from '../support/random.ts';
import type { State } from './cart-pole.ts';
import { type Asking, type Deciding, Observer } from './observer.ts';
import { Policy } from './policy.ts';

/** Of later rewards a step counts less. */
const GAMMA = 0.99;

/** What an observer does in one episode. */
interface Log {
  readonly states: State[];
  readonly actions: number[];
  readonly rewards: number[];
  readonly random: Random;
}

/** An observer that waits for its action. */
interface Asked {
  readonly id: number;
  readonly state: State;
  readonly action: rpc.RpcFuture<number>;
}

export class Agent implements Deciding {
  /** Mean length of the last episodes. */
  runningReward = 10;
  readonly #seed: number;
  readonly #policy: Policy;
  readonly #optimizer: optim.Adam;
  readonly #observers: rpc.RRef<Observer>[];
  /** By rank of the observer. */
  readonly #logs = new Map<number, Log>();
  /** Observers whose episode goes on, and those of them that wait for an action. */
  readonly #running = new Set<number>();
  #asked: Asked[] = [];
  #episodes = 0;
  #steps = 0;

  constructor(observers: readonly string[], { lr, seed }: { lr: number; seed: number }) {
    this.#seed = seed;
    this.#policy = new Policy(seed);
    this.#optimizer = new optim.Adam(this.#policy.parameters(), { lr });
    this.#observers = observers.map((name) => rpc.remote(name, Observer, [seed]));
  }

  /** Steps of all observers so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Draws an action for one state; called by observers. */
  selectAction(id: number, state: State): number {
    return this.#select([{ id, state }])[0] as number;
  }

  /** The same for all observers at once: answered when all whose episode goes on have asked. */
  selectActionBatch(id: number, state: State): rpc.RpcFuture<number> {
    const action = new rpc.RpcFuture<number>();
    this.#asked.push({ id, state, action });
    this.#answerAll();
    return action;
  }

  /** Observers report the reward of each step. */
  reportReward(id: number, reward: number): void {
    this.#logOf(id).rewards.push(reward);
    this.#steps++;
  }

  /** Lets every observer run an episode of at most `steps` steps, all at once. */
  async runEpisode(agentRRef: rpc.RRef<Agent>, steps: number, asking: Asking): Promise<void> {
    this.#episodes++;
    for (const { id } of this.#observers.map((observer) => observer.owner())) {
      const random = new Random(this.#seed, 'actions', this.#episodes, id);
      this.#logs.set(id, { states: [], actions: [], rewards: [], random });
      this.#running.add(id);
    }
    // Make async RPCs to kick off an episode on all observers, and wait until all have finished it.
    await rpc.collectAll(
      this.#observers.map(async (observer) => {
        await observer.rpcAsync().runEpisode(agentRRef, steps, asking);
        this.#running.delete(observer.owner().id);
        this.#answerAll();
      }),
    );
  }

  /** Learns from the episode. @returns how long the observers held the pole, on average */
  async finishEpisode(): Promise<number> {
    // Joins the logs of all observers, in the order of their ranks.
    const logs = [...this.#logs.values()];
    const states = logs.flatMap((log) => log.states);
    const actions = tf.tensor1d(
      logs.flatMap((log) => log.actions),
      'int32',
    );
    const returns = tf.tensor1d(normalized(logs.flatMap(({ rewards }) => discounted(rewards))));
    // The tutorial saves the log-probabilities of each action; here they are computed anew, all at once.
    await autograd.context(async (contextId) => {
      const logProbs = tf.sum(tf.mul(this.#policy.forward(states), tf.oneHot(actions, 2)), 1);
      const loss = tf.neg(tf.mean(tf.mul(logProbs, returns)));
      await autograd.backward(contextId, [loss]);
      this.#optimizer.step(autograd.getGradients(contextId));
    });
    tf.dispose([actions, returns]);
    const reward = states.length / logs.length;
    this.runningReward = 0.1 * reward + 0.9 * this.runningReward;
    return reward;
  }

  /** Answers the observers if none is missing. */
  #answerAll(): void {
    if (this.#asked.length < this.#running.size) return;
    const asked = this.#asked.splice(0);
    const actions = asked.length > 0 ? this.#select(asked) : [];
    actions.forEach((action, i) => {
      asked[i]?.action.setResult(action);
    });
  }

  #select(asked: readonly { id: number; state: State }[]): number[] {
    const logProbs = this.#policy.forward(asked.map(({ state }) => state));
    const values = logProbs.dataSync();
    logProbs.dispose();
    return asked.map(({ id, state }, i) => {
      const { states, actions, random } = this.#logOf(id);
      const action = Math.log(1 - random.uniform()) < (values[2 * i + 1] as number) ? 1 : 0;
      states.push(state);
      actions.push(action);
      return action;
    });
  }

  #logOf(id: number): Log {
    const log = this.#logs.get(id);
    if (log === undefined) throw new Error(`no episode of an observer ${id} is under way`);
    return log;
  }

  dispose(): void {
    for (const observer of this.#observers) observer.dispose();
    this.#optimizer.dispose();
    tf.dispose(this.#policy.parameters());
  }
}

/** The rewards from each step to the end, later ones counting less. */
function discounted(rewards: readonly number[]): number[] {
  let sum = 0;
  return rewards
    .toReversed()
    .map((reward) => {
      sum = reward + GAMMA * sum;
      return sum;
    })
    .reverse();
}

/** With mean 0 and standard deviation 1. */
function normalized(values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return values.map((value) => (value - mean) / (Math.sqrt(variance) + 1e-8));
}

// Decorators in PyTorch; here the method is marked, so that the file runs where there are no decorators.
rpc.asyncExecution(Agent.prototype.selectActionBatch);
rpc.register({ Agent });
