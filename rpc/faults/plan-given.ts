/** Faults that were asked for, by the option `chaos` of `init` or by the environment. Pure. */
import { FaultPlan } from './fault-plan.ts';
import { readSeed } from './fault-rules.ts';

/** @throws GradwireError `invalid_argument` */
export function planGiven(
  given: string | FaultPlan | undefined,
  env: Readonly<Record<string, string | undefined>>,
): FaultPlan | undefined {
  const rules = given ?? env['GRADWIRE_CHAOS'];
  if (rules instanceof FaultPlan) return rules;
  if (rules === undefined || rules === '') return undefined;
  const seed = env['GRADWIRE_CHAOS_SEED'];
  const isGiven = seed !== undefined && seed !== '';
  return new FaultPlan(rules, { seed: isGiven ? readSeed(seed) : undefined });
}
