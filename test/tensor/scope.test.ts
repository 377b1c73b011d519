import '@tensorflow/tfjs-backend-cpu';
import { setImmediate } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from '@jest/globals';
import {
  collectTensors,
  freeStored,
  keepStored,
  outside,
  ownVariables,
  TensorScope,
  tf,
} from '../../tensor/index.ts';
import { expectNoLeak } from '../support/leaks.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
  tf.scalar(0).dispose();
});

describe('TensorScope', () => {
  test('owns what is made in it, across awaits, and frees it (G5)', () =>
    expectNoLeak(async () => {
      const scopes = [new TensorScope(), new TensorScope()];
      await Promise.all(
        scopes.map((scope, i) =>
          scope.run(async () => {
            for (let n = 0; n <= i; n++) {
              tf.tidy(() => tf.neg(tf.scalar(n)));
              await setImmediate();
            }
          }),
        ),
      );
      expect(scopes.map((s) => s.size)).toEqual([1, 2]);
      for (const scope of scopes) scope.dispose();
      expect(scopes.map((s) => [s.size, s.isDisposed])).toEqual([
        [0, true],
        [0, true],
      ]);
    }));

  test('nests: the inner scope takes what is made in it', () =>
    expectNoLeak(() => {
      const outer = new TensorScope();
      const inner = new TensorScope();
      outer.run(() => {
        tf.scalar(1);
        inner.run(() => tf.scalar(2));
        outside(() => tf.scalar(3)).dispose();
      });
      expect([outer.size, inner.size]).toEqual([1, 1]);
      inner.dispose();
      inner.dispose();
      outer.dispose();
    }));

  test('spares what is to be kept, and Variables', () =>
    expectNoLeak(() => {
      const scope = new TensorScope();
      const [kept, spared, freed, variable] = scope.run(() => [
        tf.keep(tf.scalar(1)),
        tf.scalar(2),
        tf.scalar(3),
        tf.variable(tf.scalar(4)),
      ]);
      expect(scope.size).toBe(3);
      scope.dispose([spared]);
      expect([kept, spared, freed, variable].map((t) => t.isDisposed)).toEqual([
        false,
        false,
        true,
        false,
      ]);
      tf.dispose([kept, spared, variable]);
    }));

  test('adopts and releases', () =>
    expectNoLeak(() => {
      const scope = new TensorScope();
      const adopted = tf.scalar(1);
      const variable = tf.tidy(() => tf.variable(tf.scalar(1)));
      scope.adopt(adopted);
      scope.adopt(variable);
      const released = scope.run(() => tf.scalar(2));
      scope.release(released);
      expect([scope.owns(adopted), scope.owns(released)]).toEqual([true, false]);
      scope.dispose();
      expect([adopted, variable, released].map((t) => t.isDisposed)).toEqual([true, true, false]);
      released.dispose();
    }));

  test('code that runs on after dispose makes plain tensors', () =>
    expectNoLeak(async () => {
      const scope = new TensorScope();
      const late = scope.run(async () => {
        await setImmediate();
        return tf.tidy(() => tf.neg(tf.scalar(1)));
      });
      scope.dispose();
      const plain = await late;
      expect([plain.isDisposed, scope.size]).toEqual([false, 0]);
      scope.adopt(plain);
      expect(scope.owns(plain)).toBe(false);
      plain.dispose();
    }));

  test('forgets tensors that were disposed by hand', () =>
    expectNoLeak(() => {
      const scope = new TensorScope();
      const survivor = scope.run(() => {
        for (let i = 0; i < 5000; i++) tf.scalar(i).dispose();
        return tf.scalar(7);
      });
      expect([scope.size, scope.owns(survivor)]).toEqual([1, true]);
      scope.dispose();
    }));

  test('an error in the scope leaves it in order', () =>
    expectNoLeak(async () => {
      const scope = new TensorScope();
      const failing = scope.run(async () => {
        tf.scalar(1);
        await setImmediate();
        tf.tidy(() => {
          tf.scalar(2);
          throw new Error('mine');
        });
      });
      await expect(failing).rejects.toThrow('mine');
      expect(scope.size).toBe(1);
      scope.dispose();
    }));
});

test('collectTensors finds tensors in containers, once each, and survives cycles', () =>
  expectNoLeak(() => {
    const [a, b, c] = [tf.scalar(1), tf.scalar(2), tf.scalar(3)];
    const d = tf.tidy(() => tf.variable(tf.scalar(4)));
    class Instance {
      readonly hidden = tf.scalar(5);
    }
    const instance = new Instance();
    const value: { self?: unknown; [field: string]: unknown } = {
      list: [a, [b, a], null, 1, 'x'],
      map: new Map([['c', c]]),
      set: new Set([d]),
      instance,
      bytes: new Uint8Array(4),
      get getter(): never {
        throw new Error('read');
      },
    };
    value.self = value;
    expect(collectTensors(value)).toEqual([a, b, c, d]);
    expect(collectTensors(a)).toEqual([a]);
    expect(collectTensors(undefined)).toEqual([]);
    let deep: unknown = b;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(collectTensors(deep)).toEqual([]);
    tf.dispose([a, b, c, d, instance.hidden]);
  }));

describe('keepStored', () => {
  class Model {
    weight: tf.Tensor | undefined;
    readonly history: tf.Tensor[] = [];
    readonly byName: Map<string, tf.Tensor> = new Map();
  }

  /** As a handler: runs `fn` on the model in a scope of its own. */
  function handle<R>(model: Model, fn: () => R): R {
    const scope = new TensorScope();
    const result = scope.run(fn);
    keepStored(model, scope);
    scope.dispose(collectTensors(result));
    return result;
  }

  test('keeps what is stored and frees what it replaces', () =>
    expectNoLeak(() => {
      const model = new Model();
      const first = handle(model, () => {
        tf.scalar(0);
        model.weight = tf.scalar(1);
        model.history.push(tf.scalar(2), tf.scalar(3));
        model.byName.set('x', tf.scalar(4));
        return null;
      });
      expect(first).toBeNull();
      const before = collectTensors({ ...model });
      expect(before.map((t) => t.isDisposed)).toEqual([false, false, false, false]);
      handle(model, () => {
        model.weight = tf.scalar(10);
        model.history.shift();
      });
      expect(before.map((t) => t.isDisposed)).toEqual([true, true, false, false]);
      handle(model, () => model.weight);
      expect(model.weight?.isDisposed).toBe(false);
      freeStored(model);
      freeStored(model);
    }));

  test('a stored tensor that a handler gives away lives as its result', () =>
    expectNoLeak(() => {
      const model = new Model();
      handle(model, () => {
        model.weight = tf.scalar(1);
      });
      const taken = handle(model, () => {
        const { weight } = model;
        model.weight = undefined;
        return weight;
      });
      expect(taken?.isDisposed).toBe(false);
      taken?.dispose();
      freeStored(model);
    }));

  test('leaves alone what is not its own', () =>
    expectNoLeak(() => {
      const model = new Model();
      const [foreign, variable] = [tf.scalar(1), tf.tidy(() => tf.variable(tf.scalar(2)))];
      let kept: tf.Tensor | undefined;
      handle(model, () => {
        kept = tf.keep(tf.scalar(3));
        model.history.push(foreign, variable, kept);
      });
      handle(model, () => model.history.splice(0));
      freeStored(model);
      expect([foreign, variable, kept].map((t) => t?.isDisposed)).toEqual([false, false, false]);
      tf.dispose([foreign, variable, kept ?? []]);
    }));

  test('a tensor held by two objects lives until both are done with it', () =>
    expectNoLeak(() => {
      const [a, b] = [new Model(), new Model()];
      handle(a, () => {
        a.weight = tf.scalar(1);
      });
      handle(b, () => {
        b.weight = a.weight;
      });
      freeStored(a);
      expect(b.weight?.isDisposed).toBe(false);
      freeStored(b);
      expect(b.weight?.isDisposed).toBe(true);
    }));
});

test('ownVariables tells which variables a constructor made', () =>
  expectNoLeak(() => {
    const before = tf.tidy(() => tf.variable(tf.scalar(0)));
    const { value, variables } = ownVariables(() =>
      tf.tidy(() => [tf.variable(tf.scalar(1)), tf.variable(tf.scalar(2), true, 'a name')]),
    );
    expect(new Set(variables)).toEqual(new Set(value));
    expect(() =>
      ownVariables(() => {
        tf.tidy(() => tf.variable(tf.scalar(1)));
        throw new Error('mine');
      }),
    ).toThrow('mine');
    tf.dispose([before, variables]);
  }));
