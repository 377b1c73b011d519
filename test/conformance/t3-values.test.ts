/** Plain calls and what they carry. The names are those of the peer's own tests; functions of other kinds: t3-functions. */
import { describe, expect, test } from '@jest/globals';
import { getWorkerInfo, rpcSync } from '../../rpc/api.ts';
import { byTag, COMMON_EXTENSIONS } from '../../rpc/extensions.ts';
import { type Packet, pack, unpack } from '../../rpc/packet.ts';
import { register } from '../../rpc/registry.ts';
import { registerValue } from '../../rpc/value-classes.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { echo } from '../support/services.ts';
import { Point } from '../support/values.ts';

function sumOf(a: tf.Tensor, b: tf.Tensor | number): tf.Tensor {
  return tf.add(a, b);
}

async function nonzero(x: tf.Tensor): Promise<tf.Tensor> {
  return tf.whereAsync(tf.cast(x, 'bool'));
}

function makePoint(x: number): Point {
  return new Point(x, x);
}

function sumOfPoint(point: Point): number {
  return point.sum();
}

interface Nested {
  readonly list: readonly tf.Tensor[];
  readonly pair: readonly [readonly (readonly tf.Tensor[])[], ReadonlyMap<string, tf.Tensor>];
  readonly record: { readonly x: tf.Tensor };
}

/** The same tensors at the same places, doubled. */
function doubleAll({ list, pair: [lists, map], record }: Nested): Nested {
  const two = (x: tf.Tensor): tf.Tensor => tf.mul(x, 2);
  return {
    list: list.map(two),
    pair: [lists.map((inner) => inner.map(two)), new Map([...map].map(([k, x]) => [k, two(x)]))],
    record: { x: two(record.x) },
  };
}

/** Its codec serialises by rpc's own serialiser, in the middle of a message. */
class Sealed {
  readonly content: unknown;

  constructor(content: unknown) {
    this.content = content;
  }
}

registerValue(
  { Sealed },
  {
    encode: ({ content }) => {
      const message = { head: null, body: content, bodyName: 'the content' };
      const { parts } = pack(message, COMMON_EXTENSIONS, () => null) as Packet;
      return new Uint8Array(Buffer.concat(parts));
    },
    decode: (bytes: Uint8Array) => new Sealed(unpack(bytes, byTag(COMMON_EXTENSIONS)).body),
  },
);
register({ sumOf, nonzero, makePoint, sumOfPoint, doubleAll });

async function valuesOf(x: tf.Tensor): Promise<number[]> {
  const values = [...(await x.data())];
  x.dispose();
  return values;
}

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_self_add: a worker calls itself by its own info, both ways', async () => {
    await using cluster = await startCluster({ workers: 1, transport });
    const worker = cluster.at(0);
    const [a, b] = [tf.ones([2, 2]), tf.ones([2, 2])];
    await worker.run(async () => {
      const self = getWorkerInfo();
      expect(await valuesOf(await rpcSync(self, sumOf, [a, b]))).toEqual([2, 2, 2, 2]);
      expect(await valuesOf(await worker.rpcAsync(self, sumOf, [a, 1]))).toEqual([2, 2, 2, 2]);
    });
    tf.dispose([a, b]);
  });

  test('test_add, test_scalar_add, test_async_add: tensors and numbers, sync and async', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    for (const worker of cluster.workers) {
      const n = worker.info.id + 1;
      const x = tf.ones([n, n]);
      const to = n % 3;
      const expected = Array.from({ length: n * n }, () => n + 1);
      expect(await valuesOf(await worker.rpcSync(to, sumOf, [x, n]))).toEqual(expected);
      const y = tf.fill([n, n], n);
      const future = worker.rpcAsync(to, sumOf, [x, y]);
      expect(await valuesOf(await future)).toEqual(expected);
      expect(await valuesOf(await worker.rpcSync(to, sumOf, [x, y]))).toEqual(expected);
      tf.dispose([x, y]);
    }
  });

  test('test_nonzero: the shape of the result depends on the data', async () => {
    await using cluster = await startCluster({ transport });
    const x = tf.tensor2d([
      [0, 3],
      [5, 0],
    ]);
    const places = await cluster.at(0).rpcSync(1, nonzero, [x]);
    expect(places.shape).toEqual([2, 2]);
    expect(await valuesOf(places)).toEqual([0, 1, 1, 0]);
    x.dispose();
  });

  test('test_multi_rpc: twenty calls in a row', async () => {
    await using cluster = await startCluster({ transport });
    for (let i = 0; i < 20; i++) {
      const x = tf.fill([2], i);
      expect(await valuesOf(await cluster.at(0).rpcSync(1, sumOf, [x, x]))).toEqual([2 * i, 2 * i]);
      x.dispose();
    }
  });

  test('test_py_class_constructor: an object made there arrives by value with its fields', async () => {
    await using cluster = await startCluster({ transport });
    const point = await cluster.at(0).rpcSync(1, makePoint, [7]);
    expect(point).toBeInstanceOf(Point);
    expect([point.x, point.sum()]).toEqual([7, 14]);
  });

  test('test_py_class_instance_method: the object of a method travels with the call', async () => {
    await using cluster = await startCluster({ transport });
    expect(await cluster.at(0).rpcSync(1, sumOfPoint, [new Point(3, 4)])).toBe(7);
  });

  test('test_py_tensors: a function of two tensors', async () => {
    await using cluster = await startCluster({ transport });
    const [a, b] = [tf.tensor1d([1, 2]), tf.tensor1d([3, 4])];
    expect(await valuesOf(await cluster.at(0).rpcSync(1, sumOf, [a, b]))).toEqual([4, 6]);
    tf.dispose([a, b]);
  });

  test('test_py_tensors_multi_async_call: a hundred sizes at once, from nothing up', async () => {
    await using cluster = await startCluster({ transport });
    const sent = Array.from({ length: 100 }, (_, i) => tf.ones([i, i]));
    const calls = sent.map((x) => cluster.at(0).rpcAsync(1, sumOf, [x, x]));
    const back = await Promise.all(calls);
    for (const [i, x] of back.entries()) {
      expect(x.shape).toEqual([i, i]);
      expect((await valuesOf(x)).every((value) => value === 2)).toBe(true);
    }
    tf.dispose(sent);
  });

  test('test_py_tensors_in_container: lists of lists, a map and a record of tensors', async () => {
    await using cluster = await startCluster({ transport });
    const [a, b, c] = [tf.tensor1d([1]), tf.tensor1d([2]), tf.tensor1d([3])];
    const nested: Nested = {
      list: [a, b],
      pair: [[[a], [b, c]], new Map([['k', c]])],
      record: { x: a },
    };
    const back = await cluster.at(0).rpcSync(1, doubleAll, [nested]);
    const [lists, map] = back.pair;
    const all = [...back.list, ...lists.flat(), ...map.values(), back.record.x];
    const values = await Promise.all(all.map(valuesOf));
    expect(values.flat()).toEqual([2, 4, 2, 4, 6, 6, 2]);
    expect([...map.keys()]).toEqual(['k']);
    tf.dispose([a, b, c]);
  });

  test('test_py_nested_pickle: a codec runs the serialiser inside of a message', async () => {
    await using cluster = await startCluster({ transport });
    const content = { list: [1, new Sealed(new Map([['k', new Point(1, 2)]]))], s: 'x' };
    const value = [new Sealed(content), new Point(new Sealed(1n), 2)];
    const back = await cluster.at(0).rpcSync(1, echo<typeof value>, [value]);
    expect(back).toStrictEqual(value);
  });

  test('test_non_cont_tensors: a slice of a tensor arrives as its own values', async () => {
    await using cluster = await startCluster({ transport });
    const part = tf.tidy(() => {
      const x = tf.reshape(tf.range(0, 12), [3, 4]);
      return tf.transpose(tf.slice(x, [0, 1], [3, 2]));
    });
    const back = await cluster.at(0).rpcSync(1, echo<tf.Tensor>, [part]);
    expect(back.shape).toEqual([2, 3]);
    expect(await valuesOf(back)).toEqual([1, 5, 9, 2, 6, 10]);
    part.dispose();
  });
});
