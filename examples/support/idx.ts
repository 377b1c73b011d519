/**
 * Reads MNIST from its four IDX files, gzipped or plain. The files come from a user's disk, so everything in them is
 * checked, and every failure is one line that names the file and what is wrong with it. Knows nothing of tensors.
 */
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { type Dataset, IMAGE_SIZE } from './dataset.ts';

/** The data set on disk cannot be used; the message is one line for people. */
export class DataError extends Error {
  override readonly name: string = 'DataError';
}

/** Above every MNIST file, and a bound on what a hostile gzip file can unpack to. */
const MAX_BYTES = 256 * 1024 * 1024;

/** IDX's code for unsigned bytes, the only element type of MNIST. */
const UNSIGNED_BYTE = 0x08;

/** Pixel statistics of MNIST's training images, as everybody normalises by. */
const MNIST_MEAN = 0.1307;
const MNIST_STD = 0.3081;

/**
 * MNIST's two splits from the folder `dir`. Takes the names `train-images-idx3-ubyte` and `train-images.idx3-ubyte`,
 * each with or without `.gz`; whether a file is gzipped is seen from its first bytes.
 *
 * @throws DataError if a file is missing, corrupt, cut short or not what its name says
 */
export async function loadMnist(dir: string): Promise<{ train: Dataset; test: Dataset }> {
  const [train, test] = await Promise.all([loadSplit(dir, 'train'), loadSplit(dir, 't10k')]);
  return { train, test };
}

async function loadSplit(dir: string, split: 'train' | 't10k'): Promise<Dataset> {
  const [imagesFile, labelsFile] = await Promise.all([
    readIdx(dir, `${split}-images`, 3),
    readIdx(dir, `${split}-labels`, 1),
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
    source: `MNIST (${dir})`,
    mean: MNIST_MEAN,
    std: MNIST_STD,
  };
}

interface IdxFile {
  readonly path: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

async function readIdx(dir: string, stem: string, rank: 1 | 3): Promise<IdxFile> {
  const path = await findFile(dir, stem, rank);
  return { path, ...parseIdx(path, await unpack(path), rank) };
}

async function findFile(dir: string, stem: string, rank: 1 | 3): Promise<string> {
  const dashed = `${stem}-idx${rank}-ubyte`;
  const dotted = `${stem}.idx${rank}-ubyte`;
  for (const name of [dashed, `${dashed}.gz`, dotted, `${dotted}.gz`]) {
    const path = join(dir, name);
    if (await exists(path)) return path;
  }
  if (!(await exists(dir))) throw new DataError(`${dir}: no such folder`);
  throw new DataError(`${join(dir, dashed)}: missing, and so is ${dashed}.gz`);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** The bytes of a file, unpacked if they are gzip's. */
async function unpack(path: string): Promise<Uint8Array> {
  const raw = await readFile(path).catch((cause: Error) => {
    throw new DataError(`${path}: cannot be read: ${cause.message}`, { cause });
  });
  if (raw[0] !== 0x1f || raw[1] !== 0x8b) return raw;
  return await promisify(gunzip)(raw, { maxOutputLength: MAX_BYTES }).catch((cause: Error) => {
    throw new DataError(`${path}: corrupt gzip file: ${cause.message}`, { cause });
  });
}

/** IDX: two zero bytes, element type, rank, the sizes as big-endian 32-bit numbers, then the elements. */
function parseIdx(path: string, bytes: Uint8Array, rank: 1 | 3): Omit<IdxFile, 'path'> {
  const what = rank === 3 ? 'images' : 'labels';
  const header = 4 + 4 * rank;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
  const expected = header + shape.reduce((product, size) => product * size, 1);
  if (bytes.length !== expected) {
    const fault = bytes.length < expected ? 'cut short' : 'too long';
    throw new DataError(
      `${path}: ${fault}: ${bytes.length} bytes, but ${shape.join('x')} ${what} take ${expected}`,
    );
  }
  // Its own memory: a small file read from disk may lie in a buffer that is shared.
  return { shape, data: Uint8Array.from(bytes.subarray(header)) };
}
