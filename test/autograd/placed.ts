/** Tests of one kind: a program over several workers has the gradients of the same program in one place. */
import { test } from '@jest/globals';
import { tf } from '../../index.ts';
import { randomTensor, randomVariable } from '../support/numbers.ts';
import { clean, expectSame, type Team } from './support.ts';

export const SHAPE: [number, number] = [3, 3];
type M = tf.Tensor2D;

/** Variables and a constant, all of shape `SHAPE`. */
export interface Values {
  readonly a: tf.Variable;
  readonly b: tf.Variable;
  readonly c: tf.Variable;
  readonly d: tf.Variable;
  readonly x: tf.Tensor;
}
type Four = [tf.Variable, tf.Variable, tf.Variable, tf.Variable];

export const mean = (x: tf.Tensor): tf.Scalar => tf.mean(x);
export const product = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.matMul(a as M, b as M);

export type Same = (
  title: string,
  names: string,
  program: (v: Values) => Promise<tf.Tensor | tf.Tensor[]>,
  reference: (v: Values) => tf.Tensor,
) => void;

/** `names`: the variables that get gradients; `program` runs on w0, `reference` in one place. */
export function sameOn(team: () => Team): Same {
  return (title, names, program, reference) => {
    test(title, () =>
      clean(team(), async () => {
        const [a, b, c, d] = [1, 2, 3, 4].map((seed) => randomVariable(SHAPE, seed)) as Four;
        const x = randomTensor(SHAPE, 5);
        const values = { a, b, c, d, x };
        try {
          const used = [...names].map((name) => values[name as 'a']);
          await expectSame(
            team(),
            used,
            () => program(values),
            () => reference(values),
          );
        } finally {
          tf.dispose([a, b, c, d, x]);
        }
      }),
    );
  };
}
