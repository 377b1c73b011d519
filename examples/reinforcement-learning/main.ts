/**
 * PyTorch's tutorial "Getting Started with Distributed RPC Framework", its reinforcement learning: rank 0 is the agent, all
 * others observe. With `--batch` the agent answers all observers by one call of its policy, as in "Implementing Batch RPC
 * Processing Using Asynchronous Executions".
 */
import { rpc } from 'gradwire';
import { endWith } from '../support/end-with.ts';
import { Progress, type Unit } from '../support/progress.ts';
import { type Place, runExample } from '../support/run-example.ts';
import { Agent } from './agent.ts';

const FLAGS = {
  batch: { type: 'boolean', help: 'actions for all observers at once' },
  threshold: { type: 'number', default: 100, min: 10, help: 'running reward to be reached' },
  episodes: { type: 'int', default: 300, min: 1, help: 'most episodes' },
  steps: { type: 'int', default: 200, min: 1, help: 'most steps of an episode' },
  lr: { type: 'number', default: 0.05, min: 0, help: 'learning rate' },
} as const;

async function runAgent(observers: readonly string[], place: Place<typeof FLAGS>): Promise<void> {
  const { flags, settings, write } = place;
  const { batch, threshold, episodes, steps, lr, seed } = flags;
  const asking = batch ? 'batch' : 'single';
  write({ event: 'start', observers: observers.length, ...settings });
  const agent = new Agent(observers, { lr, seed });
  const agentRRef = new rpc.RRef(agent);
  let episode = 0;
  const unit: Unit = {
    count: (done, total) => `${done}/${total}`,
    rate: () => `episode ${episode}`,
  };
  const { runningReward: from } = agent;
  const progress = new Progress({ label: 'running reward', total: threshold, from, unit });
  while (episode < episodes && agent.runningReward < threshold) {
    episode++;
    await agent.runEpisode(agentRRef, steps, asking);
    const reward = await agent.finishEpisode();
    const { runningReward } = agent;
    write({ event: 'episode', episode, reward, runningReward, steps: agent.steps });
    progress.update(Math.floor(runningReward));
  }
  progress.end();
  const { runningReward, steps: total } = agent;
  write({ event: 'end', ...settings, episode, runningReward, total });
  const verdict = runningReward < threshold ? 'Not solved' : 'Solved';
  console.log(
    `${verdict}: running reward ${runningReward.toFixed(1)} after ${episode} episodes of ${observers.length} observers, ${total} steps`,
  );
  agentRRef.dispose();
  agent.dispose();
}

runExample(
  {
    name: 'reinforcement-learning',
    text: 'Trains an agent that balances poles which several observers have.',
    processes: 3,
    takes: [2, 9],
    reporter: 0,
    flags: FLAGS,
  },
  async (place) => {
    const { rank, worldSize } = place;
    if (rank === 0) {
      endWith(await rpc.init({ name: 'agent' }));
      const observers = Array.from({ length: worldSize - 1 }, (_, i) => `observer${i + 1}`);
      await runAgent(observers, place);
    } else {
      endWith(await rpc.init({ name: `observer${rank}` }));
      // Observers wait for the agent to call them.
    }
    await rpc.shutdown();
  },
);
