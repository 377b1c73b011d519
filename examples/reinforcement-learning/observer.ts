/** An observer has an environment of its own: it asks the agent what to do, and tells it what came of that. */
import { rpc } from 'gradwire';
import { Random } from '../support/random.ts';
import { CartPole, type State } from './cart-pole.ts';

/** How observers ask for actions: one by one, or all together in one call of the policy. */
export type Asking = 'single' | 'batch';

/** What an observer asks of its agent. */
export interface Deciding {
  selectAction(id: number, state: State): number;
  selectActionBatch(id: number, state: State): rpc.RpcFuture<number>;
  reportReward(id: number, reward: number): void;
}

export class Observer {
  readonly #id: number;
  readonly #env: CartPole;

  constructor(seed: number) {
    this.#id = rpc.getWorkerInfo().id;
    this.#env = new CartPole(new Random(seed, 'env', this.#id));
  }

  /** Runs one episode of at most `steps` steps. */
  async runEpisode(agentRRef: rpc.RRef<Deciding>, steps: number, asking: Asking): Promise<void> {
    const agent = agentRRef.rpcSync();
    let state = this.#env.reset();
    for (let step = 0; step < steps; step++) {
      // Send the state to the agent to get an action.
      const action = await (asking === 'single'
        ? agent.selectAction(this.#id, state)
        : agent.selectActionBatch(this.#id, state));
      // Apply the action to the environment, and get the reward.
      const { state: next, reward, done } = this.#env.step(action);
      state = next;
      // Report the reward to the agent for training purposes.
      await agent.reportReward(this.#id, reward);
      // Finishes after the number of steps, or when the pole has fallen.
      if (done) break;
    }
    agentRRef.dispose();
  }
}

rpc.register({ Observer });
