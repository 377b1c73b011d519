/** A data set in MNIST's form, small, with the table of what its files hold. */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { idxBytes, type MnistFile } from '../../examples/support/mnist.ts';

/** An IDX file: magic, sizes, then bytes that count up modulo `modulus`. */
export function idx(
  shape: readonly number[],
  { type = 8, modulus = 10 }: { readonly type?: number; readonly modulus?: number } = {},
): Buffer {
  const bytes = Buffer.alloc(idxBytes(shape));
  bytes[2] = type;
  bytes[3] = shape.length;
  shape.forEach((size, axis) => {
    bytes.writeUInt32BE(size, 4 + 4 * axis);
  });
  for (let at = 4 + 4 * shape.length, i = 0; at < bytes.length; at++, i++) bytes[at] = i % modulus;
  return bytes;
}

/** Contents of the four files, by name: 12 images to train, 3 to test. */
export const FAKE_CONTENTS: Readonly<Record<string, Buffer>> = {
  'train-images-idx3-ubyte': idx([12, 28, 28], { modulus: 256 }),
  'train-labels-idx1-ubyte': idx([12]),
  't10k-images-idx3-ubyte': idx([3, 28, 28]),
  't10k-labels-idx1-ubyte': idx([3]),
};

/** What is published of them. */
export const FAKE_FILES: readonly MnistFile[] = Object.entries(FAKE_CONTENTS).map(
  ([name, content]) => ({
    name,
    shape: name.includes('images') ? [content.readUInt32BE(4), 28, 28] : [content.readUInt32BE(4)],
    bytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
  }),
);

/** The files as a mirror serves them. */
export const FAKE_MIRROR: Readonly<Record<string, Buffer>> = Object.fromEntries(
  Object.entries(FAKE_CONTENTS).map(([name, content]) => [`/${name}.gz`, gzipSync(content)]),
);
