/**
 * What MNIST is: its four files, what they hold, and who publishes them. (LeCun, Cortes and Burges: "The MNIST database of
 * handwritten digits", CC BY-SA 3.0.) Knows neither disks nor networks.
 */
import type { KnownContent } from './data-file.ts';

/** One of the four files of a data set in MNIST's form. */
export interface MnistFile extends KnownContent {
  /** As published, without `.gz`. */
  readonly name: string;
  /** Sizes in its header: images, height and width, or labels. */
  readonly shape: readonly number[];
}

/** The bytes of an IDX file of this shape: magic, one 32-bit size per axis, one byte per element. */
export function idxBytes(shape: readonly number[]): number {
  return 4 + 4 * shape.length + shape.reduce((product, size) => product * size, 1);
}

function file(name: string, shape: readonly number[], sha256: string): MnistFile {
  return { name, shape, bytes: idxBytes(shape), sha256 };
}

/** The hashes are of the content: mirrors have packed it differently. */
export const MNIST_FILES: readonly MnistFile[] = [
  file(
    'train-images-idx3-ubyte',
    [60_000, 28, 28],
    'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
  ),
  file(
    'train-labels-idx1-ubyte',
    [60_000],
    '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
  ),
  file(
    't10k-images-idx3-ubyte',
    [10_000, 28, 28],
    '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
  ),
  file(
    't10k-labels-idx1-ubyte',
    [10_000],
    'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
  ),
];

/** Folders that hold the four files as NAME.gz. (The authors' own site has refused downloads since 2024.) */
export const MNIST_MIRRORS: readonly string[] = [
  'https://ossci-datasets.s3.amazonaws.com/mnist/',
  'https://storage.googleapis.com/cvdf-datasets/mnist/',
  'https://sagemaker-sample-files.s3.amazonaws.com/datasets/image/MNIST/',
];
