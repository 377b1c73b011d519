/** What PyTorch says of the cases, and why it says nothing of others. Knows no engine. */
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

/** Why a case has no golden values: the first of these that its name matches. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/^large /, 'a small one of its kind is compared'],
  [/ of integers$/, 'integers are compared between engines'],
  [/, equal elements$/, 'PyTorch gives the gradient to others of equal elements'],
  [/isNaN|cast|logical|comparisons|zerosLike|all and any|arg(Max|Min)/, 'no gradient to compare'],
  [/multinomial|searchSorted|unique|oneHot|nonMaxSuppression|floorDiv/, 'no gradient to compare'],
  [/by 0|no number|of 0|of nothing|any signs/, 'infinities are compared between engines'],
  [/[dD]ropout|Noise/, 'PyTorch has other random numbers'],
  [/upSampling2d bilinear|resizing nearest|resize/, 'PyTorch samples at other points'],
  [/^(cropAndResize|transform|rotateWithOffset|rgbToGrayscale|flipLeftRight)/, 'not in PyTorch'],
  [/^(dilation2d|spaceToBatchND|batchToSpaceND|depthToSpace)/, 'not in PyTorch'],
  [/^(gramSchmidt|stridedSlice|bincount|sparse|tensorScatterUpdate)/, 'not in PyTorch'],
  [/over no axes|pool avg dilated|maxPoolWithArgmax/, 'means another thing in PyTorch'],
  [/^cumprod|^topk/, 'no gradient to compare'],
  [/complex/, 'no gradient to compare'],
];

/** Why PyTorch is not asked; undefined if it is, or if nobody knows. */
export function reasonWithoutGolden(name: string): string | undefined {
  if (name in GOLDENS) return undefined;
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
