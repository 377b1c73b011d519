/** What `--data` of an example means: a word for a known data set, or a folder. */
import { existsSync } from 'node:fs';
import { DataError } from './data-file.ts';
import { generateDigits } from './digits.ts';
import { loadMnist, type Splits } from './idx.ts';
import { loadCachedMnist } from './mnist-cache.ts';

/** Generated images for one epoch, and for the test. */
const TRAIN_COUNT = 11_200;
const TEST_COUNT = 2_000;

export interface DataOptions {
  /** Of generated digits. */
  readonly seed: number;
  /** Whether a folder that says to hold MNIST must. Default true. */
  readonly verify?: boolean;
}

/**
 * The data set `name`: `digits` are generated, `mnist` is downloaded on first use, all else is a folder with the four files
 * of a data set in MNIST's form.
 *
 * @throws DataError
 */
export async function loadData(
  name: string,
  { seed, verify = true }: DataOptions,
): Promise<Splits> {
  if (name === 'mnist') return await loadCachedMnist();
  if (name !== 'digits') {
    return await loadMnist(name, { verify: verify ? 'ifKnown' : 'never' }).catch((error: Error) => {
      if (!(error instanceof DataError) || name.includes('/') || existsSync(name)) throw error;
      throw new DataError(`${error.message}, nor one of the words digits and mnist`, {
        cause: error,
      });
    });
  }
  return {
    train: generateDigits({ count: TRAIN_COUNT, seed, split: 'train' }),
    test: generateDigits({ count: TEST_COUNT, seed, split: 'test' }),
  };
}
