/**
 * Stochastic gradient descent, as `torch.optim.SGD` of PyTorch 1.13. For parameter p with gradient g, in this order:
 *
 *     g ← g + weightDecay · p
 *     b ← g at the first step of p, momentum · b + (1 − dampening) · g after it        (only if momentum ≠ 0)
 *     g ← g + momentum · b with nesterov, else b                                        (only if momentum ≠ 0)
 *     p ← p − lr · g
 *
 * The learning rate stands outside the buffer b, unlike in Sutskever et al. 2013 (a change of lr acts at once).
 */
import { GradwireError } from '../errors.ts';
import { tf } from '../tensor/index.ts';
import { ParameterState } from './parameter-state.ts';
import { type Optimizer, registerOptimizer, type StateDict } from './rule.ts';

export interface SGDOptions {
  /** Learning rate, finite, ≥ 0. Required. */
  readonly lr: number;
  /** Share of the buffer that survives a step, finite, ≥ 0. Default 0: no buffer. */
  readonly momentum?: number;
  /** Share of the gradient that does not enter the buffer, finite. Default 0. */
  readonly dampening?: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty), finite, ≥ 0. Default 0. */
  readonly weightDecay?: number;
  /** Nesterov's look-ahead; needs momentum > 0 and dampening 0. Default false. */
  readonly nesterov?: boolean;
}

const BUFFER = 'momentumBuffer';

/**
 * Gradient descent with momentum, weight decay and Nesterov's variant. Update rule, options and defaults:
 * `torch.optim.SGD`. One buffer of the parameter's size for each parameter that was stepped, if momentum is used.
 */
export class SGD implements Optimizer {
  readonly #parameters: ParameterState;
  #options: Required<SGDOptions>;

  /**
   * @param parameters float32 Variables, at least one, none twice; stay the caller's
   * @throws GradwireError `invalid_argument`
   */
  constructor(parameters: readonly tf.Variable[], options?: SGDOptions) {
    this.#options = checkOptions(options);
    this.#parameters = new ParameterState(parameters);
  }

  step(gradients: ReadonlyMap<tf.Tensor, tf.Tensor>): void {
    const { lr, momentum, weightDecay } = this.#options;
    this.#parameters.step(gradients, ({ index, parameter, gradient }) => {
      let direction = gradient;
      if (weightDecay !== 0) direction = tf.add(direction, tf.mul(parameter, weightDecay));
      if (momentum !== 0) direction = this.#withMomentum(index, direction);
      parameter.assign(tf.sub(parameter, tf.mul(direction, lr)));
    });
  }

  async stateDict(): Promise<StateDict> {
    const options = { ...this.#options };
    return { options, state: await this.#parameters.save() };
  }

  loadStateDict(saved: StateDict): void {
    const options = checkOptions(saved?.options);
    this.#parameters.load(saved.state, [BUFFER]);
    this.#options = options;
  }

  dispose(): void {
    this.#parameters.dispose();
  }

  #withMomentum(index: number, gradient: tf.Tensor): tf.Tensor {
    const { momentum, dampening, nesterov } = this.#options;
    const previous = this.#parameters.get(index, BUFFER);
    // The first buffer is the gradient itself, without dampening. The clone shares its memory, not its owner.
    const buffer =
      previous === undefined
        ? tf.clone(gradient)
        : tf.add(
            tf.mul(previous, momentum),
            dampening === 0 ? gradient : tf.mul(gradient, 1 - dampening),
          );
    this.#parameters.set(index, BUFFER, buffer);
    return nesterov ? tf.add(gradient, tf.mul(buffer, momentum)) : buffer;
  }
}

/** Fills in the defaults; the options may come from a peer or a file, so their types are checked as well. */
function checkOptions(options: unknown): Required<SGDOptions> {
  if (typeof options !== 'object' || options === null) {
    throw new GradwireError('invalid_argument', 'SGD needs options with a learning rate: { lr }');
  }
  const all = { momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, ...defined(options) };
  const { lr, momentum, dampening, weightDecay, nesterov, ...unknown } =
    all as Required<SGDOptions>;
  const [stranger] = Object.keys(unknown);
  if (stranger !== undefined) {
    throw new GradwireError('invalid_argument', `SGD has no option '${stranger}'`);
  }
  if (lr === undefined) {
    throw new GradwireError('invalid_argument', 'SGD needs options with a learning rate: { lr }');
  }
  for (const [name, value] of Object.entries({ lr, momentum, dampening, weightDecay })) {
    if (!Number.isFinite(value) || (value < 0 && name !== 'dampening')) {
      const range = name === 'dampening' ? 'a finite number' : 'a finite number ≥ 0';
      throw new GradwireError('invalid_argument', `SGD: ${name} is ${value}, not ${range}`);
    }
  }
  if (typeof nesterov !== 'boolean') {
    throw new GradwireError('invalid_argument', `SGD: nesterov is ${nesterov}, not a boolean`);
  }
  if (nesterov && (momentum === 0 || dampening !== 0)) {
    throw new GradwireError('invalid_argument', 'SGD: nesterov needs momentum > 0 and dampening 0');
  }
  return { lr, momentum, dampening, weightDecay, nesterov };
}

/** Options given as undefined count as not given. */
function defined(options: object): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

registerOptimizer('SGD', SGD);
