/** Tensors in files: as they were, whole or not at all, and nothing left of a file that is wrong. */
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { writeAtomically } from '../../tensor/atomic-file.ts';
import { type EngineName, loadTensors, saveTensors, startEngine, tf } from '../../tensor/index.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { runs } from '../support/runs.ts';

interface GoldenTensor {
  readonly name: string;
  readonly dtype: 'float32' | 'int32' | 'bool';
  readonly shape: number[];
  /** Numbers as texts: JSON has no -0. */
  readonly values: readonly string[];
}

interface GoldenFile {
  readonly title: string;
  readonly base64: string;
  readonly metadata: Record<string, string>;
  readonly tensors: readonly GoldenTensor[];
}

// Written by test/parity/safetensors.py.
const path = new URL('../../../test/parity/safetensors.json', import.meta.url);
const golden: { given: readonly string[]; files: readonly GoldenFile[] } = JSON.parse(
  readFileSync(path, 'utf8'),
);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradwire-saving-'));
});
afterAll(() => rm(folder, { recursive: true }));

let file: string;
let count = 0;
beforeEach(() => {
  file = join(folder, `${count++}.safetensors`);
});

function make({ dtype, shape, values }: GoldenTensor): tf.Tensor {
  const numbers = values.map(Number);
  return tf.tensor(dtype === 'float32' ? Float32Array.from(numbers) : numbers, shape, dtype);
}

async function expectLoaded(expected: readonly GoldenTensor[]): Promise<void> {
  const { tensors } = await loadTensors(file);
  expect(Object.keys(tensors).sort()).toEqual(expected.map(({ name }) => name).sort());
  for (const { name, dtype, shape, values } of expected) {
    const tensor = tensors[name];
    expect([tensor?.dtype, tensor?.shape]).toEqual([dtype, shape]);
    expect([...((await tensor?.data()) ?? [])].map(Number)).toEqual(values.map(Number));
  }
  tf.dispose(tensors);
}

describe.each<EngineName>(['cpu', 'wasm'])('on engine %s', (engine) => {
  beforeAll(async () => {
    await startEngine(engine);
  });

  test.each(golden.files)('a file of another writer: $title', ({ base64, metadata, tensors }) =>
    expectNoLeak(async () => {
      await writeFile(file, Buffer.from(base64, 'base64'));
      await expectLoaded(tensors);
      const loaded = await loadTensors(file);
      expect(loaded.metadata).toEqual(metadata);
      tf.dispose(loaded.tensors);
    }),
  );

  test('the same bytes as another writer', () =>
    expectNoLeak(async () => {
      const [{ base64, metadata, tensors }] = golden.files as [GoldenFile];
      const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
      const given = golden.given.map((name) => [name, make(byName.get(name) as GoldenTensor)]);
      const record = Object.fromEntries(given) as Record<string, tf.Tensor>;
      await saveTensors(file, record, { metadata });
      tf.dispose(record);
      expect((await readFile(file)).toString('base64')).toBe(base64);
    }));

  test('what is saved is loaded, bit for bit', async () => {
    const number = { float32: fc.float(), int32: fc.integer(), bool: fc.nat(1) };
    const tensor = fc
      .tuple(fc.constantFrom('float32', 'int32', 'bool'), fc.array(fc.nat(3), { maxLength: 4 }))
      .chain(([dtype, shape]) => {
        const length = shape.reduce((a, b) => a * b, 1);
        const values = fc.array(number[dtype], { minLength: length, maxLength: length });
        return values.map((all) => ({ dtype, shape, values: all.map(String) }));
      });
    const record = fc.dictionary(fc.stringMatching(/^\w{1,9}$/), tensor, { maxKeys: 5 });
    await fc.assert(
      fc.asyncProperty(record, (given) =>
        expectNoLeak(async () => {
          const all = Object.entries(given).map(
            ([name, one]) => ({ name, ...one }) as GoldenTensor,
          );
          const tensors = Object.fromEntries(all.map((one) => [one.name, make(one)]));
          await saveTensors(file, tensors);
          tf.dispose(Object.values(tensors));
          await expectLoaded(all);
        }),
      ),
      runs(30),
    );
  });

  test('saved is what the tensors were at the call, whatever becomes of them', () =>
    expectNoLeak(async () => {
      const [one, two] = [tf.scalar(1), tf.scalar(2)];
      const variable = tf.variable(one);
      const saving = saveTensors(file, { one, variable });
      variable.assign(two);
      one.dispose();
      await saving;
      const { tensors } = await loadTensors(file);
      expect(Object.values(tensors).map((t) => t.dataSync()[0])).toEqual([1, 1]);
      tf.dispose([tensors, two, variable]);
    }));

  test('a file cut off anywhere is refused, and no tensor is left', () =>
    expectNoLeak(async () => {
      const [{ base64 }] = golden.files as [GoldenFile];
      const bytes = Buffer.from(base64, 'base64');
      for (let length = 0; length < bytes.length; length += 7) {
        await writeFile(file, bytes.subarray(0, length));
        await expect(loadTensors(file)).rejects.toMatchObject({
          code: 'file_error',
          message: expect.stringContaining(file),
        });
      }
    }));

  test('a bool that is neither', () =>
    expectNoLeak(async () => {
      await saveTensors(file, {});
      const [{ base64 }] = golden.files as [GoldenFile];
      const bytes = Buffer.from(base64, 'base64');
      bytes[bytes.length - 1] = 2;
      await writeFile(file, bytes);
      await expect(loadTensors(file)).rejects.toThrow(/'isTrained' has bool elements/);
    }));
});

test('what is not there, or no file, is said with the name and the cause', async () => {
  await expect(loadTensors(file)).rejects.toMatchObject({
    code: 'file_error',
    message: expect.stringMatching(/'.*' cannot be read: ENOENT/),
    cause: expect.objectContaining({ code: 'ENOENT' }),
  });
  await expect(loadTensors(folder)).rejects.toMatchObject({ code: 'file_error' });
  const missing = join(folder, 'missing', 'x');
  await expect(saveTensors(missing, {})).rejects.toMatchObject({
    code: 'file_error',
    message: expect.stringMatching(/cannot be written: ENOENT/),
  });
});

test('names, values and dtypes that cannot be saved are refused, and nothing is written', () =>
  expectNoLeak(async () => {
    const [real, texts, freed] = [tf.scalar(1), tf.tensor1d(['a']), tf.scalar(2)];
    freed.dispose();
    const bad: unknown[] = [{ '': real }, { 'a\n': real }, { texts }, { a: 5 }, { a: null }];
    for (const record of bad) {
      await expect(saveTensors(file, record as Record<string, tf.Tensor>)).rejects.toMatchObject({
        code: 'invalid_argument',
      });
    }
    await expect(saveTensors(file, { freed })).rejects.toMatchObject({ code: 'tensor_freed' });
    await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' });
    tf.dispose([real, texts]);
  }));

test('a write that fails leaves the old file, and nothing beside it', async () => {
  const place = join(folder, 'atomic');
  await mkdir(place);
  const target = join(place, 'x');
  await writeAtomically(target, (write) => write(Uint8Array.of(1, 2, 3)));
  const failing = writeAtomically(target, async (write) => {
    await write(Uint8Array.of(9));
    expect(await readdir(place)).toHaveLength(2);
    throw new Error('no more');
  });
  await expect(failing).rejects.toThrow('no more');
  expect(await readdir(place)).toEqual(['x']);
  expect([...(await readFile(target))]).toEqual([1, 2, 3]);

  // A folder cannot be replaced by a file.
  await mkdir(join(place, 'y'));
  await expect(
    writeAtomically(join(place, 'y'), (write) => write(Uint8Array.of(1))),
  ).rejects.toThrow();
  expect((await readdir(place)).sort()).toEqual(['x', 'y']);
});

test('a head that announces more than there is costs no memory', async () => {
  await using handle = await open(file, 'w');
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(99_999_999n);
  await handle.write(prefix);
  await expect(loadTensors(file)).rejects.toThrow(/99999999 bytes of a file of 8/);
  // A sparse file has the size, but not the text.
  await truncate(file, 99_999_999 + 8);
  await expect(loadTensors(file)).rejects.toThrow(/no JSON/);
});
