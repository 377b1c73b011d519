/** Errors in user code, missing functions. The names are those of the peer's own tests. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { named, register } from '../../rpc/registry.ts';
import { registerValue } from '../../rpc/value-classes.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, type greet } from '../support/services.ts';

class ExpectedError extends Error {
  override name = 'ExpectedError';
  readonly detail: number;

  constructor(message: string, detail: number) {
    super(message);
    this.detail = detail;
  }
}
registerValue({ ExpectedError });

function raise(detail: number): never {
  throw new ExpectedError('Expected error', detail);
}

/** Fails by the values of its argument. */
async function raiseOrInc(x: tf.Tensor): Promise<tf.Tensor> {
  const values = await x.data();
  if (values.every((value) => value !== 0)) throw new TypeError(`${values.length} are not zero`);
  return tf.add(x, 1);
}
register({ raise, raiseOrInc });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_py_raise_in_user_func: class, message and fields are kept', async () => {
    await using cluster = await startCluster({ transport });
    for (const to of [0, 1]) {
      const error = await cluster
        .at(0)
        .rpcSync(to, raise, [5])
        .catch((failure) => failure);
      expect(error).toMatchObject({ code: 'remote_error', remoteName: 'ExpectedError' });
      expect(error.message).toMatch(/ExpectedError: Expected error \(thrown by raise on worker/);
      expect(error.remoteStack).toMatch(/raise/);
      expect(error.cause).toBeInstanceOf(ExpectedError);
      expect(error.cause).toMatchObject({ message: 'Expected error', detail: 5 });
    }
  });

  test('test_remote_with_exception: a creation fails at its first use, on any owner', async () => {
    await using cluster = await startCluster({ transport });
    for (const owner of [0, 1]) {
      using rref = cluster.at(0).remote(owner, raise, [1]);
      const error = await rref.toHere().catch((failure) => failure);
      expect(error.code).toBe('remote_error');
      expect(error.cause).toBeInstanceOf(ExpectedError);
    }
  });

  test('test_remote_throw: a creation fails by the values of its argument', async () => {
    await using cluster = await startCluster({ transport });
    const [bad, good] = [tf.ones([2]), tf.zeros([2])];
    using failing = cluster.at(0).remote(1, raiseOrInc, [bad]);
    using fine = cluster.at(0).remote(1, raiseOrInc, [good]);
    await expect(failing.toHere()).rejects.toMatchObject({
      remoteName: 'TypeError',
      message: expect.stringMatching(/2 are not zero/),
    });
    const result = (await fine.toHere()) as tf.Tensor;
    expect([...(await result.data())]).toEqual([1, 1]);
    tf.dispose([bad, good, result]);
  });

  test('test_function_not_on_callee: the caller is told, the callee lives on', async () => {
    await using cluster = await startCluster({ transport });
    const missing = named<typeof greet>('greeting');
    await expect(cluster.at(0).rpcSync(1, missing, ['me'])).rejects.toMatchObject({
      code: 'unknown_function',
      peer: 'worker1',
      maybeExecuted: false,
      message: expect.stringMatching(/no function or class greeting is registered/),
    });
    expect(await cluster.at(0).rpcSync(1, add, [1, 2])).toBe(3);
  });
});

test('test_py_raise_in_user_func: the callee says it on stderr when asked to', async () => {
  const script = fileURLToPath(new URL('../fixtures/failing-call.js', import.meta.url));
  const env = { ...process.env, NODE_DEBUG: 'gradwire' };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [script], { env });
  expect(stdout).toMatch(/remote_error: RangeError: out of bounds/);
  expect(stderr).toMatch(
    /GRADWIRE \d+: a call of rank 0 failed: RangeError: out of bounds\n\s+at fails/,
  );
});
