/** All cases, family by family. */
import type { Case } from './case.ts';
import { ARRAY_CASES } from './cases-arrays.ts';
import { ELEMENT_CASES } from './cases-elements.ts';
import { IMAGE_CASES } from './cases-images.ts';
import { LAYER_CASES } from './cases-layers.ts';
import { IMAGE_LAYER_CASES } from './cases-layers-images.ts';
import { RECURRENT_LAYER_CASES } from './cases-layers-recurrent.ts';
import { LOSS_CASES } from './cases-losses.ts';
import { PRODUCT_CASES } from './cases-products.ts';
import { REDUCTION_CASES } from './cases-reductions.ts';
import { SPARSE_CASES } from './cases-sparse.ts';

/** Every operation and layer that is checked, each named once. */
export const CASES: readonly Case[] = [
  ...ELEMENT_CASES,
  ...ARRAY_CASES,
  ...IMAGE_CASES,
  ...PRODUCT_CASES,
  ...REDUCTION_CASES,
  ...SPARSE_CASES,
  ...LOSS_CASES,
  ...LAYER_CASES,
  ...IMAGE_LAYER_CASES,
  ...RECURRENT_LAYER_CASES,
];
