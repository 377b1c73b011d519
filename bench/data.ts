/** The images of the tutorial's job, as files that both sides read. Knows no tensors. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Dataset, IMAGE_SIZE } from '../examples/support/dataset.ts';
import { generateDigits } from '../examples/support/digits.ts';
import { loadMnist } from '../examples/support/idx.ts';

/** Generated images: enough that a run does not learn them by heart. */
const TRAIN_COUNT = 1_920;
const TEST_COUNT = 32;

/** A folder with MNIST's four files, or what looks like them. */
export interface DataFolder extends Disposable {
  readonly path: string;
  /** What the images are. */
  readonly source: string;
}

/** The user's folder; without one, a folder of generated digits that lives until its disposal or the end of the process. */
export async function openData(dir: string | undefined): Promise<DataFolder> {
  if (dir !== undefined) {
    const { train } = await loadMnist(dir);
    return { path: dir, source: train.source, [Symbol.dispose]: () => undefined };
  }
  const path = mkdtempSync(join(tmpdir(), 'gradwire-bench-'));
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  process.once('exit', remove);
  const train = trainingDigits();
  writeIdx(path, 'train', train);
  writeIdx(path, 't10k', generateDigits({ count: TEST_COUNT, seed: 1, split: 'test' }));
  return {
    path,
    source: `${train.source}, ${TRAIN_COUNT} images`,
    [Symbol.dispose]: () => {
      process.off('exit', remove);
      remove();
    },
  };
}

/** The images where the user names none. */
export function trainingDigits(): Dataset {
  return generateDigits({ count: TRAIN_COUNT, seed: 1, split: 'train' });
}

/** Writes a data set as MNIST's two files of a split, not packed. */
export function writeIdx(dir: string, split: 'train' | 't10k', dataset: Dataset): void {
  const { images, labels, count } = dataset;
  const shape = [count, IMAGE_SIZE, IMAGE_SIZE];
  writeFileSync(join(dir, `${split}-images-idx3-ubyte`), idx(shape, images));
  writeFileSync(join(dir, `${split}-labels-idx1-ubyte`), idx([count], labels));
}

/** Two zero bytes, 8 for unsigned bytes, the rank, each size as 32 bits big-endian, the elements. */
function idx(shape: readonly number[], elements: Uint8Array): Buffer {
  const header = Buffer.from([0, 0, 8, shape.length, ...shape.flatMap(() => [0, 0, 0, 0])]);
  for (const [axis, size] of shape.entries()) header.writeUInt32BE(size, 4 + 4 * axis);
  return Buffer.concat([header, elements]);
}
