/**
 * A pole on a cart, to be held upright by pushing the cart left or right. Equations of Barto, Sutton and Anderson (1983) with
 * their sizes, integrated by Euler's rule. Knows nothing of agents.
 */
import type { Random } from '../support/random.ts';

/** Metres, metres per second, radians, radians per second. */
export type State = readonly [x: number, speed: number, angle: number, turn: number];

const GRAVITY = 9.8;
const CART_KG = 1;
const POLE_KG = 0.1;
const TOTAL_KG: number = CART_KG + POLE_KG;
/** From the joint to the middle of the pole. */
const HALF_M = 0.5;
const PUSH_N = 10;
const STEP_S = 0.02;
/** Beyond these an episode is over. */
const FAR_M = 2.4;
const STEEP: number = (12 * Math.PI) / 180;

/** What a step brings. */
export interface Outcome {
  readonly state: State;
  /** 1 for each step. */
  readonly reward: number;
  readonly done: boolean;
}

export class CartPole {
  readonly #random: Random;
  #state: State = [0, 0, 0, 0];

  /** @param random gives the states that episodes begin with */
  constructor(random: Random) {
    this.#random = random;
  }

  /** Begins an episode near the middle. */
  reset(): State {
    const near = () => this.#random.uniform(-0.05, 0.05);
    this.#state = [near(), near(), near(), near()];
    return this.#state;
  }

  /** Pushes to the left (0) or right (1) for one step. */
  step(action: number): Outcome {
    const [x, speed, angle, turn] = this.#state;
    const push = action === 1 ? PUSH_N : -PUSH_N;
    const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
    const pull = (push + POLE_KG * HALF_M * turn * turn * sin) / TOTAL_KG;
    const inertia = HALF_M * (4 / 3 - (POLE_KG * cos * cos) / TOTAL_KG);
    const turning = (GRAVITY * sin - cos * pull) / inertia;
    const moving = pull - (POLE_KG * HALF_M * turning * cos) / TOTAL_KG;
    this.#state = [
      x + STEP_S * speed,
      speed + STEP_S * moving,
      angle + STEP_S * turn,
      turn + STEP_S * turning,
    ];
    const [nextX, , nextAngle] = this.#state;
    const done = Math.abs(nextX) > FAR_M || Math.abs(nextAngle) > STEEP;
    return { state: this.#state, reward: 1, done };
  }
}
