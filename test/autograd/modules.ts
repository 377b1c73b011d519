/** Modules, and things that are none, for the tests of RemoteModule. */
import { expect } from '@jest/globals';
import { autograd, rpc, tf } from '../../index.ts';

/** Gives `x * weight * factor`, and the word as it came. */
export class MyModule {
  readonly #weight: tf.Variable;
  #isTraining = true;

  constructor(first: number, second = 0) {
    this.#weight = tf.tidy(() => tf.variable(tf.tensor1d([first, second])));
  }

  forward(x: tf.Tensor, factor: number, word = 'default'): { y: tf.Tensor; word: string } {
    return { y: tf.tidy(() => tf.mul(tf.mul(x, this.#weight), factor)), word };
  }

  parameters(): tf.Variable[] {
    return [this.#weight];
  }

  train(mode = true): void {
    this.#isTraining = mode;
  }

  isTraining(): boolean {
    return this.#isTraining;
  }
}

/** Has no modes, and a forward that fails. */
export class Plain {
  forward(): never {
    throw new TypeError('no good');
  }
  parameters(): Iterable<tf.Variable> {
    return [];
  }
}

/** Its parameters are references, which parameters() must not give. */
export class Referring {
  forward(): number {
    return 1;
  }
  parameters(): tf.Variable[] {
    return [1 as unknown as tf.Variable];
  }
}

export class NoModule {
  readonly name = 'none';
}

export function makeNumber(): MyModule {
  return 5 as unknown as MyModule;
}

export type Handle = autograd.RemoteModule<MyModule>;

/** Runs where a module was sent. */
export async function useModule(module: Handle, x: tf.Tensor): Promise<tf.Tensor[]> {
  expect(Object.keys(module)).toEqual([]);
  expect(module).toBeInstanceOf(autograd.RemoteModule);
  try {
    const [sync, later] = [await module.forward(x, 2), await module.forwardAsync(x, 3)];
    return [sync.y, later.y];
  } finally {
    module.dispose();
  }
}

/** Makes another module of the same object, here. */
export async function useReference(rref: rpc.RRef<MyModule>, x: tf.Tensor): Promise<tf.Tensor> {
  const module = autograd.RemoteModule.initFromModuleRRef(rref.owner(), rref);
  try {
    return (await module.forward(x, 2)).y;
  } finally {
    module.dispose();
  }
}

rpc.register({ MyModule, Plain, Referring, NoModule, makeNumber, useModule, useReference });
