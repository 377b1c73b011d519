/** The lock between processes: one at a time, dead holders are passed over, live ones are waited for with a bound. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DataError } from '../../examples/support/data-file.ts';
import { type LockOptions, withFileLock } from '../../examples/support/file-lock.ts';
import { until } from '../support/until.ts';

let dir = '';
let path = '';
let nowMs = 0;
let waits: string[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gradwire-lock-'));
  path = join(dir, 'lock');
  nowMs = 0;
  waits = [];
});
afterEach(async () => await rm(dir, { recursive: true }));

/** A clock that goes on when somebody sleeps. */
const options: LockOptions = {
  now: () => nowMs,
  sleep: async (ms) => {
    nowMs += ms;
    await setImmediate();
  },
  onWait: (holder) => waits.push(holder),
};

const locked = (work: () => unknown = () => undefined, more: LockOptions = {}): Promise<unknown> =>
  withFileLock(path, async () => await work(), { ...options, ...more });

/** The lock file of a holder that looks like this one, with changes. */
async function leave(changes: Readonly<Record<string, unknown>>): Promise<void> {
  let own = '';
  await locked(() => {
    own = readFileSync(path, 'utf8');
  });
  await writeFile(path, JSON.stringify({ ...JSON.parse(own), id: 'another', ...changes }));
}

/** The id of a process that has ended. */
function deadPid(): number {
  return spawnSync(process.execPath, ['--version']).pid;
}

test('is there while the work runs, and gone after it, also when it fails', async () => {
  expect(await locked(() => readdir(dir))).toEqual(['lock']);
  await expect(
    locked(() => {
      throw new Error('no luck');
    }),
  ).rejects.toThrow('no luck');
  expect(await readdir(dir)).toEqual([]);
  expect(waits).toEqual([]);
});

test('one at a time, and all come to their turn', async () => {
  let inside = 0;
  const done: number[] = [];
  await Promise.all(
    [1, 2, 3, 4, 5].map((i) =>
      locked(async () => {
        expect(++inside).toBe(1);
        await setImmediate();
        inside--;
        done.push(i);
      }),
    ),
  );
  expect(done.sort()).toEqual([1, 2, 3, 4, 5]);
  // Each said once for whom it waits.
  expect(waits).toEqual(Array(4).fill(`process ${process.pid} on ${hostname()}`));
});

test('a process of this machine that is gone is passed over at once', async () => {
  await leave({ pid: deadPid() });
  await locked();
  expect([nowMs, waits]).toEqual([0, []]);
});

test('many that find a dead holder still take turns', async () => {
  await leave({ pid: deadPid() });
  let inside = 0;
  await Promise.all(
    Array.from({ length: 8 }, () =>
      locked(async () => {
        expect(++inside).toBe(1);
        await setImmediate();
        inside--;
      }),
    ),
  );
  expect(await readdir(dir)).toEqual([]);
});

test.each<[string, () => Promise<void>]>([
  ['on another host', () => leave({ host: 'elsewhere' })],
  ['that lives, but shows nothing', () => leave({})],
  ['that has not written who it is', () => writeFile(path, '')],
])('a holder %s is passed over after a while', async (_, prepare) => {
  await prepare();
  await locked(undefined, { staleMs: 1000, pollMs: 100 });
  expect(nowMs).toBe(1000);
});

test('a holder that shows that it lives is waited for, with a bound', async () => {
  await leave({ host: 'elsewhere' });
  let second = 0;
  const sleep = async (ms: number): Promise<void> => {
    nowMs += ms;
    await utimes(path, ++second, second);
  };
  const error = await locked(undefined, { sleep, staleMs: 1000, patienceMs: 5000 }).catch(
    (thrown: Error) => thrown,
  );
  expect(error).toBeInstanceOf(DataError);
  expect((error as Error).message).toBe(
    `${path}: process ${process.pid} on elsewhere holds this lock, waited 5 s`,
  );
  expect(waits).toHaveLength(1);
  expect(existsSync(path)).toBe(true);
});

test('the holder shows that it lives, and learns that the lock was taken from it', async () => {
  await withFileLock(
    path,
    async (signal) => {
      await utimes(path, 1, 1);
      await until(() => statSync(path).mtimeMs > 1000);
      await writeFile(path, JSON.stringify({ pid: 1, host: 'elsewhere', id: 'another' }));
      await until(() => signal.aborted);
      expect(signal.reason).toBeInstanceOf(DataError);
    },
    { refreshMs: 5 },
  );
  // It belongs to the other one.
  expect(existsSync(path)).toBe(true);
});

test('what one that died while passing over has left is cleared', async () => {
  await leave({ pid: deadPid() });
  const breaking = `${path}.break`;
  await writeFile(breaking, '');
  await utimes(breaking, 1, 1);
  await locked();
  expect(await readdir(dir)).toEqual([]);
});

test('a lock that cannot be made is one line', async () => {
  path = join(dir, 'no', 'lock');
  await expect(locked()).rejects.toThrow(/^\S+lock: cannot be written: ENOENT.*$/);
});
