/** Who frees what handlers make in ways that are no plain result: after their answer, and variables of functions. */
import { describe, expect, test } from '@jest/globals';
import { register } from '../../rpc/registry.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { until } from '../support/until.ts';

let stored = 0;

class Late {
  later: tf.Tensor | undefined;
  list: tf.Tensor[] = [];

  /** Stores a tensor when the answer has long been sent. */
  storeLater(x: tf.Tensor): void {
    const shape = x.shape;
    setTimeout(() => {
      this.later = tf.ones(shape);
      this.list.push(tf.keep(tf.zeros(shape)));
      stored++;
    }, 5);
  }
  async read(): Promise<number> {
    return (await this.later?.data())?.[0] ?? -1;
  }
  drop(): void {
    this.later = undefined;
  }
  ended(): void {
    for (const t of this.list) t.dispose();
  }
}

let leftover: tf.Tensor | undefined;
function leaveOne(): void {
  leftover = tf.tensor1d([1, 2]);
}
function useLeftover(): tf.Tensor {
  return tf.neg(leftover as tf.Tensor);
}
function returnLeftover(): tf.Tensor | undefined {
  return leftover;
}

let global: tf.Variable | undefined;
/** Not made here, however it is returned. */
function existing(): (tf.Variable | undefined)[] {
  return [global];
}
async function makeVariables(
  n: number,
): Promise<{ list: tf.Variable[]; map: Map<string, tf.Variable> }> {
  await Promise.resolve();
  const make = (): tf.Variable => tf.variable(tf.fill([2], n));
  return { list: [make()], map: new Map([['a', make()]]) };
}
function makeKept(): tf.Variable {
  global = tf.keep(tf.variable(tf.scalar(3)));
  return global;
}
register({ Late, leaveOne, useLeftover, returnLeftover, existing, makeVariables, makeKept });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('what a handler stores after its answer is freed with its object', async () => {
    await using cluster = await startCluster({ transport });
    const base = tf.memory().numTensors;
    const x = tf.zeros([2]);
    for (const hasRead of [false, true]) {
      const late = cluster.at(0).remote(1, Late);
      stored = 0;
      await late.rpcSync().storeLater(x);
      await until(() => stored === 1);
      if (hasRead) expect(await late.rpcSync().read()).toBe(1);
      expect(tf.memory().numTensors).toBe(base + 3);
      await late.rpcSync().ended();
      late.dispose();
      await until(() => tf.memory().numTensors === base + 1);
    }
    x.dispose();
  });

  test('a tensor that is used after its handler is refused with the name of the handler', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    await worker.rpcSync(1, leaveOne);
    await expect(worker.rpcSync(1, useLeftover)).rejects.toThrow(
      /^tensor_freed: Neg was given .* freed \(made by the handler of leaveOne\)/,
    );
    await expect(worker.rpcSync(1, returnLeftover)).rejects.toThrow(
      /^tensor_freed: .*\(made by the handler of leaveOne\)/,
    );
  });

  test('variables that a function makes and returns are freed with the reference', async () => {
    await using cluster = await startCluster({ transport });
    const base = tf.memory().numTensors;
    const made = cluster.at(0).remote(1, makeVariables, [4]);
    const copy = await made.toHere();
    expect((await copy.map.get('a')?.data())?.[0]).toBe(4);
    tf.dispose([copy.list, copy.map.get('a') ?? []]);
    // Also what the variables were made of.
    expect(tf.memory().numTensors).toBe(base + 4);
    made.dispose();
    await until(() => tf.memory().numTensors === base);
  });

  test('those that it did not make, or that are kept, stay', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    const kept = worker.remote(1, makeKept);
    await kept.getType();
    const again = worker.remote(1, existing);
    await again.getType();
    for (const rref of [kept, again]) rref.dispose();
    await cluster.unreferenced();
    expect(global?.isDisposed).toBe(false);
    global?.dispose();
  });
});
