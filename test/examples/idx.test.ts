/** MNIST's files: every spelling is read, and every fault is one line that names the file. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DataError } from '../../examples/support/data-file.ts';
import { loadMnist } from '../../examples/support/idx.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gradwire-idx-'));
});
afterEach(async () => await rm(dir, { recursive: true }));

/** An IDX file: magic, sizes, then bytes that count up modulo `modulus`. */
function idx(shape: readonly number[], { type = 8, modulus = 10 } = {}): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header[2] = type;
  header[3] = shape.length;
  shape.forEach((size, axis) => {
    header.writeUInt32BE(size, 4 + 4 * axis);
  });
  const size = shape.reduce((product, axis) => product * axis, 1);
  return Buffer.concat([header, Buffer.from(Array.from({ length: size }, (_, i) => i % modulus))]);
}

const good: Readonly<Record<string, Buffer>> = {
  'train-images-idx3-ubyte': idx([12, 28, 28], { modulus: 256 }),
  'train-labels-idx1-ubyte': idx([12]),
  't10k-images-idx3-ubyte': idx([3, 28, 28]),
  't10k-labels-idx1-ubyte': idx([3]),
};

async function write(files: Readonly<Record<string, Uint8Array | undefined>>): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    if (bytes !== undefined) await writeFile(join(dir, name), bytes);
  }
}

/** The one line that the four good files fail with after these changes. */
async function fault(changes: Readonly<Record<string, Uint8Array | undefined>>): Promise<string> {
  await write({ ...good, ...changes });
  const error: unknown = await loadMnist(dir).then(
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
  await write(Object.fromEntries(Object.entries(good).map(([name, b]) => spell(name, b))));
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
  await write({ ...good });
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
  ['an empty file', { [labels]: Buffer.alloc(0) }, `${labels}: not an IDX file`],
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
