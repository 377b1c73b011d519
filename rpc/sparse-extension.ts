/** How sparse slices travel: as their two tensors and the shape, checked again where they arrive. */
import { GradwireError, isGradwireError } from '../errors.ts';
import { SparseSlices } from '../tensor/index.ts';
import type { Extension } from './value-codec.ts';

export const sparseSlicesExtension: Extension<SparseSlices> = {
  tag: 3,
  is: (value) => value instanceof SparseSlices,
  encode: ({ indices, values, denseShape }) => ({ indices, values, denseShape }),
  decode: (plain) => {
    const { indices, values, denseShape } = Object(plain) as SparseSlices;
    try {
      return new SparseSlices(indices, values, denseShape);
    } catch (error) {
      if (!isGradwireError(error, 'invalid_argument')) throw error;
      throw new GradwireError('protocol_error', `sparse slices came that are none: ${error}`);
    }
  },
};
