/** Tensors that are needed longer than their owner lives. */
import { expect, test } from '@jest/globals';
import { claim, freeStored, keepStored, TensorScope, tf, unclaim } from '../../tensor/index.ts';
import { expectNoLeak } from './support.ts';

test('a claimed tensor outlives its scope, until the last claim is given up', () =>
  expectNoLeak(() => {
    const scope = new TensorScope();
    const x = scope.run(() => tf.ones([2]));
    claim(x);
    claim(x);
    scope.dispose();
    unclaim(x);
    expect(x.isDisposed).toBe(false);
    unclaim(x);
    expect(x.isDisposed).toBe(true);
    unclaim(x);
  }));

test('a claim that is given up first changes nothing', () =>
  expectNoLeak(() => {
    const scope = new TensorScope();
    const x = scope.run(() => tf.ones([2]));
    claim(x);
    unclaim(x);
    expect(x.isDisposed).toBe(false);
    scope.dispose();
    expect(x.isDisposed).toBe(true);
  }));

test('a claimed tensor outlives its tidy, and one that the tidy returns stays with its caller', () =>
  expectNoLeak(() => {
    const scope = new TensorScope();
    const all: tf.Tensor[] = [];
    const returned = scope.run(() =>
      tf.tidy(() => {
        all.push(tf.ones([2]), tf.ones([3]), tf.ones([4]));
        for (const x of all.slice(1)) claim(x);
        return all[2];
      }),
    );
    expect(all.map((x) => x.isDisposed)).toEqual([true, false, false]);
    for (const x of all.slice(1)) unclaim(x);
    expect(all.map((x) => x.isDisposed)).toEqual([true, true, false]);
    scope.dispose();
    expect(returned?.isDisposed).toBe(true);
  }));

test('a claimed tensor outlives the object that it is stored in', () =>
  expectNoLeak(() => {
    const scope = new TensorScope();
    const target = { x: scope.run(() => tf.ones([2])) };
    keepStored(target, scope);
    claim(target.x);
    scope.dispose();
    freeStored(target);
    expect(target.x.isDisposed).toBe(false);
    unclaim(target.x);
    expect(target.x.isDisposed).toBe(true);
  }));

test('disposed or kept by hand', () =>
  expectNoLeak(() => {
    const [freed, kept] = tf.tidy(() => {
      const [a, b] = [tf.ones([2]), tf.ones([2])];
      claim(a);
      claim(b);
      a.dispose();
      return [a, tf.keep(b)] as const;
    });
    unclaim(freed);
    unclaim(kept);
    expect(kept.isDisposed).toBe(false);
    kept.dispose();
  }));
