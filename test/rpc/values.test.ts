/** Values of the closed set between workers: who owns what arrives, and what a value that cannot be read does to others. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SGD } from '../../optim/index.ts';
import { register } from '../../rpc/registry.ts';
import { RRef } from '../../rpc/rref.ts';
import { registerValue } from '../../rpc/value-classes.ts';
import { SparseSlices, tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { runs } from '../support/runs.ts';
import { add, echo } from '../support/services.ts';
import { anyValue, Money, OutOfStock, Point } from '../support/values.ts';

/** A value class that holds what has an owner. */
class Layer {
  readonly weights: tf.Tensor;
  readonly next: RRef<number>;

  constructor(weights: tf.Tensor, next: RRef<number>) {
    this.weights = weights;
    this.next = next;
  }

  total(): tf.Tensor {
    return tf.sum(this.weights);
  }
}

/** Cannot be decoded where it arrives. */
class Poison {
  readonly load: unknown;

  constructor(load: unknown) {
    this.load = load;
  }
}

/** Keeps what it is given in its fields. */
class Shelf {
  kept: unknown;

  put(value: unknown): void {
    this.kept = value;
  }

  take(): unknown {
    return this.kept;
  }
}

async function lookAt(layer: Layer): Promise<[number, number, boolean]> {
  using next = layer.next;
  const [sum] = await layer.total().data();
  return [sum ?? Number.NaN, (await next.toHere()) as number, layer instanceof Layer];
}

function makePoison(rref: RRef<number>): Poison {
  return new Poison([rref, tf.ones([3])]);
}

function throwIt(error: Error): never {
  throw error;
}

registerValue({ Layer });
registerValue(
  { Poison },
  {
    encode: ({ load }) => load,
    decode: () => {
      throw new Error('never');
    },
  },
);
register({ lookAt, makePoison, throwIt, Shelf });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('random values cross unchanged', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    await fc.assert(
      fc.asyncProperty(anyValue(worker.info), async (value) => {
        expect(await worker.rpcSync(1, echo, [[value]])).toStrictEqual([value]);
      }),
      runs(40),
    );
  });

  test('typed arrays are read at once and arrive aligned, small ones and large ones', async () => {
    await using cluster = await startCluster({ transport });
    for (const length of [3, 500_000]) {
      const sent = { pad: 'x', a: new Float64Array(length).fill(1.5), b: new Int16Array(length) };
      const answer = cluster.at(0).rpcAsync(1, echo<typeof sent>, [sent]);
      sent.a.fill(0);
      const back = await answer;
      expect([back.a.byteOffset, back.a.length, back.b.length]).toEqual([0, length, length]);
      expect(back.a.every((x) => x === 1.5)).toBe(true);
    }
  });

  test('tensors and references in an instance are the receiver’s, as in a record', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const [a, b] = [cluster.at(0), cluster.at(1)];
    const layer = new Layer(tf.tensor1d([1, 2]), a.remote('worker2', add, [3, 4]));
    expect(await b.run(() => a.rpcSync(1, lookAt, [layer]))).toEqual([3, 7, true]);
    const back = await a.rpcSync(1, echo<Layer>, [layer]);
    expect(back).toBeInstanceOf(Layer);
    expect(await back.next.toHere()).toBe(7);
    tf.dispose([back.weights, layer.weights]);
    back.next.dispose();
    layer.next.dispose();
    // Of the copy that `echo` was given.
    await cluster.collected();
  });

  test('what an object stores in values stays, until it stores something else', async () => {
    await using cluster = await startCluster({ transport });
    const before = tf.memory().numTensors;
    using shelf = cluster.at(0).remote(1, Shelf);
    const methods = shelf.rpcSync();
    const sparse = new SparseSlices(tf.tensor1d([1], 'int32'), tf.tensor1d([2]), [3]);
    const point = new Point(tf.scalar(5), { deep: tf.scalar(6) });
    await methods.put([sparse, point]);
    tf.dispose([
      sparse.indices,
      sparse.values,
      point.x,
      (point.y as { deep: tf.Tensor }).deep,
    ] as tf.Tensor[]);
    expect(tf.memory().numTensors).toBe(before + 4);
    const [rows, five] = (await methods.take()) as [SparseSlices, Point];
    expect(await rows.values.data()).toEqual(Float32Array.of(2));
    expect(await (five.x as tf.Tensor).data()).toEqual(Float32Array.of(5));
    rows.dispose();
    tf.dispose([five.x, (five.y as { deep: tf.Tensor }).deep] as tf.Tensor[]);
    await methods.put(null);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a reference to sparse slices owns their tensors', async () => {
    await using cluster = await startCluster({ transport });
    const before = tf.memory().numTensors;
    const sparse = new SparseSlices(tf.tensor1d([1], 'int32'), tf.tensor1d([2]), [3]);
    const rref = cluster.at(0).run(() => new RRef(sparse));
    expect((await rref.localValue()).length).toBe(1);
    rref.dispose();
    await cluster.unreferenced();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('errors are values; thrown ones arrive as cause, with their class if it is registered', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    const error = new OutOfStock('none left', 'A-1', 3);
    error.cause = new AggregateError([new TypeError('t'), new RangeError('r')]);
    const back = await worker.rpcSync(1, echo<OutOfStock>, [error]);
    const thrown = await worker.rpcSync(1, throwIt, [error]).catch((failure) => failure);
    expect(thrown).toMatchObject({ code: 'remote_error', remoteName: 'OutOfStock' });
    for (const one of [back, thrown.cause]) {
      expect(one).toBeInstanceOf(OutOfStock);
      expect(one).toMatchObject({ message: 'none left', sku: 'A-1', wanted: 3 });
      expect(one.stack).toBe(error.stack);
      expect(one.cause.errors.map((e: Error) => e.constructor)).toEqual([TypeError, RangeError]);
    }
  });

  test('what cannot be decoded is an error of its call and leaves nothing behind', async () => {
    await using cluster = await startCluster({ transport });
    const [a, b] = [cluster.at(0), cluster.at(1)];
    const rref = a.remote(1, add, [1, 2]);
    const x = tf.ones([2]);
    const others = Array.from({ length: 5 }, () => a.rpcAsync(1, add, [1, 1]));
    await expect(a.rpcSync(1, echo, [[rref, x, new Poison(rref)]])).rejects.toMatchObject({
      code: 'unsupported_value',
      maybeExecuted: false,
      peer: 'worker1',
      message: expect.stringMatching(/a Poison came that cannot be decoded: Error: never/),
    });
    await expect(a.rpcSync(1, makePoison, [rref])).rejects.toMatchObject({
      code: 'unsupported_value',
    });
    expect(await Promise.all(others)).toEqual([2, 2, 2, 2, 2]);
    x.dispose();
    rref.dispose();
    // The handler's own copy of the reference is found by garbage collection alone.
    await cluster.collected();
    expect(b.references.ownedCount).toBe(0);
  });

  test('the state of an optimizer can be sent, and restored from what arrives', async () => {
    await using cluster = await startCluster({ transport });
    const weights = tf.tidy(() => tf.variable(tf.tensor1d([1, 2])));
    const gradient = tf.tensor1d([0.5, 0.25]);
    const sgd = new SGD([weights], { lr: 0.1, momentum: 0.9 });
    sgd.step(new Map([[weights, gradient]]));
    const state = await sgd.stateDict();
    const back = await cluster.at(0).rpcSync(1, echo<typeof state>, [state]);
    expect(back).toStrictEqual(state);
    const other = new SGD([weights], { lr: 1 });
    other.loadStateDict(back);
    expect(await other.stateDict()).toStrictEqual(state);
    sgd.dispose();
    other.dispose();
    tf.dispose([gradient, weights]);
  });

  test('money keeps what only its codec knows', async () => {
    await using cluster = await startCluster({ transport });
    const back = await cluster
      .at(0)
      .rpcSync(1, echo<Map<string, Money>>, [new Map([['k', new Money(7n)]])]);
    expect(back.get('k')?.equals(new Money(7n))).toBe(true);
  });
});
