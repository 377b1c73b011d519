/** Checked by the compiler: a wrong line here fails the build. */
import { expect, test } from '@jest/globals';
import type { RRef } from '../../rpc/rref.ts';
import type { Here } from '../../rpc/types.ts';
import { registerValue } from '../../rpc/value-classes.ts';
import type { Worker } from '../../rpc/worker-api.ts';
import { WorkerInfo } from '../../rpc/worker-info.ts';
import type { SparseSlices, tf } from '../../tensor/index.ts';
import { Money, Point } from '../support/values.ts';

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles if `T` is true. */
function holds<T extends true>(): T | undefined {
  return undefined;
}

class Server {
  readonly params: tf.Variable[] = [];
  size = 1;

  constructor(options: { seed: number }) {
    this.size = options.seed;
  }

  forward(x: tf.Tensor2D, train = false): tf.Tensor {
    return train ? x : x;
  }
  async getParams(): Promise<tf.Variable[]> {
    return this.params;
  }
  refs(): RRef<tf.Variable>[] {
    return [];
  }
  _internal(): void {}
  // biome-ignore lint/suspicious/noThenProperty: the point of the test
  then(): void {}
  private secret(): void {}
  useSecret(): void {
    this.secret();
  }
}
function required(a: number, b?: string): Promise<string> {
  return Promise.resolve(`${a}${b}`);
}
function optional(a = 1): number {
  return a;
}

/** Never runs: its lines are only compiled. */
async function compiled(worker: Worker, server: RRef<Server>): Promise<void> {
  const text: string = await worker.rpcSync('a', required, [1]);
  const other: string = await worker.rpcAsync(1, required, [1, 'x']);
  const number: number = await worker.rpcSync(new WorkerInfo('a', 0), optional);
  // @ts-expect-error a required argument is missing
  await worker.rpcSync('a', required);
  // @ts-expect-error a required argument is missing
  await worker.rpcSync('a', required, []);
  // @ts-expect-error an argument is of the wrong type
  await worker.rpcSync('a', required, ['1']);
  // @ts-expect-error an argument too many
  await worker.rpcSync('a', optional, [1, 2]);
  // @ts-expect-error a peer is a name, a rank or an info
  await worker.rpcSync({}, optional);
  // @ts-expect-error no such option
  await worker.rpcSync('a', optional, [], { timeout: 5 });

  const made: RRef<Server> = worker.remote('a', Server, [{ seed: 1 }]);
  const result: RRef<string> = worker.remote('a', required, [1]);
  // @ts-expect-error the constructor wants options
  worker.remote('a', Server);
  // @ts-expect-error the options are incomplete
  worker.remote('a', Server, [{}]);

  const proxy = server.rpcSync();
  const out: tf.Tensor = await proxy.forward(null as unknown as tf.Tensor2D);
  const params: tf.Tensor[] = await server.rpcAsync({ timeoutMs: 5 }).getParams();
  const refs: RRef<tf.Variable>[] = await proxy.refs();
  const remote: RRef<tf.Variable[]> = server.remote().getParams();
  // @ts-expect-error an argument is missing
  await proxy.forward();
  // @ts-expect-error fields are not methods
  proxy.size;
  // @ts-expect-error private methods are not remote
  proxy.secret;
  // @ts-expect-error names that begin with _ are not remote
  proxy._internal;
  // @ts-expect-error a proxy is no promise
  proxy.then;
  // @ts-expect-error parameters arrive as tensors, which have no assign
  (await proxy.getParams())[0]?.assign;
  void [text, other, number, made, result, out, params, refs, remote];
}

/** Never runs either. */
function registered(): void {
  registerValue({ Money, Point });
  registerValue({ Point }, { encode: (p) => [p.x, p.y], decode: ([x, y]) => new Point(x, y) });
  // @ts-expect-error decode gives another class
  registerValue({ Money }, { encode: () => 1, decode: (n: number) => new Point(n, n) });
  // @ts-expect-error encode and decode do not fit each other
  registerValue({ Money }, { encode: () => 'x', decode: (n: bigint) => new Money(n) });
  // @ts-expect-error an instance is no class
  registerValue({ point: new Point(1, 2) });
}

test('what arrives: variables as tensors, containers element by element', () => {
  holds<Equal<Here<tf.Variable>, tf.Tensor>>();
  holds<Equal<Here<tf.Variable<tf.Rank.R2>>, tf.Tensor2D>>();
  holds<Equal<Here<tf.Tensor3D>, tf.Tensor3D>>();
  holds<Equal<Here<Map<string, tf.Variable>>, Map<string, tf.Tensor>>>();
  holds<Equal<Here<Set<tf.Variable>>, Set<tf.Tensor>>>();
  holds<Equal<Here<tf.Variable[]>, tf.Tensor[]>>();
  holds<Equal<Here<[number, tf.Variable]>, [number, tf.Tensor]>>();
  holds<Equal<Here<{ a: { b: tf.Variable } }>, { a: { b: tf.Tensor } }>>();
  holds<Equal<Here<RRef<tf.Variable>>, RRef<tf.Variable>>>();
  holds<Equal<Here<string | undefined>, string | undefined>>();
  holds<
    Equal<Here<Date | Uint8Array | bigint | WorkerInfo>, Date | Uint8Array | bigint | WorkerInfo>
  >();
  holds<Equal<Here<Float32Array | BigInt64Array>, Float32Array | BigInt64Array>>();
  holds<
    Equal<Here<ArrayBuffer | DataView | SparseSlices>, ArrayBuffer | DataView | SparseSlices>
  >();
  holds<Equal<Here<{ e: RangeError; s: SparseSlices[] }>, { e: RangeError; s: SparseSlices[] }>>();
  holds<Equal<Here<readonly [Money, tf.Variable]>, readonly [Money, tf.Tensor]>>();
  holds<Equal<Here<Map<string, Point>>, Map<string, Point>>>();
  holds<Equal<Here<unknown>, unknown>>();
  expect([typeof compiled, typeof registered]).toEqual(['function', 'function']);
});
