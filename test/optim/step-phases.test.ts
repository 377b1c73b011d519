/** A step in two phases: of one optimizer, of owners that are stand-ins, and of owners that fail or die in each phase. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { autograd, optim, rpc, tf } from '../../index.ts';
import { type ParameterOwner, stepAll } from '../../optim/parameter-owner.ts';
import { prepareStep } from '../../optim/prepared-step.ts';
import { currentWorker } from '../../rpc/internal.ts';
import { SparseSlices, startEngine } from '../../tensor/index.ts';
import { at, keptAt, startTeam, type Team } from '../autograd/support.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { until } from '../support/until.ts';

const { Adam, DistributedOptimizer, SGD } = optim;
type ContextId = autograd.ContextId;

function variable(value: number): tf.Variable {
  return tf.tidy(() => tf.variable(tf.fill([3], value)));
}

function middleOf(parameter: tf.Variable): number | undefined {
  return parameter.dataSync()[1];
}

describe('of one optimizer', () => {
  beforeEach(async () => {
    await startEngine('cpu');
  });

  test('prepare and commit make what step makes, also after the gradients are freed', () =>
    expectNoLeak(async () => {
      const [a, b] = [variable(1), variable(1)];
      const [whole, phased] = [new Adam([a]), new Adam([b])];
      for (const value of [0.5, -2, 3]) {
        const gradient = tf.fill([3], value);
        const rows = new SparseSlices(tf.tensor1d([1], 'int32'), tf.ones([1]), [3]);
        whole.step(new Map([[a, gradient]]));
        whole.step(new Map([[a, rows]]));
        const prepared = phased.prepare(new Map([[b, gradient]]));
        expect(middleOf(b)).not.toBe(middleOf(a));
        gradient.dispose();
        prepared.commit();
        const sparse = phased.prepare(new Map([[b, rows]]));
        rows.dispose();
        sparse.commit();
        expect(b.dataSync()).toEqual(a.dataSync());
      }
      expect(await phased.stateDict()).toEqual(await whole.stateDict());
      for (const each of [whole, phased, a, b]) each.dispose();
    }));

  test('what is aborted leaves nothing, and what is wrong fails in prepare', () =>
    expectNoLeak(async () => {
      const a = variable(1);
      const optimizer = new SGD([a], { lr: 1, momentum: 0.5 });
      const gradient = tf.ones([3]);
      const prepared = optimizer.prepare(new Map([[a, gradient]]));
      prepared.abort();
      prepared.abort();
      expect(middleOf(a)).toBe(1);
      expect((await optimizer.stateDict()).state).toEqual([{ step: 0, tensors: {} }]);
      const wrong = tf.ones([2]);
      expect(() => optimizer.prepare(new Map([[a, wrong]]))).toThrow(/gradient/);
      const late = optimizer.prepare(new Map([[a, gradient]]));
      optimizer.dispose();
      expect(() => late.commit()).toThrow(expect.objectContaining({ code: 'tensor_freed' }));
      tf.dispose([a, gradient, wrong]);
    }));

  test('a step in between is not lost: the later commit comes on top of it', () =>
    expectNoLeak(() => {
      const a = variable(1);
      const [mine, yours] = [new SGD([a], { lr: 1, momentum: 0.5 }), new SGD([a], { lr: 0.25 })];
      const gradient = tf.ones([3]);
      const gradients = new Map([[a, gradient]]);
      const [first, second, third] = [
        mine.prepare(gradients),
        yours.prepare(gradients),
        mine.prepare(gradients),
      ];
      second.commit();
      first.commit();
      third.commit();
      // 1 − 0.25 − 1 − 1.5: the momentum of the first is in the third.
      expect(middleOf(a)).toBe(-1.75);
      for (const each of [mine, yours, a, gradient]) each.dispose();
    }));

  test('an optimizer without prepare keeps the gradients until it may step', () =>
    expectNoLeak(() => {
      const a = variable(1);
      const inner = new SGD([a], { lr: 1 });
      const plain: optim.Optimizer = {
        step: (gradients) => inner.step(gradients),
        stateDict: () => inner.stateDict(),
        loadStateDict: (saved) => inner.loadStateDict(saved),
        dispose: () => inner.dispose(),
      };
      const gradient = tf.ones([3]);
      const prepared = prepareStep(plain, new Map([[a, gradient]]));
      const dropped = prepareStep(plain, new Map([[a, gradient]]));
      gradient.dispose();
      dropped.abort();
      expect(middleOf(a)).toBe(1);
      prepared.commit();
      expect(middleOf(a)).toBe(0);
      for (const each of [plain, a]) each.dispose();
    }));
});

describe('of owners that are stand-ins', () => {
  const calls: string[] = [];
  beforeEach(() => {
    calls.length = 0;
  });

  function owner(name: string, fails: keyof ParameterOwner | '' = ''): ParameterOwner {
    const note = async (phase: keyof ParameterOwner): Promise<void> => {
      calls.push(`${phase} ${name}`);
      if (phase === fails) throw new RangeError(`${name} cannot ${phase}`);
    };
    return {
      prepare: () => note('prepare'),
      commit: () => note('commit'),
      abort: () => note('abort'),
    };
  }
  const id = 'any' as ContextId;

  test('all prepare, then all commit', async () => {
    await stepAll([owner('a'), owner('b')], id, 1);
    expect(calls).toEqual(['prepare a', 'prepare b', 'commit a', 'commit b']);
  });

  test('one that cannot prepare aborts all, and is the failure even if the abort fails', async () => {
    const owners = [owner('a', 'abort'), owner('b', 'prepare'), owner('c')];
    await expect(stepAll(owners, id, 1)).rejects.toThrow('b cannot prepare');
    expect(calls.slice(3)).toEqual(['abort a', 'abort b', 'abort c']);
  });

  test('one that cannot commit does not keep the others from it', async () => {
    const owners = [owner('a', 'commit'), owner('b')];
    await expect(stepAll(owners, id, 1)).rejects.toThrow('a cannot commit');
    expect(calls.slice(2)).toEqual(['commit a', 'commit b']);
  });
});

type Phase = 'prepare' | 'commit';
/** What happens to worker w2 in a phase. */
let strike: { readonly phase: Phase; readonly act: () => void } | undefined;

function meet(phase: Phase): void {
  if (strike?.phase === phase && currentWorker().info.name === 'w2') strike.act();
}

class Struck extends SGD {
  override step(gradients: optim.Gradients): void {
    meet('prepare');
    super.step(gradients);
  }

  override prepare(gradients: optim.Gradients): optim.PreparedStep {
    const prepared = super.prepare(gradients);
    try {
      meet('prepare');
    } catch (error) {
      prepared.abort();
      throw error;
    }
    const { commit, abort } = prepared;
    return {
      abort,
      commit: () => {
        try {
          meet('commit');
        } catch (error) {
          abort();
          throw error;
        }
        commit();
      },
    };
  }
}
optim.registerOptimizer('test.Struck', Struck);

describe('of owners on other workers', () => {
  let team: Team;
  let tensors: number;
  let p: tf.Variable;
  let q: tf.Variable;
  beforeEach(async () => {
    strike = undefined;
    team = await startTeam(3, 'memory', { timeoutMs: 5_000 });
    tensors = tf.memory().numTensors;
    [p, q] = [variable(1), variable(1)];
  });
  afterEach(async () => {
    tf.dispose([p, q]);
    await Promise.all(team.workers.map((worker) => worker.shutdown({ graceful: false })));
    await until(() => tf.memory().numTensors === tensors);
  });

  /** One backward pass whose gradients are ones on w1 (p) and w2 (q), and the step of a fresh optimizer. */
  async function step(options: optim.DistributedOptimizerOptions = {}): Promise<void> {
    await team.as(0, async () => {
      const rrefs = [keptAt(1, () => p), keptAt(2, () => q)];
      using optimizer = new DistributedOptimizer(Struck, rrefs, { lr: 1 }, options);
      for (const rref of rrefs) rref.dispose();
      await optimizer.ready();
      await autograd.context(async (id) => {
        const there = await at(1, () => tf.sum(p));
        const loss = tf.add(there, await at(2, () => tf.sum(q)));
        await autograd.backward(id, [loss]);
        await optimizer.step(id);
      });
    });
  }
  const dies = (): void => void team.workers[2]?.shutdown({ graceful: false });
  const throws = (): never => {
    throw new RangeError('struck');
  };

  test('both are updated, once', async () => {
    await step();
    expect([p, q].map(middleOf)).toEqual([0, 0]);
  });

  test('a failure in the first phase: no parameter changes anywhere', async () => {
    strike = { phase: 'prepare', act: throws };
    await expect(step()).rejects.toThrow(/struck/);
    expect([p, q].map(middleOf)).toEqual([1, 1]);
  });

  test('relaxed: the other owner steps, as in PyTorch', async () => {
    strike = { phase: 'prepare', act: throws };
    await expect(step({ relaxed: true })).rejects.toThrow(/struck/);
    expect([p, q].map(middleOf)).toEqual([0, 1]);
  });

  test('an owner that dies in the first phase: no parameter changes anywhere', async () => {
    strike = { phase: 'prepare', act: dies };
    await expect(step()).rejects.toMatchObject({
      code: expect.stringMatching(/owner_died|unavailable|shut_down/),
    });
    expect(middleOf(p)).toBe(1);
  });

  test('an owner that dies in the second phase: the step is in force on the others, and its end is said', async () => {
    strike = { phase: 'commit', act: dies };
    await expect(step()).rejects.toMatchObject({
      code: expect.stringMatching(/owner_died|unavailable|shut_down/),
    });
    expect(middleOf(p)).toBe(0);
  });

  test('steps of three trainers in two phases: each is applied once, none is lost (P8)', async () => {
    await Promise.all(
      [0, 1, 2].map((rank) =>
        team.as(rank, async () => {
          const rrefs = [keptAt(1, () => p), keptAt(2, () => q)];
          using optimizer = new DistributedOptimizer(SGD, rrefs, { lr: 1 });
          for (const rref of rrefs) rref.dispose();
          for (let i = 0; i < 5; i++) {
            await autograd.context(async (id) => {
              const there = await at(1, () => tf.sum(tf.mul(p, 2 ** rank)));
              const loss = tf.add(there, await at(2, () => tf.sum(tf.mul(q, 2 ** rank))));
              await autograd.backward(id, [loss]);
              await optimizer.step(id);
            });
          }
        }),
      ),
    );
    expect([p, q].map(middleOf)).toEqual([-34, -34]);
  });

  test('a trainer that dies between the phases leaves nothing with the owners', async () => {
    strike = { phase: 'commit', act: () => {} };
    const before = tf.memory().numTensors;
    await team.as(0, async () => {
      const rref = keptAt(1, () => p);
      const make = rpc.named<(...args: unknown[]) => unknown>('gradwire.LocalOptimizer');
      using local = rpc.remote('w1', make, ['SGD', [rref], { lr: 1 }]) as rpc.RRef<ParameterOwner>;
      rref.dispose();
      await autograd.context(async (id) => {
        await autograd.backward(id, [await at(1, () => tf.sum(p))]);
        await local.rpcAsync().prepare(id, 7);
        await expect(local.rpcAsync().commit(8)).rejects.toMatchObject({ code: 'invalid_state' });
        await local.rpcAsync().abort(9);
      });
    });
    await until(() => tf.memory().numTensors === before);
    expect(middleOf(p)).toBe(1);
  });
});
