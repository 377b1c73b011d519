/** What a set of labelled images is to the examples, wherever it came from. Knows neither files nor tensors. */

/** Height and width of an image in pixels, as in MNIST. */
export const IMAGE_SIZE = 28;

/** Bytes of one image. */
export const IMAGE_BYTES: number = IMAGE_SIZE * IMAGE_SIZE;

/** Images and their classes; nobody changes the arrays after they are made. */
export interface Dataset {
  /** `[count, 28, 28]`, row by row, one byte per pixel: 0 is background, 255 full ink. */
  readonly images: Uint8Array;
  /** `[count]`, classes 0 to 9. */
  readonly labels: Uint8Array;
  readonly count: number;
  /** Where the images come from, for output: `MNIST (DIR)`, `IDX images (DIR)` or `generated digits, seed 1`. */
  readonly source: string;
  /** Mean and standard deviation of a pixel of the training images on the scale 0 to 1, to normalise by. */
  readonly mean: number;
  readonly std: number;
}
