/** The generated digits: shapes, reproducible, balanced, and as hard as they are said to be. */
import { expect, test } from '@jest/globals';
import { type Dataset, IMAGE_BYTES, IMAGE_SIZE } from '../../examples/support/dataset.ts';
import { generateDigits } from '../../examples/support/digits.ts';
import { linearAccuracy, scalarAccuracy } from '../support/classifiers.ts';

// Under Jest each look-up of a global is slow, and these are looked up for every pixel.
const { abs, floor, max, min, sqrt } = Math;

const imagesOf = ({ images, count }: Dataset): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => images.subarray(i * IMAGE_BYTES, (i + 1) * IMAGE_BYTES));

const texts = (dataset: Dataset): string[] =>
  imagesOf(dataset).map((image) => Buffer.from(image).toString('latin1'));

test('has the shapes of MNIST, names its source and uses the whole scale', () => {
  const digits = generateDigits({ count: 37, seed: 4, split: 'test' });
  expect(digits.count).toBe(37);
  expect(digits.images).toHaveLength(37 * 28 * 28);
  expect(digits.labels).toHaveLength(37);
  expect(digits.source).toBe('generated digits, seed 4');
  expect(min(...digits.images)).toBe(0);
  expect(max(...digits.images)).toBe(255);
  for (const image of imagesOf(digits)) expect(max(...image)).toBeGreaterThan(128);
});

test('image i depends on seed, split and i alone', () => {
  const few = generateDigits({ count: 15, seed: 2 });
  const many = generateDigits({ count: 40, seed: 2, split: 'train' });
  expect(Buffer.compare(few.images, many.images.subarray(0, few.images.length))).toBe(0);
  expect([...few.labels]).toEqual([...many.labels.subarray(0, 15)]);
  const other = generateDigits({ count: 15, seed: 3 });
  expect(Buffer.compare(few.images, other.images)).not.toBe(0);
});

test('classes are balanced to one image, in a mixed order', () => {
  for (const count of [1, 9, 64, 1000]) {
    const { labels } = generateDigits({ count });
    const perClass = Array.from({ length: 10 }, (_, c) => labels.filter((l) => l === c).length);
    expect(max(...perClass) - min(...perClass)).toBeLessThanOrEqual(1);
  }
  const { labels } = generateDigits({ count: 20 });
  expect([...labels.subarray(0, 10)]).not.toEqual([...labels.subarray(10)]);
});

test('no image comes twice: not within a split, nor in both, nor under two seeds', () => {
  const seen = new Set<string>();
  for (const seed of [1, 2]) {
    for (const split of ['train', 'test'] as const) {
      for (const text of texts(generateDigits({ count: 1000, seed, split }))) seen.add(text);
    }
  }
  expect(seen.size).toBe(4000);
});

test('the statistics to normalise by are those of the images', () => {
  const { images, mean, std } = generateDigits({ count: 4000, seed: 7 });
  const average = images.reduce((sum, byte) => sum + byte, 0) / images.length / 255;
  const square = images.reduce((sum, byte) => sum + byte * byte, 0) / images.length / 255 ** 2;
  expect(average).toBeCloseTo(mean, 2);
  expect(sqrt(square - average ** 2)).toBeCloseTo(std, 2);
});

test('a count that is no positive integer is refused', () => {
  for (const count of [0, -1, 1.5, Number.NaN]) {
    expect(() => generateDigits({ count })).toThrow(`count is ${count}`);
  }
});

test('a linear classifier sees signal, but stays below 0.9', () => {
  const train = generateDigits({ count: 11_200, split: 'train' });
  const heldOut = generateDigits({ count: 2000, split: 'test' });
  const accuracy = linearAccuracy(train, heldOut);
  expect(accuracy).toBeGreaterThan(0.7);
  expect(accuracy).toBeLessThan(0.89);
});

/** Numbers of an image that a class might give itself away by. */
const statistics: Record<string, (image: Uint8Array) => number> = {
  mean: (image) => image.reduce((sum, byte) => sum + byte, 0),
  brightest: (image) => max(...image),
  squares: (image) => image.reduce((sum, byte) => sum + byte * byte, 0),
  lit: (image) => image.filter((byte) => byte > 76).length,
  column: (image) => moments(image).meanX,
  row: (image) => moments(image).meanY,
  spreadX: (image) => moments(image).spreadX,
  spreadY: (image) => moments(image).spreadY,
  slant: (image) => moments(image).slant,
  edgesX: (image) => variation(image, 1),
  edgesY: (image) => variation(image, IMAGE_SIZE),
};

test('no single number of an image tells its class', () => {
  const train = generateDigits({ count: 6000, split: 'train' });
  const heldOut = generateDigits({ count: 3000, split: 'test' });
  const [images, heldOutImages] = [imagesOf(train), imagesOf(heldOut)];
  const accuracyOf = (statistic: (image: Uint8Array) => number, bins: number) =>
    scalarAccuracy(
      { values: images.map(statistic), labels: train.labels },
      { values: heldOutImages.map(statistic), labels: heldOut.labels },
      bins,
    );
  const telling = Object.entries(statistics).filter(([, f]) => accuracyOf(f, 40) >= 0.3);
  expect(telling.map(([name]) => name)).toEqual([]);
  for (let pixel = 0; pixel < IMAGE_BYTES; pixel += 3) {
    expect(accuracyOf((image) => image[pixel] as number, 10)).toBeLessThan(0.3);
  }
});

function moments(image: Uint8Array) {
  let [sum, x, y, xx, yy, xy] = [0, 0, 0, 0, 0, 0];
  image.forEach((byte, pixel) => {
    const [column, row] = [pixel % IMAGE_SIZE, floor(pixel / IMAGE_SIZE)];
    sum += byte;
    x += byte * column;
    y += byte * row;
    xx += byte * column * column;
    yy += byte * row * row;
    xy += byte * column * row;
  });
  const [meanX, meanY] = [x / sum, y / sum];
  return {
    meanX,
    meanY,
    spreadX: xx / sum - meanX ** 2,
    spreadY: yy / sum - meanY ** 2,
    slant: xy / sum - meanX * meanY,
  };
}

function variation(image: Uint8Array, step: number): number {
  let sum = 0;
  for (let pixel = step; pixel < image.length; pixel++) {
    sum += abs((image[pixel] as number) - (image[pixel - step] as number));
  }
  return sum;
}
