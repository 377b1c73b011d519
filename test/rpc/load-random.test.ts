/** Random calls, streams, cancels, timeouts and deaths: everything settles once, and nothing is left. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isGradwireError } from '../../errors.ts';
import { rpcSync } from '../../rpc/api.ts';
import { currentCall } from '../../rpc/current-call.ts';
import { register } from '../../rpc/registry.ts';
import type { RRef } from '../../rpc/rref.ts';
import { startEngine, TensorScope, tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { runs } from '../support/runs.ts';
import { Source, tensors, ticks } from '../support/streams.ts';
import { until } from '../support/until.ts';

/** Gives its tensor back after some turns, or when nobody waits any more. */
async function slowly(x: tf.Tensor, turns: number): Promise<tf.Tensor> {
  const signal = turns % 2 === 0 ? currentCall()?.signal : undefined;
  for (let i = 0; i < turns && signal?.aborted !== true; i++) {
    await new Promise(setImmediate);
  }
  return tf.add(x, 1);
}

/** The same on the next worker. */
async function further(to: number, x: tf.Tensor, turns: number): Promise<tf.Tensor> {
  const signal = currentCall()?.signal;
  return rpcSync(to, slowly, [x, turns], signal === undefined ? {} : { signal });
}

async function never(): Promise<void> {
  const signal = currentCall()?.signal;
  await new Promise((resolve) => signal?.addEventListener('abort', resolve));
}
function pong(): void {}
register({ slowly, further, never, pong });

const CODES = ['cancelled', 'deadline_exceeded', 'unavailable', 'shut_down', 'overloaded'];

const ACTIONS = ['call', 'nested', 'never', 'remote', 'stream', 'ticks', 'method'] as const;
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constantFrom(...ACTIONS),
      from: fc.nat(2),
      to: fc.nat(2),
      turns: fc.nat(6),
      timeoutMs: fc.constantFrom(5, 20, 60, 10_000),
    }),
  },
  { weight: 3, arbitrary: fc.record({ cancel: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ turns: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.constant({ die: true }) },
);

beforeAll(() => startEngine('cpu'));

describe.each(TRANSPORTS)('%s', (transport) => {
  test('every promise settles once, and counters and memory are at their base', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), (steps) =>
        expectNoLeak(async () => {
          await using cluster = await startCluster({
            transport,
            workers: 3,
            maxInFlightCalls: 3,
            maxQueuedCalls: 4,
            leave: { graceful: false },
          });
          const scope = new TensorScope();
          const controllers: AbortController[] = [];
          const rrefs: RRef<unknown>[] = [];
          const settled: Promise<void>[] = [];
          let [begun, ended] = [0, 0];
          const track = (start: () => Promise<unknown>): void => {
            begun++;
            const failed = (error: unknown): void => {
              ended++;
              expect(isGradwireError(error) && CODES.includes(error.code) ? '' : error).toBe('');
            };
            try {
              settled.push(
                start().then(() => {
                  ended++;
                }, failed),
              );
            } catch (error) {
              failed(error);
            }
          };
          const isAlive = (rank: number): boolean => rank !== 2 || !isDead;
          let isDead = false;
          await scope.run(async () => {
            const x = tf.scalar(1);
            for (const one of steps) {
              if ('cancel' in one) {
                controllers[one.cancel % Math.max(1, controllers.length)]?.abort();
              } else if ('die' in one) {
                if (isDead) continue;
                isDead = true;
                settled.push(
                  cluster
                    .at(2)
                    .shutdown({ graceful: false })
                    .then(() => {}),
                );
              } else if ('what' in one && isAlive(one.from)) {
                const { what, to, turns, timeoutMs } = one;
                const controller = new AbortController();
                controllers.push(controller);
                const options = { timeoutMs, signal: controller.signal };
                const worker = cluster.at(one.from);
                if (what === 'call') track(() => worker.rpcAsync(to, slowly, [x, turns], options));
                else if (what === 'nested') {
                  const args: [number, tf.Tensor, number] = [(to + 1) % 3, x, turns];
                  track(() => worker.rpcAsync(to, further, args, options));
                } else if (what === 'never') track(() => worker.rpcAsync(to, never, [], options));
                else if (what === 'stream') {
                  track(async () => {
                    for await (const item of worker.rpcStream(to, tensors, [turns], options)) {
                      if (item.size > 3) break;
                    }
                  });
                } else if (what === 'ticks') {
                  track(async () => {
                    for await (const item of worker.rpcStream(to, ticks, [], options)) {
                      if (item.dataSync()[0] === turns) break;
                    }
                  });
                } else {
                  track(async () => {
                    const rref = worker.remote(to, Source, [turns], options);
                    rrefs.push(rref);
                    if (what === 'method') await rref.rpcSync(options).value();
                  });
                }
              } else if (!('what' in one)) {
                for (let i = 0; i < one.turns; i++) await new Promise(setImmediate);
              }
            }
            for (const controller of controllers) controller.abort();
            await Promise.all(settled);
          });
          expect(ended).toBe(begun);
          for (const rref of rrefs) rref.dispose();
          scope.dispose();
          const live = cluster.workers.filter((_, rank) => isAlive(rank));
          await until(() =>
            live.every(({ endpoint, references }) => {
              const { waitingCount, runningCount } = endpoint;
              return waitingCount + runningCount + references.ownedCount === 0;
            }),
          );
          // What is still on its way comes before these: a request that was given up may.
          await Promise.all(live.flatMap((a) => live.map((b) => a.rpcSync(b.info, pong))));
          await until(() => cluster.workers.every(({ endpoint }) => endpoint.runningCount === 0));
          for (const worker of live) {
            for (const other of live) await worker.writable(other.info);
          }
        }),
      ),
      runs(transport === 'memory' ? 60 : 12),
    );
  }, 600_000);
});
