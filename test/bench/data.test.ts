import { existsSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { openData, trainingDigits } from '../../bench/data.ts';
import { loadMnist } from '../../examples/support/idx.ts';

test('generated digits lie on disk as MNIST does, until they are disposed of', async () => {
  const digits = trainingDigits();
  const folder = await openData(undefined);
  expect(folder.source).toMatch(/^generated digits, seed 1, \d+ images$/);
  const { train, test: heldOut } = await loadMnist(folder.path);
  expect(Buffer.compare(train.images, digits.images)).toBe(0);
  expect(Buffer.compare(train.labels, digits.labels)).toBe(0);
  expect(heldOut.count).toBeGreaterThan(0);
  folder[Symbol.dispose]();
  expect(existsSync(folder.path)).toBe(false);
});

test("a folder of the user's stays", async () => {
  using generated = await openData(undefined);
  const folder = await openData(generated.path);
  folder[Symbol.dispose]();
  expect(existsSync(generated.path)).toBe(true);
  await expect(openData(`${generated.path}/no`)).rejects.toThrow(/no such folder$/);
});
