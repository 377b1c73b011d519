/** What the suites call in the other process; loaded by both. */
import { rpc, tf } from 'gradwire';
import { LocalTrainer } from './local-trainer.ts';
import { tapeSteps } from './tape-steps.ts';

/** Nothing: what is measured is the call. */
export function empty(): void {}

/** Takes a tensor and looks at nothing of it. */
export function take(_tensor: tf.Tensor): void {}

export function add(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return tf.add(a, b);
}

let weight: tf.Variable | undefined;

/** A product with a variable of this process: a gradient on either side. */
export function scale(x: tf.Tensor): tf.Tensor {
  weight ??= tf.tidy(() => tf.variable(tf.scalar(2)));
  return tf.mul(x, weight);
}

/** Tensors that this process holds. */
export function countTensors(): number {
  return tf.memory().numTensors;
}

let trainer: LocalTrainer | undefined;

/** Milliseconds that `count` whole training steps take in the process of the server, without any call. */
export async function localSteps(count: number): Promise<number> {
  trainer ??= new LocalTrainer();
  const start = performance.now();
  for (let i = 0; i < count; i++) await trainer.step();
  return performance.now() - start;
}

rpc.register({ empty, take, add, scale, countTensors, localSteps, tapeSteps });
