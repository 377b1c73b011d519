/** What PyTorch says of the cases, and why it says nothing of others. Knows no engine. */
import type { Case } from './case.ts';
import { largestDifference } from './compare.ts';
import { PACKED } from './gen/goldens.ts';
import type { Results } from './measure.ts';

/** PyTorch's results for the first shapes of the cases that it has, by name. */
export const GOLDENS: Readonly<Record<string, Results>> = Object.fromEntries(
  Object.entries(PACKED).map(([name, [values, gradients]]) => [
    name,
    { values: values.map(unpacked), gradients: gradients.map(unpacked) },
  ]),
);

/** Why a case with a gradient has no golden values: the first of these that its name matches. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/^large /, 'a small one of its kind is compared'],
  [/[dD]ropout|Noise/, 'PyTorch has other random numbers'],
  [/^resize|bilinear$|^layers.resizing nearest/, 'PyTorch samples at other points'],
  [/^(dilation2d|gramSchmidt|pool avg dilated|spaceToBatchND|batchToSpaceND)/, 'not in PyTorch'],
  [/over no axes$/, 'no axes are all axes to PyTorch'],
];

/** Why PyTorch is not asked; undefined if it is, or if nobody knows. */
export function reasonWithoutGolden({ name, kind, reason }: Case): string | undefined {
  if (name in GOLDENS) return undefined;
  if (reason !== undefined) return 'without gradient, compared between engines';
  if (kind === 'ties') return 'a matter of convention where elements are equal';
  return REASONS.find(([pattern]) => pattern.test(name))?.[1];
}

/** The largest difference between what an engine made of the case and PyTorch. */
export function goldenDifference(name: string, results: readonly Results[]): number {
  const golden = GOLDENS[name];
  const [mine] = results;
  if (golden === undefined || mine === undefined) return Number.NaN;
  return Math.max(
    largestDifference(mine.values, golden.values),
    largestDifference(mine.gradients, golden.gradients),
  );
}

/** Elements as test/parity/gradients.py packs them. */
export function unpacked(text: string): Float32Array {
  const bytes = Buffer.from(text, 'base64');
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
}
