/** The environment of the reinforcement learning obeys its equations. */
import { expect, test } from '@jest/globals';
import { CartPole, type State } from '../../examples/reinforcement-learning/cart-pole.ts';
import { Random } from '../../examples/support/random.ts';

function start(seed = 1): { env: CartPole; state: State } {
  const env = new CartPole(new Random(seed));
  return { env, state: env.reset() };
}

/** A number for the first two draws, and its opposite for the others, scaled to the range asked for. */
function fixed(part: number): Random {
  return { uniform: (low: number, high: number) => low + part * (high - low) } as Random;
}

test('episodes begin near the middle, otherwise each time, alike for a seed', () => {
  const { env, state } = start();
  for (const value of state) expect(Math.abs(value)).toBeLessThan(0.05);
  expect(env.reset()).not.toEqual(state);
  expect(start().state).toEqual(state);
  expect(start(2).state).not.toEqual(state);
});

test('one push from rest moves the cart one way and the pole the other', () => {
  const env = new CartPole(fixed(0.5));
  expect(env.reset()).toEqual([0, 0, 0, 0]);
  const { state, reward, done } = env.step(1);
  expect([reward, done]).toEqual([1, false]);
  // By hand: 10 N on 1.1 kg with an upright pole of 0.1 kg and half a metre.
  const turning = -(10 / 1.1) / (0.5 * (4 / 3 - 0.1 / 1.1));
  const moving = 10 / 1.1 - (0.05 * turning) / 1.1;
  expect(state[1]).toBeCloseTo(0.02 * moving, 10);
  expect(state[3]).toBeCloseTo(0.02 * turning, 10);
  expect([state[0], state[2]]).toEqual([0, 0]);
});

test('the mirror image of an episode is its mirror image', () => {
  const [one, other] = [new CartPole(fixed(0.8)), new CartPole(fixed(0.2))];
  one.reset();
  other.reset();
  for (const action of [1, 0, 0, 1, 1]) {
    const [a, b] = [one.step(action).state, other.step(1 - action).state];
    a.forEach((value, i) => {
      expect(value).toBeCloseTo(-(b[i] as number), 10);
    });
  }
});

test('pushing one way alone ends soon', () => {
  const { env } = start();
  let steps = 1;
  while (!env.step(1).done) steps++;
  expect(steps).toBeLessThan(15);
});
