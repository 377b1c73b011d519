/**
 * One process of our tutorial job, the counterpart of peers/parameter_server.py: rank 0 serves, every other rank trains as
 * many steps as a line of stdin asks for, and leaves at the end of stdin.
 */
import { createInterface } from 'node:readline';
import { getNumThreads, rpc, tf } from 'gradwire';
import '../examples/parameter-server/parameter-server.ts';
import { loadMnist } from '../examples/support/idx.ts';
import type { Request } from './group.ts';
import type { MemberReport, StepsReport } from './job.ts';
import { endlessBatches, nextBatch } from './local-trainer.ts';
import { SERVER } from './pair.ts';
import './parent.ts';
import { Trainer } from './trainer.ts';

const rank = Number(process.env['RANK']);

await rpc.init({ name: rank === 0 ? SERVER : `trainer${rank}` });
say({ engine: tf.getBackend(), threads: getNumThreads() } satisfies MemberReport);
if (rank > 0) await train();
await rpc.shutdown();

async function train(): Promise<void> {
  const { train: images } = await loadMnist(process.env['BENCH_DATA'] ?? '');
  const batches = endlessBatches(images, rank);
  using trainer = new Trainer();
  for await (const line of createInterface({ input: process.stdin })) {
    const { count }: Request & { readonly count?: number } = JSON.parse(line);
    const losses: number[] = [];
    const start = performance.now();
    while (losses.length < (count ?? 0)) {
      const { loss } = await trainer.step(await nextBatch(batches));
      losses.push(loss);
    }
    say({ ms: performance.now() - start, losses } satisfies StepsReport);
  }
  await batches.return();
}

function say(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
