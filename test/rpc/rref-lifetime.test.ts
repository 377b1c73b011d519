import { describe, expect, test } from '@jest/globals';
import { register } from '../../rpc/registry.ts';
import { RRef } from '../../rpc/rref.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { echo, held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

class Model implements Disposable {
  static disposed = 0;
  readonly weight: tf.Variable;
  state: tf.Tensor | undefined;
  readonly history: tf.Tensor[] = [];

  constructor(size: number) {
    this.weight = tf.variable(tf.ones([size]));
    tf.zeros([size]);
  }

  push(x: tf.Tensor): tf.Tensor {
    this.state = tf.add(x, this.state ?? tf.zeros([1]));
    return this.state;
  }

  record(x: tf.Tensor): number {
    return this.history.push(tf.mul(x, x));
  }

  forget(): void {
    this.history.length = 0;
  }

  async slow(): Promise<tf.Tensor> {
    await held('');
    return tf.mul(this.weight, tf.scalar(2));
  }

  [Symbol.dispose](): void {
    Model.disposed++;
  }
}

let single: object | undefined;
function singleton(): object {
  single ??= { of: 'everybody', t: tf.zeros([2]) };
  tf.ones([1]);
  return single;
}

const variables: tf.Variable[] = [];
function makeVariable(): tf.Variable {
  const variable = tf.variable(tf.ones([3]));
  variables.push(variable);
  return variable;
}

async function heldModel(): Promise<tf.Tensor> {
  const t = tf.ones([4]);
  await held('');
  return t;
}
async function lateEcho(value: RRef<Model>): Promise<RRef<Model>> {
  await held('');
  return value;
}
register({ lateEcho, Model, singleton, makeVariable, heldModel });

const tensors = (): number => tf.memory().numTensors;

describe.each(TRANSPORTS)('%s', (transport) => {
  test('what a constructor makes is freed with the last reference', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    Model.disposed = 0;
    const before = tensors();
    for (const owner of [0, 1]) {
      const rref = cluster.at(0).remote(owner, Model, [2]);
      const again = await cluster.at(0).rpcSync(0, echo<RRef<Model>>, [rref]);
      rref.dispose();
      rref.dispose();
      const x = tf.ones([2]);
      (await again.rpcSync().push(x)).dispose();
      x.dispose();
      expect(tensors()).toBeGreaterThan(before);
      again.dispose();
      await cluster.collected();
      await until(() => tensors() === before);
    }
    expect(Model.disposed).toBe(2);
  });

  test('what a method stores in its object is kept, and what it replaces is freed', async () => {
    await using cluster = await startCluster({ transport });
    using model = cluster.at(0).remote(1, Model, [2]);
    await model.rpcSync().forget();
    const base = tensors();
    const x = tf.tensor1d([1, 2]);
    for (const factor of [1, 2, 3]) {
      const y = await model.rpcSync().push(x);
      expect([...y.dataSync()]).toEqual([factor, 2 * factor]);
      y.dispose();
      expect(tensors()).toBe(base + 2);
    }
    expect(await model.rpcSync().record(x)).toBe(1);
    expect(await model.rpcSync().record(x)).toBe(2);
    expect(tensors()).toBe(base + 4);
    await model.rpcSync().forget();
    expect(tensors()).toBe(base + 2);
    x.dispose();
  });

  test('the object of two creations is freed with the last', async () => {
    await using cluster = await startCluster({ transport });
    single = undefined;
    const [a, b] = [cluster.at(0).remote(1, singleton), cluster.at(0).remote(1, singleton)];
    const copy = (await a.toHere()) as { t: tf.Tensor };
    copy.t.dispose();
    await b.toHere().then((value) => (value as { t: tf.Tensor }).t.dispose());
    a.dispose();
    await until(() => cluster.at(1).references.ownedCount === 1);
    const again = (await b.toHere()) as { t: tf.Tensor };
    expect(again.t.shape).toEqual([2]);
    again.t.dispose();
    b.dispose();
  });

  test('a variable that a function makes and returns ends with the reference', async () => {
    await using cluster = await startCluster({ transport });
    const rref = cluster.at(0).remote(1, makeVariable);
    (await rref.toHere()).dispose();
    rref.dispose();
    await cluster.unreferenced();
    await until(() => variables[0]?.isDisposed === true);
    variables.length = 0;
  });

  test('a local reference takes over the tensors of its value', async () => {
    await using cluster = await startCluster({ transport });
    const before = tensors();
    const kept = tf.keep(tf.ones([1]));
    const rref = cluster.at(0).run(() => new RRef({ deep: [tf.ones([2])], kept }));
    expect(tensors()).toBe(before + 2);
    rref.dispose();
    await until(() => tensors() === before + 1);
    expect(kept.isDisposed).toBe(false);
    kept.dispose();
  });

  test('an object stays until those who work with it are done', async () => {
    await using cluster = await startCluster({ transport });
    for (const owner of [0, 1]) {
      const gate = newGate();
      const model = cluster.at(0).remote(owner, Model, [2]);
      await model.rpcSync().forget();
      const answer = model.rpcAsync().slow();
      model.dispose();
      await until(() => cluster.at(owner).endpoint.runningCount === 1);
      gate.open();
      const y = await answer;
      expect([...y.dataSync()]).toEqual([2, 2]);
      y.dispose();
    }
  });

  test('a reference let go of while its object is made frees it then', async () => {
    await using cluster = await startCluster({ transport });
    for (const owner of [0, 1]) {
      const gate = newGate();
      const before = tensors();
      const rref = cluster.at(0).remote(owner, heldModel);
      rref.dispose();
      await until(() => gate.arrived === 1);
      gate.open();
      await until(() => tensors() === before);
    }
  });

  test('a reference that nobody disposes is let go of when it is garbage', async () => {
    await using cluster = await startCluster({ transport });
    const make = async (owner: number): Promise<void> => {
      const rref = cluster.at(0).remote(owner, Model, [1]);
      await rref.rpcSync().forget();
    };
    await make(0);
    await make(1);
    expect(cluster.at(1).references.ownedCount).toBe(1);
    await cluster.collected();
  });

  test('a message that cannot be sent leaves no copies behind', async () => {
    await using cluster = await startCluster({ workers: 3, transport, maxMessageBytes: 100_000 });
    const [a, big] = [cluster.at(0), new Uint8Array(200_000)];
    for (const owner of [0, 1, 2]) {
      using rref = a.remote(owner, Model, [1]);
      expect(() => a.rpcAsync(2, echo, [[rref, () => {}] as never])).toThrow(/^unsupported_value/);
      await expect(a.rpcSync(2, echo, [[rref, big]])).rejects.toThrow(/^message_too_large/);
    }
  });

  test('an answer that comes too late leaves no copies behind', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    using rref = cluster.at(0).remote(1, Model, [1]);
    await rref.rpcSync().forget();
    const call = cluster.at(0).rpcSync(1, lateEcho, [rref], { timeoutMs: 20 });
    await expect(call).rejects.toThrow(/^deadline_exceeded/);
    gate.open();
    await until(() => cluster.at(1).endpoint.runningCount === 0);
    rref.dispose();
    await cluster.collected();
  });

  test('a worker that dies lets go of what it held', async () => {
    await using cluster = await startCluster({ workers: 3, transport, leave: { timeoutMs: 2000 } });
    using rref = cluster.at(0).remote(1, Model, [1]);
    await rref.rpcSync().forget();
    const copy = cluster.at(2).remote(1, Model, [1]);
    await copy.rpcSync().forget();
    expect(cluster.at(1).references.ownedCount).toBe(2);
    await cluster.at(2).shutdown({ graceful: false });
    await until(() => cluster.at(1).references.ownedCount === 1);
    await expect(copy.rpcSync().forget()).rejects.toThrow(/^shut_down/);
    expect(() => copy.rpcAsync().forget()).toThrow(/^shut_down/);
    await rref.rpcSync().forget();
  });
});
