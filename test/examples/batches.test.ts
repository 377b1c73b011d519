/** Batches: covering, disjoint, reproducible, and nothing left behind. */
import { beforeAll, expect, test } from '@jest/globals';
import { tf } from 'gradwire';
import { Batches, type BatchOptions } from '../../examples/support/batches.ts';
import { type Dataset, IMAGE_BYTES } from '../../examples/support/dataset.ts';
import { startEngine } from '../../tensor/index.ts';
import { expectNoLeak } from '../support/leaks.ts';

beforeAll(async () => {
  await startEngine('wasm');
});

/** Images that carry their own number in their first two pixels. */
function numbered(count: number): Dataset {
  const images = new Uint8Array(count * IMAGE_BYTES);
  for (let i = 0; i < count; i++) images.set([i % 200, Math.floor(i / 200)], i * IMAGE_BYTES);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
  return { images, labels, count, source: 'numbers', mean: 0, std: 1 / 255 };
}

/** The numbers of the images in each batch. */
async function numbers(dataset: Dataset, options: BatchOptions = {}): Promise<number[][]> {
  const batches: number[][] = [];
  for await (const { x, y } of new Batches(dataset, options)) {
    const pixels = await x.data();
    const batch = Array.from({ length: x.shape[0] }, (_, row) => {
      const at = row * IMAGE_BYTES;
      return Math.round((pixels[at] as number) + 200 * (pixels[at + 1] as number));
    });
    expect([...(await y.data())]).toEqual(batch.map((number) => number % 10));
    batches.push(batch);
  }
  return batches;
}

const all = (count: number) => Array.from({ length: count }, (_, i) => i);
const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b);

test('an epoch covers each image once; the last batch is what is left', async () => {
  await expectNoLeak(async () => {
    const batches = await numbers(numbered(75));
    expect(batches.map((batch) => batch.length)).toEqual([32, 32, 11]);
    expect(sorted(batches.flat())).toEqual(all(75));
    expect(batches.flat()).not.toEqual(all(75));
    expect((await numbers(numbered(75), { shuffle: false })).flat()).toEqual(all(75));
  });
});

test('shapes, types and normalised values', async () => {
  await expectNoLeak(async () => {
    const dataset = { ...numbered(3), mean: 0.5, std: 0.25 };
    dataset.images[1] = 255;
    for await (const { x, y } of new Batches(dataset, { shuffle: false })) {
      expect([x.shape, x.dtype, y.shape, y.dtype]).toEqual([
        [3, 28, 28, 1],
        'float32',
        [3],
        'int32',
      ]);
      const pixels = await x.data();
      expect([pixels[0], pixels[1]]).toEqual([-2, 2]);
    }
  });
});

test('shards of one seed are disjoint and cover each epoch, other orders in other epochs', async () => {
  await expectNoLeak(async () => {
    const dataset = numbered(50);
    const shards = await Promise.all(
      [0, 1, 2].map((rank) => numbers(dataset, { rank, of: 3, batchSize: 17, epochs: 2 })),
    );
    expect(shards.map((shard) => shard.map((b) => b.length))).toEqual([
      [17, 17],
      [17, 17],
      [16, 16],
    ]);
    for (const epoch of [0, 1]) {
      expect(sorted(shards.flatMap((shard) => shard[epoch] ?? []))).toEqual(all(50));
    }
    expect(shards[0]?.[0]).not.toEqual(shards[0]?.[1]);
  });
});

test('the same seed gives the same batches, in each loop; another seed others', async () => {
  await expectNoLeak(async () => {
    const dataset = numbered(40);
    const options = { seed: 6, epochs: 2, batchSize: 8 };
    const once = await numbers(dataset, options);
    expect(await numbers(dataset, options)).toEqual(once);
    expect(await numbers(dataset, { ...options, seed: 7 })).not.toEqual(once);
    const batches = new Batches(dataset, options);
    expect(batches.length).toBe(once.length);
    for (let loop = 0; loop < 2; loop++) {
      const sizes: number[] = [];
      for await (const { y } of batches) sizes.push(y.size);
      expect(sizes).toEqual(once.map((batch) => batch.length));
    }
  });
});

test('iterations go on over epochs, and end at the smaller of the two limits', async () => {
  await expectNoLeak(async () => {
    const dataset = numbered(20);
    const sizes = async (options: BatchOptions) =>
      (await numbers(dataset, { batchSize: 8, ...options })).map((batch) => batch.length);
    expect(await sizes({ iterations: 5 })).toEqual([8, 8, 4, 8, 8]);
    expect(await sizes({ iterations: 5, epochs: 1 })).toEqual([8, 8, 4]);
    expect(await sizes({ iterations: 0 })).toEqual([]);
    expect(new Batches(dataset, { batchSize: 8, iterations: 5 }).length).toBe(5);
  });
});

test('a batch is freed on the next step, on break and on an error in the loop', async () => {
  await expectNoLeak(async () => {
    const dataset = numbered(100);
    let previous: tf.Tensor | undefined;
    for await (const { x } of new Batches(dataset)) {
      expect(previous?.isDisposed ?? true).toBe(true);
      expect(x.isDisposed).toBe(false);
      previous = x;
    }
    expect(previous?.isDisposed).toBe(true);
    for await (const { x } of new Batches(dataset)) {
      previous = x;
      break;
    }
    expect(previous?.isDisposed).toBe(true);
    const failing = (async () => {
      for await (const { x } of new Batches(dataset)) {
        previous = x;
        throw new Error('in the loop');
      }
    })();
    await expect(failing).rejects.toThrow('in the loop');
    expect(previous?.isDisposed).toBe(true);
  });
});

test('a batch that the loop freed itself is no error', async () => {
  await expectNoLeak(async () => {
    for await (const { x, y } of new Batches(numbered(40))) tf.dispose([x, y]);
  });
});

test('options out of range are refused by name', () => {
  const dataset = numbered(3);
  const wrong: [BatchOptions, string][] = [
    [{ batchSize: 0 }, 'batchSize is 0'],
    [{ batchSize: 1.5 }, 'batchSize is 1.5'],
    [{ rank: 2, of: 2 }, 'rank 2 is not below of (2)'],
    [{ rank: -1 }, 'rank is -1'],
    [{ rank: 3, of: 4 }, '3 images are too few for 4 shards'],
    [{ iterations: -1 }, 'iterations is -1'],
    [{ epochs: Number.NaN }, 'epochs is NaN'],
  ];
  for (const [options, message] of wrong) {
    expect(() => new Batches(dataset, options)).toThrow(message);
  }
});
