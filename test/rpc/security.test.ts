import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { isLoopback, sameToken, tokenSource } from '../../rpc/security.ts';

let place: string;
let folder: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'gradwire-test-'));
  folder = join(place, `gradwire-${process.getuid?.()}`);
});
afterEach(() => {
  rmSync(place, { recursive: true });
});

test('the master writes a token that only its user can read, and removes it', () => {
  const worker = tokenSource(undefined, 5, false, place);
  expect(worker.read()).toBeUndefined();
  const master = tokenSource(undefined, 5, true, place);
  const file = join(folder, '5.token');
  expect([statSync(folder).mode & 0o777, statSync(file).mode & 0o777]).toEqual([0o700, 0o600]);
  expect(master.read()).toMatch(/^[0-9a-f]{64}$/);
  expect(worker.read()).toBe(master.read());
  expect([worker.mayChange, master.mayChange]).toEqual([true, false]);
  worker.close();
  expect(readFileSync(file, 'utf8')).toBe(master.read());
  master.close();
  master.close();
  expect(worker.read()).toBeUndefined();
});

test('a stale token is replaced, that of a later master stays', () => {
  const first = tokenSource(undefined, 5, true, place);
  const second = tokenSource(undefined, 5, true, place);
  expect(second.read()).not.toBe(first.read());
  first.close();
  expect(tokenSource(undefined, 5, false, place).read()).toBe(second.read());
});

test('a given token needs no file', () => {
  const source = tokenSource('mine', 5, true, place);
  expect([source.read(), source.mayChange]).toEqual(['mine', false]);
  expect(() => statSync(folder)).toThrow();
});

test('a folder that others can change is refused', () => {
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(join(folder, '5.token'), 'planted');
  chmodSync(folder, 0o777);
  expect(() => tokenSource(undefined, 5, true, place)).toThrow(
    /^unauthenticated: .*can be changed by others/,
  );
  expect(() => tokenSource(undefined, 5, false, place).read()).toThrow(/^unauthenticated/);
});

test('a link in place of the folder is refused', () => {
  mkdirSync(join(place, 'elsewhere'), { mode: 0o700 });
  symlinkSync(join(place, 'elsewhere'), folder);
  expect(() => tokenSource(undefined, 5, true, place)).toThrow(/^unauthenticated/);
});

test('tokens and addresses', () => {
  expect([sameToken('a', 'a'), sameToken('a', 'b'), sameToken('', 'a')]).toEqual([
    true,
    false,
    false,
  ]);
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1', '[::1]']) {
    expect(isLoopback(host)).toBe(true);
  }
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.evil.com', '127.x', '']) {
    expect(isLoopback(host)).toBe(false);
  }
});
