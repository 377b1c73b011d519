/** JSON Lines: whole lines as they come, an empty file at the start, one clear line when it cannot be written. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { UsageError } from '../../examples/support/args.ts';
import { JsonLines } from '../../examples/support/json-lines.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gradwire-lines-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test('what an earlier run wrote is gone, each record is there at once', () => {
  const path = join(dir, 'run.jsonl');
  writeFileSync(path, 'of an earlier run');
  using lines = new JsonLines(path);
  expect(readFileSync(path, 'utf8')).toBe('');
  lines.write({ event: 'step', text: 'a\nb' });
  expect(readFileSync(path, 'utf8')).toBe('{"event":"step","text":"a\\nb"}\n');
  lines.write({ loss: Number.NaN });
  expect(readFileSync(path, 'utf8').split('\n')).toEqual([expect.any(String), '{"loss":null}', '']);
});

test('a file that cannot be written is a wrong use', () => {
  const path = join(dir, 'no', 'run.jsonl');
  expect(() => new JsonLines(path)).toThrow(UsageError);
  expect(() => new JsonLines(path)).toThrow(`${path}: cannot be written: ENOENT`);
});
