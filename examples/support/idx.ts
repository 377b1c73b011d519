/**
 * Reads a data set in MNIST's form from its four IDX files, gzipped or plain. The files come from a user's disk, so
 * everything in them is checked, and every failure is one line that names the file and what is wrong with it. Knows nothing
 * of tensors.
 */
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, sha256, unpack } from './data-file.ts';
import { type Dataset, IMAGE_SIZE } from './dataset.ts';
import { idxBytes, MNIST_FILES, type MnistFile } from './mnist.ts';

/** IDX's code for unsigned bytes, the only element type of MNIST. */
const UNSIGNED_BYTE = 0x08;

/** Pixel statistics of MNIST's training images, as everybody normalises by. */
const MNIST_MEAN = 0.1307;
const MNIST_STD = 0.3081;

/** The training images and those to test with. */
export interface Splits {
  readonly train: Dataset;
  readonly test: Dataset;
}

export interface LoadOptions {
  /**
   * `ifKnown` (the default) checks the hash of what says to be MNIST's: a file with the sizes of MNIST's file of that name.
   * Others are taken as they are. `always` takes nothing but MNIST, `never` anything of its form.
   */
  readonly verify?: 'always' | 'ifKnown' | 'never';
  /** What is published as MNIST; for tests. */
  readonly files?: readonly MnistFile[];
}

/**
 * The two splits of a data set in MNIST's form from the folder `dir`. Takes the names `train-images-idx3-ubyte` and
 * `train-images.idx3-ubyte`, each with or without `.gz`; whether a file is gzipped is seen from its first bytes. The source
 * is `MNIST (dir)` where the hashes say so, else `IDX images (dir)`.
 *
 * @throws DataError if a file is missing, corrupt, cut short or not what its name says
 */
export async function loadMnist(dir: string, options: LoadOptions = {}): Promise<Splits> {
  const [train, test] = await Promise.all([
    loadSplit(dir, 'train', options),
    loadSplit(dir, 't10k', options),
  ]);
  return { train, test };
}

async function loadSplit(
  dir: string,
  split: 'train' | 't10k',
  options: LoadOptions,
): Promise<Dataset> {
  const [imagesFile, labelsFile] = await Promise.all([
    readIdx(dir, `${split}-images-idx3-ubyte`, options),
    readIdx(dir, `${split}-labels-idx1-ubyte`, options),
  ]);
  const [count = 0, height, width] = imagesFile.shape;
  if (height !== IMAGE_SIZE || width !== IMAGE_SIZE) {
    throw new DataError(`${imagesFile.path}: images are ${height}x${width}, expected 28x28`);
  }
  if (count === 0) throw new DataError(`${imagesFile.path}: holds no images`);
  if (labelsFile.shape[0] !== count) {
    const labels = labelsFile.shape[0];
    throw new DataError(
      `${labelsFile.path}: holds ${labels} labels for the ${count} images of ${imagesFile.path}`,
    );
  }
  const wrong = labelsFile.data.findIndex((label) => label > 9);
  if (wrong >= 0) {
    const label = labelsFile.data[wrong];
    throw new DataError(`${labelsFile.path}: label ${label} at position ${wrong} is not a digit`);
  }
  return {
    images: imagesFile.data,
    labels: labelsFile.data,
    count,
    source: `${imagesFile.isMnist && labelsFile.isMnist ? 'MNIST' : 'IDX images'} (${dir})`,
    mean: MNIST_MEAN,
    std: MNIST_STD,
  };
}

interface IdxFile {
  readonly path: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
  /** Whether its hash is that of MNIST's file of its name. */
  readonly isMnist: boolean;
}

async function readIdx(
  dir: string,
  name: string,
  { verify = 'ifKnown', files = MNIST_FILES }: LoadOptions,
): Promise<IdxFile> {
  const rank = name.includes('images') ? 3 : 1;
  const path = await findFile(dir, name);
  const bytes = await unpack(path);
  const found = verify === 'never' ? undefined : identify(bytes, files);
  if (found !== undefined && found.name !== name) {
    throw new DataError(`${path}: holds MNIST's ${found.name}: files are swapped or misnamed`);
  }
  const idx = parseIdx(path, bytes, rank);
  const own = files.find((file) => file.name === name);
  const saysSo = String(own?.shape) === String(idx.shape);
  if (found === undefined && (verify === 'always' || (verify === 'ifKnown' && saysSo))) {
    const way = verify === 'always' ? '' : ', or another data set, which --no-verify takes';
    throw new DataError(`${path}: not the content of MNIST's ${name}: damaged${way}`);
  }
  return { path, ...idx, isMnist: found !== undefined };
}

/** Which of the published files these bytes are. Hashes only what has the length of one. */
function identify(bytes: Uint8Array, files: readonly MnistFile[]): MnistFile | undefined {
  if (!files.some((file) => file.bytes === bytes.length)) return undefined;
  const hash = sha256(bytes);
  return files.find((file) => file.sha256 === hash);
}

async function findFile(dir: string, dashed: string): Promise<string> {
  const dotted = dashed.replace('-idx', '.idx');
  for (const name of [dashed, `${dashed}.gz`, dotted, `${dotted}.gz`]) {
    const path = join(dir, name);
    if (await exists(path)) return path;
  }
  const found = await stat(dir).catch(() => undefined);
  if (found === undefined) throw new DataError(`${dir}: no such folder`);
  if (!found.isDirectory()) throw new DataError(`${dir}: no folder`);
  throw new DataError(`${join(dir, dashed)}: missing, and so is ${dashed}.gz`);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** IDX: two zero bytes, element type, rank, the sizes as big-endian 32-bit numbers, then the elements. */
function parseIdx(path: string, bytes: Uint8Array, rank: 1 | 3): Pick<IdxFile, 'shape' | 'data'> {
  const what = rank === 3 ? 'images' : 'labels';
  const header = 4 + 4 * rank;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 0) throw new DataError(`${path}: is empty`);
  if (bytes.length < 4 || view.getUint16(0) !== 0) {
    throw new DataError(`${path}: not an IDX file (it does not begin with two zero bytes)`);
  }
  const [type, actualRank] = [view.getUint8(2), view.getUint8(3)];
  if (type !== UNSIGNED_BYTE) {
    const code = `0x${type.toString(16).padStart(2, '0')}`;
    throw new DataError(`${path}: element type ${code} is not supported, only bytes (0x08) are`);
  }
  if (actualRank !== rank) {
    const found =
      { 1: 'labels (rank 1)', 3: 'images (rank 3)' }[actualRank] ?? `rank ${actualRank}`;
    throw new DataError(`${path}: holds ${found} where ${what} (rank ${rank}) are expected`);
  }
  if (bytes.length < header) {
    throw new DataError(`${path}: cut short within its header: ${bytes.length} bytes`);
  }
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const expected = idxBytes(shape);
  if (bytes.length !== expected) {
    const fault = bytes.length < expected ? 'cut short' : 'too long';
    throw new DataError(
      `${path}: ${fault}: ${bytes.length} bytes, but ${shape.join('x')} ${what} take ${expected}`,
    );
  }
  // Its own memory: a small file read from disk may lie in a buffer that is shared.
  return { shape, data: Uint8Array.from(bytes.subarray(header)) };
}
