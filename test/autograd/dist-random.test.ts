/** Random programs placed at random over two to five workers have the gradients of the same program in one place. */
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import fc from 'fast-check';
import { autograd, tf } from '../../index.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomTensor, randomVariable } from '../support/numbers.ts';
import { runs } from '../support/runs.ts';
import {
  at,
  CARRIERS,
  type Carrier,
  clean,
  expectGradients,
  startTeam,
  type Team,
} from './support.ts';

const MOST_WORKERS = 5;
const OPS = [
  'add',
  'mul',
  'tanh',
  'matMul',
  'halves',
  'weigh',
  'relay',
  'echo',
  'ring',
  'diamond',
] as const;
/** Programs in the suite and in `npm run test:long`. */
const PROGRAMS: Readonly<Record<Carrier, () => ReturnType<typeof runs>>> = {
  memory: () => runs(500, 20_000),
  grpc: () => runs(40, 1_000),
};

/** One call: `op` on worker `place` with two earlier values, counted back from the newest, modulo their number. */
interface Step {
  readonly op: (typeof OPS)[number];
  readonly place: number;
  readonly left: number;
  readonly right: number;
}

interface Program {
  /** How many workers take part. */
  readonly workers: number;
  readonly steps: readonly Step[];
  readonly initiator: number;
  readonly seed: number;
  readonly roots: readonly number[];
  /** Whether calls that do not need each other run at the same time. */
  readonly isParallel: boolean;
}

const program: fc.Arbitrary<Program> = fc.record({
  workers: fc.integer({ min: 2, max: MOST_WORKERS }),
  steps: fc.array(
    fc.record({
      op: fc.constantFrom(...OPS),
      place: fc.nat(MOST_WORKERS - 1),
      left: fc.nat(8),
      right: fc.nat(8),
    }),
    { minLength: 1, maxLength: 10 },
  ),
  initiator: fc.nat(MOST_WORKERS - 1),
  seed: fc.nat(1_000_000),
  roots: fc.array(fc.nat(100), { minLength: 1, maxLength: 3 }),
  isParallel: fc.boolean(),
});

/** What `op` does where it runs: one or two results, values in [-1, 1]; `weight` lives there. */
function compute(op: Step['op'], a: tf.Tensor, b: tf.Tensor, weight: tf.Variable): tf.Tensor[] {
  switch (op) {
    case 'add':
      return [tf.mul(tf.add(a, b), 0.5)];
    case 'mul':
      return [tf.mul(a, b)];
    case 'tanh':
      return [tf.tanh(a)];
    case 'matMul':
      return [tf.mul(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D), 0.5)];
    case 'halves':
      return [tf.mul(a, weight), tf.mul(b, 0.5)];
    case 'weigh':
    case 'echo':
      return [tf.tanh(tf.add(a, weight))];
    case 'ring':
      return [tf.mul(a, weight)];
    case 'diamond':
      return [tf.add(tf.mul(a, 0.5), tf.mul(b, weight))];
    case 'relay':
      return [tf.mul(a, weight), b];
  }
}

function pick<T>(values: readonly T[], back: number): T {
  return values[values.length - 1 - (back % values.length)] as T;
}

/** The same program in one place. */
function evaluate({ steps, roots }: Program, inputs: Inputs): tf.Tensor {
  const values: tf.Tensor[] = [inputs.constant, inputs.own];
  for (const { op, place, left, right } of steps) {
    const weight = inputs.weights[place] as tf.Variable;
    values.push(...compute(op, pick(values, left), pick(values, right), weight));
  }
  return tf.addN(roots.map((root) => tf.mean(pick(values, root))));
}

/** How a step comes to where it is computed. */
function route(
  { op, place }: Step,
  workers: number,
  work: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor[],
): (a: tf.Tensor, b: tf.Tensor) => Promise<tf.Tensor[]> {
  const there = place % workers;
  const next = (there + 1) % workers;
  const through = (rank: number) => (a: tf.Tensor, b: tf.Tensor) => at(rank, work, a, b);
  switch (op) {
    case 'relay':
      return (a, b) => at(next, through(there), a, b);
    case 'echo':
      // A worker calls itself.
      return (a, b) => at(there, through(there), a, b);
    case 'ring': {
      const hop =
        (rank: number) =>
        async (a: tf.Tensor, b: tf.Tensor): Promise<tf.Tensor[]> =>
          rank === there ? work(a, b) : at((rank + 1) % workers, hop((rank + 1) % workers), a, b);
      return (a, b) => at(next, hop(next), a, b);
    }
    case 'diamond': {
      // Both come by workers of their own, one of them with what nobody uses.
      const same = (t: tf.Tensor): tf.Tensor => t;
      const both = (t: tf.Tensor): tf.Tensor[] => [t, tf.mul(t, 2)];
      return async (a, b) => {
        const [left, right] = await Promise.all([at(next, same, a), at(there, both, b)]);
        return at(there, work, left, right[0] as tf.Tensor);
      };
    }
    default:
      return through(there);
  }
}

/** The program on the workers: each step is a call, or several. */
async function distribute(
  { steps, roots, initiator, isParallel, workers }: Program,
  inputs: Inputs,
): Promise<tf.Tensor[]> {
  const values: Promise<tf.Tensor>[] = [inputs.constant, inputs.own].map((v) => Promise.resolve(v));
  for (const step of steps) {
    const { op, place, left, right } = step;
    const weight = inputs.weights[place] as tf.Variable;
    const work = (a: tf.Tensor, b: tf.Tensor): tf.Tensor[] => compute(op, a, b, weight);
    const run = route(step, workers, work);
    const called = Promise.all([pick(values, left), pick(values, right)]).then(([a, b]) =>
      run(a, b),
    );
    const count = op === 'halves' || op === 'relay' ? 2 : 1;
    for (let i = 0; i < count; i++) values.push(called.then((all) => all[i] as tf.Tensor));
    if (!isParallel) await called;
  }
  const all = await Promise.all(values);
  const losses = roots.map((root) => tf.mean(pick(all, root)));
  return initiator === 0 ? [tf.addN(losses)] : losses;
}

interface Inputs {
  readonly constant: tf.Tensor;
  readonly own: tf.Variable;
  readonly weights: readonly tf.Variable[];
}

/** The variables that the roots depend on. */
function reached({ steps, roots }: Program, inputs: Inputs): tf.Variable[] {
  const none = new Set<tf.Variable>();
  const values: ReadonlySet<tf.Variable>[] = [none, new Set([inputs.own])];
  for (const { op, place, left, right } of steps) {
    const [a, b] = [pick(values, left), pick(values, right)];
    const weight = inputs.weights[place] as tf.Variable;
    const both = new Set([...a, ...b]);
    if (op === 'halves' || op === 'relay') values.push(new Set([...a, weight]), b);
    else if (op === 'weigh' || op === 'echo' || op === 'ring') values.push(new Set([...a, weight]));
    else if (op === 'diamond') values.push(new Set([...both, weight]));
    else values.push(op === 'tanh' ? a : both);
  }
  return [...new Set(roots.flatMap((root) => [...pick(values, root)]))];
}

/** Each root that leads nowhere would be refused. */
function rootsThatLead(given: Program, inputs: Inputs): Program {
  const roots = given.roots.filter(
    (root) => reached({ ...given, roots: [root] }, inputs).length > 0,
  );
  return { ...given, roots };
}

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  beforeAll(async () => {
    team = await startTeam(MOST_WORKERS, carrier);
  });
  afterAll(() => team.stop());

  async function check(given: Program): Promise<void> {
    const constant = randomTensor([2, 2], given.seed);
    const own = randomVariable([2, 2], given.seed + 1);
    const weights = [2, 3, 4, 5, 6].map((i) => randomVariable([2, 2], given.seed + i));
    const inputs = { constant, own, weights };
    const leading = rootsThatLead(given, inputs);
    if (leading.roots.length > 0) {
      await team.as(given.initiator % given.workers, () =>
        autograd.context(async (id) => {
          await autograd.backward(id, await distribute(leading, inputs));
          const variables = reached(leading, inputs);
          expectGradients(
            team,
            id,
            referenceGradients(() => evaluate(leading, inputs), variables),
            1e-5,
          );
        }),
      );
    }
    tf.dispose([constant, own, ...weights]);
  }

  test('random programs', async () => {
    await fc.assert(
      fc.asyncProperty(program, (given) => clean(team, () => check(given))),
      PROGRAMS[carrier as Carrier](),
    );
  }, 1_800_000);
});
