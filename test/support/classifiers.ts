/**
 * Two weak classifiers that measure how hard a data set is: a linear one on all pixels, and a table on one number per
 * image. Typed arrays only, so that they depend on nothing that they might be used to test.
 */
import { type Dataset, IMAGE_BYTES } from '../../examples/support/dataset.ts';
import { Random } from '../../examples/support/random.ts';

// Under Jest each look-up of a global is slow, and these are looked up for every pixel.
const { exp, floor, max, sqrt } = Math;

const CLASSES = 10;

/**
 * Best test accuracy, over the epochs, of a multinomial logistic regression on standardised pixels: SGD with momentum
 * 0.9, batches of 64, a rate that falls to zero. Taking the best epoch by the test images makes it an upper bound.
 */
export function linearAccuracy(train: Dataset, test: Dataset, epochs = 6): number {
  const scale = pixelScale(train);
  const [x, testX] = [standardise(train, scale), standardise(test, scale)];
  const weights = new Float32Array((IMAGE_BYTES + 1) * CLASSES);
  const velocity = new Float32Array(weights.length);
  const gradient = new Float32Array(weights.length);
  const scores = new Float32Array(CLASSES);
  const order = Uint32Array.from({ length: train.count }, (_, i) => i);
  let best = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rate = 0.01 * (1 - epoch / epochs);
    new Random(1, 'linear', epoch).shuffle(order);
    for (let from = 0; from < order.length; from += 64) {
      const batch = order.subarray(from, from + 64);
      gradient.fill(0);
      for (const i of batch) {
        const row = x.subarray(i * (IMAGE_BYTES + 1), (i + 1) * (IMAGE_BYTES + 1));
        score(row, weights, scores);
        const top = max(...scores);
        const sum = scores.reduce((total, s) => total + exp(s - top), 0);
        for (let c = 0; c < CLASSES; c++) {
          const target = train.labels[i] === c ? 1 : 0;
          scores[c] = (exp((scores[c] as number) - top) / sum - target) / batch.length;
        }
        for (let p = 0, w = 0; p < row.length; p++) {
          const value = row[p] as number;
          for (let c = 0; c < CLASSES; c++, w++) {
            gradient[w] = (gradient[w] as number) + value * (scores[c] as number);
          }
        }
      }
      for (let w = 0; w < weights.length; w++) {
        const v = 0.9 * (velocity[w] as number) + (gradient[w] as number);
        velocity[w] = v;
        weights[w] = (weights[w] as number) - rate * v;
      }
    }
    let right = 0;
    for (let i = 0; i < test.count; i++) {
      score(testX.subarray(i * (IMAGE_BYTES + 1), (i + 1) * (IMAGE_BYTES + 1)), weights, scores);
      if (scores.indexOf(max(...scores)) === test.labels[i]) right++;
    }
    best = max(best, right / test.count);
  }
  return best;
}

/**
 * Test accuracy of guessing the class from one number per image: the training values in order are cut into up to `bins`
 * equal parts, and each part guesses its commonest class.
 */
export function scalarAccuracy(
  train: { readonly values: ArrayLike<number>; readonly labels: Uint8Array },
  test: { readonly values: ArrayLike<number>; readonly labels: Uint8Array },
  bins = 40,
): number {
  const sorted = Float64Array.from(train.values).sort();
  const cuts = Array.from({ length: bins - 1 }, (_, i) => {
    return sorted[floor(((i + 1) * sorted.length) / bins)] as number;
  });
  const binOf = (value: number) => {
    let bin = 0;
    while (bin < cuts.length && (cuts[bin] as number) <= value) bin++;
    return bin;
  };
  const counts = Array.from({ length: bins }, () => new Uint32Array(CLASSES));
  for (let i = 0; i < train.labels.length; i++) {
    const count = counts[binOf(train.values[i] as number)] as Uint32Array;
    const label = train.labels[i] as number;
    count[label] = (count[label] as number) + 1;
  }
  const guesses = counts.map((count) => count.indexOf(max(...count)));
  let right = 0;
  for (let i = 0; i < test.labels.length; i++) {
    if (guesses[binOf(test.values[i] as number)] === test.labels[i]) right++;
  }
  return right / test.labels.length;
}

function score(row: Float32Array, weights: Float32Array, scores: Float32Array): void {
  scores.fill(0);
  for (let p = 0, w = 0; p < row.length; p++) {
    const value = row[p] as number;
    for (let c = 0; c < CLASSES; c++, w++) {
      scores[c] = (scores[c] as number) + value * (weights[w] as number);
    }
  }
}

/** Mean and standard deviation of each pixel. */
function pixelScale({ images, count }: Dataset): { mean: Float64Array; std: Float64Array } {
  const mean = new Float64Array(IMAGE_BYTES);
  const std = new Float64Array(IMAGE_BYTES);
  for (let p = 0; p < IMAGE_BYTES; p++) {
    let [sum, squares] = [0, 0];
    for (let i = 0; i < count; i++) {
      const value = (images[i * IMAGE_BYTES + p] as number) / 255;
      sum += value;
      squares += value * value;
    }
    const average = sum / count;
    mean[p] = average;
    // A floor, so that pixels which are nearly always empty do not drown the rest.
    std[p] = sqrt(max(0, squares / count - average * average)) + 0.05;
  }
  return { mean, std };
}

/** `[count, 785]`: the standardised pixels and a 1 for the bias. */
function standardise(dataset: Dataset, scale: ReturnType<typeof pixelScale>): Float32Array {
  const out = new Float32Array(dataset.count * (IMAGE_BYTES + 1)).fill(1);
  for (let i = 0; i < dataset.count; i++) {
    for (let p = 0; p < IMAGE_BYTES; p++) {
      const value = (dataset.images[i * IMAGE_BYTES + p] as number) / 255;
      const { [p]: mean = 0 } = scale.mean;
      const { [p]: std = 1 } = scale.std;
      out[i * (IMAGE_BYTES + 1) + p] = (value - mean) / std;
    }
  }
  return out;
}
