/**
 * The door of the conformance suite: every operation and layer that trains, to be run on one engine after another. It is
 * no part of tensor/index.ts, so that nobody pays for it who does not ask for it.
 */
export { type Case, elements, factors, type Kind } from './case.ts';
export { CASES } from './cases.ts';
export { BOUND, DIFFERENCE_BOUND, largestDifference, relativeDifference } from './compare.ts';
export { SAMPLES } from './gen/goldens.ts';
export { GOLDENS, goldenDifference, reasonWithoutGolden, unpacked } from './goldens.ts';
export { differenceOf, hasGradient, measure, type Results } from './measure.ts';
