/** MNIST's files: every spelling is read, and every fault is one line that names the file. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DataError } from '../../examples/support/data-file.ts';
import { type LoadOptions, loadMnist } from '../../examples/support/idx.ts';
import { MNIST_FILES, MNIST_MIRRORS } from '../../examples/support/mnist.ts';
import { FAKE_CONTENTS, FAKE_FILES, idx } from '../support/fake-mnist.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gradwire-idx-'));
});
afterEach(async () => await rm(dir, { recursive: true }));

async function write(files: Readonly<Record<string, Uint8Array | undefined>>): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    if (bytes !== undefined) await writeFile(join(dir, name), bytes);
  }
}

/** The one line that the four good files fail with after these changes. */
async function fault(
  changes: Readonly<Record<string, Uint8Array | undefined>>,
  options: LoadOptions = {},
): Promise<string> {
  await write({ ...FAKE_CONTENTS, ...changes });
  const error: unknown = await loadMnist(dir, options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DataError);
  const { message } = error as DataError;
  expect(message).not.toContain('\n');
  return message.replaceAll(`${dir}/`, '');
}

const spellings: readonly [string, (name: string, bytes: Buffer) => [string, Uint8Array]][] = [
  ['plain', (name, bytes) => [name, bytes]],
  ['gzipped', (name, bytes) => [`${name}.gz`, gzipSync(bytes)]],
  ['dotted', (name, bytes) => [name.replace('-idx', '.idx'), bytes]],
  ['dotted and gzipped', (name, bytes) => [`${name.replace('-idx', '.idx')}.gz`, gzipSync(bytes)]],
  ['unpacked under its gzip name', (name, bytes) => [`${name}.gz`, bytes]],
];

test.each(spellings)('reads %s files', async (_, spell) => {
  await write(Object.fromEntries(Object.entries(FAKE_CONTENTS).map(([name, b]) => spell(name, b))));
  const { train, test: heldOut } = await loadMnist(dir);
  expect(train).toMatchObject({
    count: 12,
    source: `IDX images (${dir})`,
    mean: 0.1307,
    std: 0.3081,
  });
  expect([...train.labels]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
  expect(train.images).toHaveLength(12 * 784);
  expect(train.images[300]).toBe(300 % 256);
  expect(heldOut.count).toBe(3);
});

test('a folder or a file that is not there', async () => {
  await expect(loadMnist(join(dir, 'no'))).rejects.toThrow(`${join(dir, 'no')}: no such folder`);
  await write({ ...FAKE_CONTENTS });
  await rm(join(dir, 't10k-labels-idx1-ubyte'));
  await expect(loadMnist(dir)).rejects.toThrow(
    't10k-labels-idx1-ubyte: missing, and so is t10k-labels-idx1-ubyte.gz',
  );
});

const images = 'train-images-idx3-ubyte';
const labels = 'train-labels-idx1-ubyte';
const faults: readonly [string, Record<string, Uint8Array | undefined>, string][] = [
  [
    'labels where images should be',
    { [images]: idx([12]) },
    `${images}: holds labels (rank 1) where images (rank 3) are expected`,
  ],
  [
    'images where labels should be',
    { [labels]: idx([12, 28, 28]) },
    `${labels}: holds images (rank 3) where labels (rank 1) are expected`,
  ],
  [
    'another element type',
    { [images]: idx([12, 28, 28], { type: 0x0d }) },
    `${images}: element type 0x0d is not supported, only bytes (0x08) are`,
  ],
  [
    'no IDX file',
    { [labels]: Buffer.from('<!DOCTYPE html>') },
    `${labels}: not an IDX file (it does not begin with two zero bytes)`,
  ],
  ['an empty file', { [labels]: Buffer.alloc(0) }, `${labels}: is empty`],
  [
    'a file cut within its header',
    { [images]: idx([12, 28, 28]).subarray(0, 9) },
    `${images}: cut short within its header: 9 bytes`,
  ],
  [
    'a file cut within its data',
    { [images]: idx([12, 28, 28]).subarray(0, 1000) },
    `${images}: cut short: 1000 bytes, but 12x28x28 images take 9424`,
  ],
  [
    'bytes after the end',
    { [labels]: Buffer.concat([idx([12]), Buffer.alloc(2)]) },
    `${labels}: too long: 22 bytes, but 12 labels take 20`,
  ],
  [
    'another number of labels than images',
    { [labels]: idx([11]) },
    `${labels}: holds 11 labels for the 12 images of ${images}`,
  ],
  ['images of another size', { [images]: idx([12, 32, 28]) }, `${images}: images are 32x28`],
  ['no images at all', { [images]: idx([0, 28, 28]), [labels]: idx([0]) }, 'holds no images'],
  [
    'a label that is no digit',
    { [labels]: idx([12], { modulus: 11 }) },
    `${labels}: label 10 at position 10 is not a digit`,
  ],
];

test.each(faults)('%s', async (_, changes, message) => {
  expect(await fault(changes)).toContain(message);
});

test('a corrupt or cut gzip file', async () => {
  const packed = gzipSync(idx([12, 28, 28], { modulus: 256 }));
  const cut = await fault({ [images]: packed.subarray(0, packed.length - 20) });
  expect(cut).toContain(`${images}: corrupt gzip file: `);
  const broken = Uint8Array.from(packed).fill(0xff, 12, 30);
  expect(await fault({ [images]: broken })).toContain(`${images}: corrupt gzip file: `);
});

/** The sources of both splits of the four good files after these changes. */
async function sources(
  changes: Readonly<Record<string, Uint8Array>>,
  options: LoadOptions = {},
): Promise<string[]> {
  await write({ ...FAKE_CONTENTS, ...changes });
  const { train, test: heldOut } = await loadMnist(dir, { files: FAKE_FILES, ...options });
  return [train.source, heldOut.source].map((source) => source.replace(` (${dir})`, ''));
}

/** Another data set in the same form: the same sizes, other images. */
const fashion = idx([12, 28, 28], { modulus: 100 });

test("what is published as MNIST is called so, a subset of one's own is not", async () => {
  expect(await sources({})).toEqual(['MNIST', 'MNIST']);
  const subset = { [images]: idx([7, 28, 28]), [labels]: idx([7]) };
  expect(await sources(subset)).toEqual(['IDX images', 'MNIST']);
  expect(await sources({ [images]: fashion }, { verify: 'never' })).toEqual([
    'IDX images',
    'IDX images',
  ]);
});

const known = { files: FAKE_FILES };
const held = (name: string): string => `holds MNIST's ${name}: files are swapped or misnamed`;

test.each<[string, Record<string, Uint8Array>, string]>([
  [
    'another content of the same sizes',
    { [images]: fashion },
    `${images}: not the content of MNIST's ${images}: damaged, or another data set, which --no-verify takes`,
  ],
  [
    'one label that is not as it was',
    { [labels]: Buffer.from(FAKE_CONTENTS[labels] ?? []).fill(9, 10, 11) },
    `${labels}: not the content of MNIST's ${labels}: damaged`,
  ],
  [
    'the test images under the name of the training images',
    { [images]: FAKE_CONTENTS['t10k-images-idx3-ubyte'] as Buffer },
    `${images}: ${held('t10k-images-idx3-ubyte')}`,
  ],
  [
    'labels where images belong',
    { [images]: FAKE_CONTENTS[labels] as Buffer },
    `${images}: ${held(labels)}`,
  ],
])('%s', async (_, changes, message) => {
  expect(await fault(changes, known)).toContain(message);
});

test('a cache takes nothing but MNIST', async () => {
  const subset = { [images]: idx([7, 28, 28]), [labels]: idx([7]) };
  expect(await fault(subset, { ...known, verify: 'always' })).toMatch(
    /^train-\S+: not the content of MNIST's train-\S+: damaged$/,
  );
});

test('the files of MNIST as they are published', () => {
  expect(MNIST_FILES.map(({ name, bytes }) => [name, bytes])).toEqual([
    ['train-images-idx3-ubyte', 47_040_016],
    ['train-labels-idx1-ubyte', 60_008],
    ['t10k-images-idx3-ubyte', 7_840_016],
    ['t10k-labels-idx1-ubyte', 10_008],
  ]);
  for (const { sha256 } of MNIST_FILES) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  for (const mirror of MNIST_MIRRORS) expect(mirror).toMatch(/^https:\/\/.*\/$/);
});
