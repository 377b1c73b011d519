/** What PyTorch RPC checks of itself, theme T3: what can be the function of a call. */
import { describe, expect, test } from '@jest/globals';
import { lookUp, named, register } from '../../rpc/registry.ts';
import { registerValue } from '../../rpc/value-classes.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';

interface Scaling {
  readonly x: number;
  readonly factor?: number;
}

/** Takes named arguments. */
function scale({ x, factor = 2 }: Scaling): number {
  return x * factor;
}

class Model {
  static readonly unit: string = 'm';
  static shift = (x: number): number => x + 1;
  readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  static get made(): number {
    throw new Error('an accessor must not run');
  }

  static label(size: number): string {
    // biome-ignore lint/complexity/noThisInStatic: the class it is called on is the point
    return `${size} ${this.unit}`;
  }

  static triple(x: number): number {
    return 3 * x;
  }

  static _hidden(): number {
    return 1;
  }

  times(n: number): number {
    return this.size * n;
  }
}

class Mile extends Model {
  static override readonly unit: string = 'mi';

  static halve(x: number): number {
    return x / 2;
  }
}

/** Its objects travel. */
class Length {
  readonly metres: number;

  constructor(metres: number) {
    this.metres = metres;
  }
}
register({ scale, Model, Mile, Length });
registerValue({ Length });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_py_user_defined: a function with named arguments only', async () => {
    await using cluster = await startCluster({ transport });
    expect(await cluster.at(0).rpcSync(1, scale, [{ x: 4 }])).toBe(8);
    expect(await cluster.at(0).rpcSync(1, scale, [{ factor: 3, x: 4 }])).toBe(12);
  });

  test('test_py_built_in: a stock function that is registered', async () => {
    register({ hypot: Math.hypot });
    await using cluster = await startCluster({ transport });
    expect(await cluster.at(0).rpcSync(1, Math.hypot, [3, 4])).toBe(5);
  });

  test('test_py_class_static_method: a static method is a function', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    expect(await worker.rpcSync(1, Model.triple, [2])).toBe(6);
    expect(await worker.rpcAsync(1, Mile.halve, [3])).toBe(1.5);
    using rref = worker.remote(1, Model.triple, [3]);
    expect(await rref.toHere()).toBe(9);
  });

  test('test_py_class_method: its class is `this`, inherited ones by name', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    expect(await worker.rpcSync(1, Model.label, [5])).toBe('5 m');
    const ofMile = named<typeof Mile.label>('Mile.label');
    expect(await worker.rpcSync(1, ofMile, [5])).toBe('5 mi');
    using rref = worker.remote(1, ofMile, [6]);
    expect(await rref.toHere()).toBe('6 mi');
  });

  test('test_py_class_instance_method: the method of an object is called on its reference', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    using model = worker.remote(1, Model, [7]);
    expect(await model.rpcSync().times(3)).toBe(21);
    expect(() => worker.rpcAsync(1, Model.prototype.times, [3])).toThrow(
      /^not_registered: Model's times is a method of its objects: call it on a reference, rref.rpcSync\(\).times/,
    );
  });

  test('test_py_class_constructor: an object that can be sent is the result, with its fields', async () => {
    await using cluster = await startCluster({ transport });
    const made = await cluster.at(0).rpcSync(1, Length, [7]);
    expect(made).toBeInstanceOf(Length);
    expect(made.metres).toBe(7);
  });

  test('test_py_class_constructor: an object that cannot be sent is not made', async () => {
    await using cluster = await startCluster({ transport });
    await expect(cluster.at(0).rpcSync(1, Model, [7])).rejects.toMatchObject({
      code: 'unsupported_value',
      maybeExecuted: false,
      message: expect.stringMatching(/Model is a class .*remote\(\)/),
    });
  });
});

test('of a class, only what its body defines as static methods is a function (G3)', () => {
  expect(lookUp('Mile.halve')).toEqual({ callable: Mile.halve, self: Mile });
  const none = ['shift', 'unit', 'made', '_hidden', 'length', 'name', 'prototype', 'call', 'bind'];
  for (const key of [...none, 'constructor', 'toString', '__proto__', '']) {
    expect(() => lookUp(`Model.${key}`)).toThrow(/^unknown_function/);
  }
  for (const name of ['.label', 'scale.call', 'scale.bind', 'Model.label.call', 'Model.Mile']) {
    expect(() => lookUp(name)).toThrow(/^unknown_function/);
  }
  expect(() => lookUp('Model.tripel')).toThrow(/Did you mean Model.triple\?/);
});
