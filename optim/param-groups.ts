/**
 * Parameters in groups, each with options of its own. Knows the options of a rule, not its formula.
 */
import { GradwireError } from '../errors.ts';
import { tf } from '../tensor/index.ts';
import { checkOptions, type OptionValue } from './options.ts';
import type { ParamGroupDict } from './rule.ts';
import type { UpdateRule } from './update-rule.ts';

/**
 * Parameters with the options in force for them. The options are plain fields to be written at any time; the next step
 * checks them. PyTorch: an entry of `Optimizer.param_groups`.
 */
export type ParamGroup<O extends object> = {
  -readonly [K in keyof O]-?: Exclude<O[K], undefined>;
} & {
  readonly params: readonly tf.Variable[];
  /** The learning rate that schedules start from; set by the first of them. */
  initialLr?: number;
};

/** Parameters, and the options in which they differ from those of the optimizer. */
export type ParamGroupOptions<O extends object> = Partial<O> & {
  readonly params: readonly tf.Variable[];
};

/** What an optimizer is made for: parameters, or groups of them. At least one, none twice, float32. */
export type ParametersOrGroups<O extends object> =
  | readonly tf.Variable[]
  | readonly ParamGroupOptions<O>[];

/** The groups of one optimizer, in the order in which they were added. */
export class ParamGroups<O extends object> {
  readonly #rule: UpdateRule<O>;
  readonly #defaults: object;
  readonly #groups: ParamGroup<O>[] = [];

  /** @throws GradwireError `invalid_argument` */
  constructor(rule: UpdateRule<O>, parameters: ParametersOrGroups<O>, defaults: O | undefined) {
    if (defaults !== undefined && (typeof defaults !== 'object' || defaults === null)) {
      throw invalid(`${rule.name}: the options are no record`);
    }
    this.#rule = rule;
    this.#defaults = defaults ?? {};
    if (!Array.isArray(parameters) || parameters.length === 0) {
      throw invalid('an optimizer needs a list of parameters');
    }
    for (const group of toGroups<O>(parameters)) this.add(group);
  }

  get all(): readonly ParamGroup<O>[] {
    return this.#groups;
  }

  /** @throws GradwireError `invalid_argument`; nothing has been added then */
  add(given: ParamGroupOptions<O>): ParamGroup<O> {
    const { params, ...own } = given;
    checkParameters(params);
    const known = new Set(this.#groups.flatMap((group) => group.params));
    if (params.some((parameter) => known.has(parameter))) {
      throw invalid('a parameter is in a group already');
    }
    const set = Object.entries(own).filter(([, value]) => value !== undefined);
    const options = this.#check({ ...this.#defaults, ...Object.fromEntries(set) });
    const group = { params: [...params], ...options } as ParamGroup<O>;
    this.#groups.push(group);
    return group;
  }

  /** The options of a group as they are now. @throws GradwireError `invalid_argument` */
  optionsOf(group: ParamGroup<O>): Required<O> {
    const { params: _, initialLr: __, ...options } = group;
    return this.#check(options);
  }

  save(): ParamGroupDict[] {
    let position = 0;
    return this.#groups.map((group) => {
      const params = group.params.map(() => position++);
      const options = this.optionsOf(group) as Record<string, OptionValue>;
      const { initialLr } = group;
      return { params, options, ...(initialLr === undefined ? {} : { initialLr }) };
    });
  }

  /**
   * Checks saved groups; what is returned puts them in force.
   *
   * @throws GradwireError `invalid_argument` if `saved` is not of this rule and these groups
   */
  prepareLoad(saved: unknown): () => void {
    if (!Array.isArray(saved) || saved.length !== this.#groups.length) {
      throw invalid(`the saved state is not of ${this.#groups.length} parameter groups`);
    }
    const loaded = this.#groups.map((group, index) => {
      const { params, options, initialLr } = (saved[index] ?? {}) as Partial<ParamGroupDict>;
      if (!Array.isArray(params) || params.length !== group.params.length) {
        throw invalid(`saved group ${index} is not of ${group.params.length} parameters`);
      }
      if (typeof options !== 'object' || options === null) {
        throw invalid(`saved group ${index} has no options`);
      }
      if (initialLr !== undefined && !Number.isFinite(initialLr)) {
        throw invalid(`saved group ${index}: initialLr is ${initialLr}`);
      }
      return { options: this.#check(options), initialLr };
    });
    return () => {
      loaded.forEach(({ options, initialLr }, index) => {
        const group = this.#groups[index] as ParamGroup<O>;
        Object.assign(group, options);
        if (initialLr === undefined) delete group.initialLr;
        else group.initialLr = initialLr;
      });
    };
  }

  #check(given: object): Required<O> {
    const { name, options: table, conflict } = this.#rule;
    const options = checkOptions(name, table, given);
    const problem = conflict?.(options);
    if (problem !== undefined) throw invalid(`${name}: ${problem}`);
    return options;
  }
}

function toGroups<O extends object>(
  given: readonly tf.Variable[] | readonly ParamGroupOptions<O>[],
): readonly ParamGroupOptions<O>[] {
  const isGroups = given.every(
    (entry) => typeof entry === 'object' && entry !== null && !(entry instanceof tf.Tensor),
  );
  if (isGroups) return given as readonly ParamGroupOptions<O>[];
  return [{ params: given as readonly tf.Variable[] } as ParamGroupOptions<O>];
}

function checkParameters(params: unknown): asserts params is readonly tf.Variable[] {
  if (!Array.isArray(params) || params.length === 0) {
    throw invalid('a group needs a list of parameters');
  }
  params.forEach((parameter, index) => {
    if (!(parameter instanceof tf.Variable) || parameter.dtype !== 'float32') {
      throw invalid(`parameter ${index} is no float32 Variable`);
    }
  });
  if (new Set(params).size < params.length) throw invalid('the list names a parameter twice');
}

function invalid(message: string): GradwireError {
  return new GradwireError('invalid_argument', message);
}
