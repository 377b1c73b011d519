/**
 * Clipping of gradients by their common norm or by value. The gradients are only read: clipped ones are new. The norm is made
 * of parts that add up, so that those of several owners can be joined. Knows no optimizer.
 */
import { noGrad } from '../autograd/index.ts';
import { GradwireError } from '../errors.ts';
import { SparseSlices, tf } from '../tensor/index.ts';
import type { Gradients } from './rule.ts';
import { sumRows } from './sparse-rows.ts';

export interface ClipNormOptions {
  /** Order of the norm, > 0; Infinity for the largest absolute value. Default 2. */
  readonly normType?: number;
  /** Whether a norm that is not finite is an error. Default false: then the gradients become NaN or 0, as PyTorch's do. */
  readonly errorIfNonfinite?: boolean;
}

export interface ClippedGradients {
  /** Norm of all gradients together, before clipping. */
  readonly totalNorm: number;
  /** New tensors, the caller's, or of the scope or context around. */
  readonly gradients: Map<tf.Tensor, tf.Tensor | SparseSlices>;
}

/**
 * Scales all gradients so that their norm, as of one long vector, is at most `maxNorm`. Repeated rows of a sparse gradient
 * count as their sum. PyTorch: `clip_grad_norm_`, which changes the gradients in place.
 *
 * @throws GradwireError (as rejection) `invalid_argument`; `invalid_state` for a norm that is not finite, if asked for
 */
export async function clipGradNorm(
  gradients: Gradients,
  maxNorm: number,
  options: ClipNormOptions = {},
): Promise<ClippedGradients> {
  const { normType = 2, errorIfNonfinite = false } = options;
  if (!(maxNorm >= 0)) throw invalid(`maxNorm is ${maxNorm}, not a number ≥ 0`);
  if (!(normType > 0)) throw invalid(`normType is ${normType}, not a number > 0`);
  const totalNorm = joinNorm([await normPart(gradients, normType)], normType);
  if (errorIfNonfinite && !Number.isFinite(totalNorm)) {
    throw new GradwireError(
      'invalid_state',
      `the norm of the gradients is ${totalNorm}, so they cannot be clipped`,
    );
  }
  return { totalNorm, gradients: scale(gradients, clipFactor(totalNorm, maxNorm)) };
}

/**
 * Brings every element of every gradient into [−clipValue, clipValue]. Repeated rows of a sparse gradient count as their sum.
 * PyTorch: `clip_grad_value_`, which changes the gradients in place.
 *
 * @returns new tensors, the caller's, or of the scope or context around
 * @throws GradwireError `invalid_argument`
 */
export function clipGradValue(
  gradients: Gradients,
  clipValue: number,
): Map<tf.Tensor, tf.Tensor | SparseSlices> {
  if (!(clipValue >= 0)) throw invalid(`clipValue is ${clipValue}, not a number ≥ 0`);
  return mapValues(gradients, (values) => tf.clipByValue(values, -clipValue, clipValue));
}

/**
 * The part of one owner in the norm of all gradients: the sum of |g|ᵖ, or the largest |g| for p = Infinity. A number, so
 * that it can travel.
 */
export async function normPart(gradients: Gradients, normType: number): Promise<number> {
  const parts = noGrad(() =>
    [...gradients.values()].map((gradient) =>
      tf.tidy(() => {
        const values = gradient instanceof SparseSlices ? sumRows(gradient).values : gradient;
        if (values.size === 0) return tf.scalar(0);
        if (normType === 2) return tf.sum(tf.square(values));
        const sizes = tf.abs(values);
        return normType === Infinity ? tf.max(sizes) : tf.sum(tf.pow(sizes, normType));
      }),
    ),
  );
  try {
    const read = await Promise.all(parts.map(async (part) => (await part.data())[0] ?? 0));
    return normType === Infinity ? Math.max(0, ...read) : read.reduce((sum, part) => sum + part, 0);
  } finally {
    tf.dispose(parts);
  }
}

/** The norm that parts of several owners make. */
export function joinNorm(parts: readonly number[], normType: number): number {
  if (normType === Infinity) return Math.max(0, ...parts);
  return parts.reduce((sum, part) => sum + part, 0) ** (1 / normType);
}

/** What all gradients are to be multiplied by; NaN stays NaN. */
export function clipFactor(totalNorm: number, maxNorm: number): number {
  return Math.min(maxNorm / (totalNorm + 1e-6), 1);
}

/** All gradients times `factor`, as new tensors. */
export function scale(
  gradients: Gradients,
  factor: number,
): Map<tf.Tensor, tf.Tensor | SparseSlices> {
  return mapValues(gradients, (values) =>
    factor === 1 ? tf.clone(values) : tf.mul(values, factor),
  );
}

function mapValues(
  gradients: Gradients,
  fn: (values: tf.Tensor) => tf.Tensor,
): Map<tf.Tensor, tf.Tensor | SparseSlices> {
  const clipped = new Map<tf.Tensor, tf.Tensor | SparseSlices>();
  // What is made here is not recorded, even in a context.
  noGrad(() => {
    for (const [of, gradient] of gradients) {
      if (!(gradient instanceof SparseSlices)) {
        clipped.set(
          of,
          tf.tidy(() => fn(gradient)),
        );
        continue;
      }
      const { indices, values } = tf.tidy(() => {
        const rows = sumRows(gradient);
        return { indices: tf.clone(rows.indices), values: fn(rows.values) };
      });
      clipped.set(of, new SparseSlices(indices, values, gradient.denseShape));
    }
  });
  return clipped;
}

function invalid(message: string): GradwireError {
  return new GradwireError('invalid_argument', message);
}
