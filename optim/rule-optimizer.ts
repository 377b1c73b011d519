/**
 * The optimizer that all update rules share: groups, state, steps and snapshots. A rule adds its formula and a class of a
 * few lines. Knows nothing of who computed the gradients.
 */
import { GradwireError } from '../errors.ts';
import { outside, tf } from '../tensor/index.ts';
import { applyChange, checkWork, computeChange, type Work } from './change.ts';
import {
  type ParametersOrGroups,
  type ParamGroup,
  type ParamGroupOptions,
  ParamGroups,
} from './param-groups.ts';
import { ParameterSlot, prepareSlots, saveSlots } from './parameter-state.ts';
import { prepareWork } from './prepared-step.ts';
import type { Gradients, Optimizer, PreparedStep, StateDict } from './rule.ts';
import type { UpdateRule } from './update-rule.ts';

/** An optimizer by an update rule. To add one of your own, extend it and `registerOptimizer`. */
export class RuleOptimizer<O extends object> implements Optimizer {
  readonly #rule: UpdateRule<O>;
  readonly #groups: ParamGroups<O>;
  readonly #slots: ParameterSlot[] = [];
  #isDisposed = false;

  /**
   * @param parameters float32 Variables, at least one, none twice, or groups of them; stay the caller's
   * @param options for all groups that do not say otherwise
   * @throws GradwireError `invalid_argument`
   */
  constructor(rule: UpdateRule<O>, parameters: ParametersOrGroups<O>, options?: O) {
    this.#rule = rule;
    this.#groups = new ParamGroups(rule, parameters, options);
    for (const { params } of this.#groups.all) this.#addSlots(params);
  }

  /** The groups; their options may be written at any time. PyTorch: `param_groups`. */
  get paramGroups(): readonly ParamGroup<O>[] {
    return this.#groups.all;
  }

  /**
   * Adds a group, whose options are the optimizer's where it has none of its own. PyTorch: `add_param_group`.
   *
   * @throws GradwireError `invalid_argument`; nothing has been added then
   */
  addParamGroup(group: ParamGroupOptions<O>): void {
    this.#checkUsable();
    this.#addSlots(this.#groups.add(group).params);
  }

  /** See `Optimizer.step`. What one parameter's update needs is freed before the next, which bounds the extra memory. */
  step(gradients: Gradients): void {
    this.#checkUsable();
    const all = this.#plan(gradients);
    // Outside any context, so that nothing is recorded for a backward pass.
    outside(() => {
      for (const work of all) {
        tf.tidy(() => {
          applyChange(computeChange(this.#rule, work));
        });
      }
    });
  }

  /** See `Optimizer.prepare`. */
  prepare(gradients: Gradients): PreparedStep {
    this.#checkUsable();
    const prepared = prepareWork(this.#rule, this.#plan(gradients));
    const commit = (): void => {
      if (this.#isDisposed) prepared.abort();
      this.#checkUsable();
      prepared.commit();
    };
    return { commit, abort: prepared.abort };
  }

  async stateDict(): Promise<StateDict> {
    this.#checkUsable();
    const paramGroups = this.#groups.save();
    return { state: await saveSlots(this.#slots), paramGroups };
  }

  loadStateDict(saved: StateDict): void {
    this.#checkUsable();
    const loadGroups = this.#groups.prepareLoad(saved?.paramGroups);
    const loadSlots = prepareSlots(this.#slots, saved.state, this.#rule.tensors);
    loadSlots();
    loadGroups();
  }

  dispose(): void {
    for (const slot of this.#slots) slot.free();
    this.#isDisposed = true;
  }

  /** All that is to be done, checked before any of it is. */
  #plan(gradients: Gradients): Work<O>[] {
    const all: Work<O>[] = [];
    let index = 0;
    for (const group of this.#groups.all) {
      const options = this.#groups.optionsOf(group);
      for (const parameter of group.params) {
        const slot = this.#slots[index] as ParameterSlot;
        const gradient = gradients.get(parameter);
        if (gradient !== undefined) {
          const work = { slot, gradient, options };
          checkWork(this.#rule, work, index);
          all.push(work);
        }
        index++;
      }
    }
    return all;
  }

  #addSlots(parameters: readonly tf.Variable[]): void {
    for (const parameter of parameters) this.#slots.push(new ParameterSlot(parameter));
  }

  #checkUsable(): void {
    if (this.#isDisposed) throw new GradwireError('tensor_freed', 'the optimizer was disposed');
  }
}
