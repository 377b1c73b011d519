/** Clipping against PyTorch, dense and sparse, and who owns what. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { clipFactor, joinNorm, normPart } from '../../optim/clip.ts';
import { clipGradNorm, clipGradValue, type Gradients } from '../../optim/index.ts';
import { type EngineName, SparseSlices, startEngine, tf } from '../../tensor/index.ts';
import { Draw, relativeDistance } from '../support/golden-optim.ts';
import { goldenSchedules } from '../support/golden-schedules.ts';
import { withGraph } from '../support/gradients.ts';
import { expectNoLeak } from '../support/leaks.ts';

type Gradient = tf.Tensor | SparseSlices;

/** The gradients of the golden file by parameter; both are freed after `fn`. */
async function withGradients(
  isSparse: boolean,
  fn: (gradients: Gradients) => void | Promise<void>,
): Promise<void> {
  await expectNoLeak(async () => {
    const draw = new Draw();
    const drawn: Gradient[] = isSparse
      ? [draw.slices([6, 3]), draw.slices([9])]
      : goldenSchedules.clippedShapes.map((shape) => draw.tensor(shape));
    const keys = drawn.map(() => tf.scalar(0));
    try {
      await fn(new Map(keys.map((key, i) => [key, drawn[i] as Gradient])));
    } finally {
      for (const each of [...drawn, ...keys]) each.dispose();
    }
  });
}

/** Values of all gradients, which are freed. */
function take(gradients: Gradients): number[][] {
  return [...gradients.values()].map((gradient) => {
    const dense = gradient instanceof SparseSlices ? gradient.toDense() : gradient;
    const values = [...dense.dataSync<'float32'>()];
    dense.dispose();
    gradient.dispose();
    return values;
  });
}

const invalid: unknown = expect.objectContaining({ code: 'invalid_argument' });

describe.each<EngineName>(['cpu', 'wasm'])('on engine %s', (engine) => {
  beforeAll(async () => {
    await startEngine(engine);
  });

  test.each(goldenSchedules.norms)(
    'clip_grad_norm_: norm $normType to $maxNorm, sparse: $isSparse',
    async ({ isSparse, maxNorm, normType, totalNorm, gradients: expected }) => {
      await withGradients(isSparse, async (gradients) => {
        const clipped = await clipGradNorm(gradients, maxNorm, { normType: Number(normType) });
        expect(Math.abs(clipped.totalNorm - totalNorm)).toBeLessThanOrEqual(1e-6 * totalNorm);
        expect([...clipped.gradients.keys()]).toEqual([...gradients.keys()]);
        const values = take(clipped.gradients);
        if (!isSparse) {
          expect(relativeDistance(values, expected)).toBeLessThanOrEqual(1e-6);
          return;
        }
        // PyTorch leaves these as they are.
        const norm = values.flat().reduce((sum, x) => sum + Math.abs(x) ** Number(normType), 0);
        expect(norm ** (1 / Number(normType))).toBeCloseTo(maxNorm, 5);
      });
    },
  );

  test.each(goldenSchedules.values)('clip_grad_value_: $clipValue', async (one) => {
    await withGradients(false, (gradients) => {
      const values = take(clipGradValue(gradients, one.clipValue));
      expect(relativeDistance(values, one.gradients)).toBeLessThanOrEqual(1e-7);
    });
  });

  test('repeated rows are clipped as their sum', () =>
    expectNoLeak(() => {
      const indices = tf.tensor1d([2, 0, 2], 'int32');
      using rows = new SparseSlices(indices, tf.tensor1d([0.75, -3, 0.5]), [3]);
      const key = tf.scalar(0);
      expect(take(clipGradValue(new Map([[key, rows]]), 1))).toEqual([[-1, 0, 1]]);
      key.dispose();
    }));

  test('the norm of several owners is that of their parts', () =>
    withGradients(false, async (gradients) => {
      for (const normType of [1, 2, 3, Number.POSITIVE_INFINITY]) {
        const { totalNorm, gradients: clipped } = await clipGradNorm(gradients, 1, { normType });
        for (const gradient of clipped.values()) gradient.dispose();
        const owners = [...gradients].map((entry) => new Map([entry]));
        const parts = await Promise.all(owners.map((owned) => normPart(owned, normType)));
        expect(joinNorm(parts, normType)).toBeCloseTo(totalNorm, 12);
      }
    }));
});

test('no gradients have the norm 0', async () => {
  expect(await clipGradNorm(new Map(), 1)).toEqual({ totalNorm: 0, gradients: new Map() });
  expect(clipGradValue(new Map(), 1)).toEqual(new Map());
});

test('a norm that is not finite: as PyTorch, or an error if asked for', () =>
  expectNoLeak(async () => {
    const key = tf.scalar(0);
    const endless = tf.tensor1d([Number.POSITIVE_INFINITY, 1]);
    const gradients = new Map([[key, endless]]);
    const { totalNorm, gradients: clipped } = await clipGradNorm(gradients, 1);
    expect(totalNorm).toBe(Number.POSITIVE_INFINITY);
    expect(take(clipped)).toEqual([[Number.NaN, 0]]);
    await expect(clipGradNorm(gradients, 1, { errorIfNonfinite: true })).rejects.toMatchObject({
      code: 'invalid_state',
    });
    expect(clipFactor(Number.NaN, 1)).toBeNaN();
    tf.dispose([key, endless]);
  }));

test('bounds that make no sense are refused', () =>
  withGradients(false, async (gradients) => {
    await expect(clipGradNorm(gradients, -1)).rejects.toEqual(invalid);
    await expect(clipGradNorm(gradients, Number.NaN)).rejects.toEqual(invalid);
    await expect(clipGradNorm(gradients, 1, { normType: 0 })).rejects.toEqual(invalid);
    expect(() => clipGradValue(gradients, -1)).toThrow(invalid);
    expect(() => clipGradValue(gradients, Number.NaN)).toThrow(invalid);
  }));

test('in a context clipping is not recorded, and what it makes ends with the context', () =>
  withGradients(true, async (gradients) => {
    await withGraph(async (graph) => {
      const before = tf.memory().numTensors;
      await clipGradNorm(gradients, 0.1);
      clipGradValue(gradients, 0.1);
      expect(tf.memory().numTensors - before).toBe(8);
      expect(graph.scope.size).toBe(8);
    });
  }));
