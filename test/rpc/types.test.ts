/** Checked by the compiler: a wrong line here fails the build. */
import { expect, test } from '@jest/globals';
import { asyncExecution } from '../../rpc/async-execution.ts';
import { collectAll, RpcFuture } from '../../rpc/future.ts';
import { named } from '../../rpc/registry.ts';
import type { RRef } from '../../rpc/rref.ts';
import type { Here } from '../../rpc/types.ts';
import { registerValue } from '../../rpc/value-classes.ts';
import { waitAll } from '../../rpc/wait-all.ts';
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
  later(x: number): RpcFuture<tf.Variable> {
    return new RpcFuture((resolve) => resolve(x as never));
  }
  _internal(): void {}
  // biome-ignore lint/suspicious/noThenProperty: the point of the test
  then(): void {}
  private secret(): void {}
  useSecret(): void {
    this.secret();
  }
}
class Model {
  readonly size: number;

  constructor(options: { size: number }) {
    this.size = options.size;
  }

  static build(size: number): Model {
    return new Model({ size });
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

/** Never runs, as above: futures, and what can be the function of a call. */
async function compiledFutures(worker: Worker, server: RRef<Server>): Promise<void> {
  const future: RpcFuture<string> = worker.rpcAsync('a', required, [1]);
  const value: string = future.value();
  const isDone: boolean = future.done();
  const chained: RpcFuture<number> = future.then((text) => text.length);
  const all: [string, number] = await collectAll([future, chained]);
  const method: RpcFuture<tf.Tensor[]> = server.rpcAsync().getParams();
  // A future of the remote function is one future here, and its variable arrives as a tensor.
  const later: RpcFuture<tf.Tensor> = server.rpcAsync().later(1);
  const kept: RRef<tf.Variable> = server.remote().later(1);
  const body: number = await waitAll(async () => 5);
  // @ts-expect-error a future is not its value
  const text: string = worker.rpcAsync('a', required, [1]);
  // @ts-expect-error nor is that of a method
  const params: tf.Tensor[] = server.rpcAsync().getParams();
  // @ts-expect-error a call that is not awaited has no fields of its result
  worker.rpcAsync('a', required, [1]).length;
  // @ts-expect-error rpcSync is awaited too
  worker.rpcSync('a', required, [1]).length;
  // @ts-expect-error a future of another value
  const wrong: RpcFuture<number> = worker.rpcAsync('a', required, [1]);
  // @ts-expect-error it is set to what it is a future of
  new RpcFuture<number>().setResult('x');
  // @ts-expect-error it fails with an error
  future.setException('x');
  // @ts-expect-error a callback is needed
  future.onComplete();
  // @ts-expect-error the callback gets the future, not the value
  future.onComplete((text: string) => text.length);
  // @ts-expect-error the callback of then gets the value
  await future.then((f: RpcFuture<string>) => f.value());
  // @ts-expect-error only functions are marked
  asyncExecution(5);
  // @ts-expect-error what answers later returns a promise
  asyncExecution((n: number) => n);
  // @ts-expect-error nor is a thenable one
  asyncExecution((n: number): PromiseLike<number> => Promise.resolve(n));
  const marked: (n: number) => Promise<number> = asyncExecution((n: number) => Promise.resolve(n));
  const lasting: (to: string) => RpcFuture<string> = asyncExecution((to: string) =>
    worker.rpcAsync(to, required, [1]),
  );

  const built: number = (await worker.rpcSync('a', Model.build, [1])).size;
  const there: RRef<Model> = worker.remote('a', Model.build, [1]);
  const byName: RRef<Model> = worker.remote('a', named<typeof Model>('Model'), [{ size: 1 }]);
  // @ts-expect-error an argument of the static method is of the wrong type
  await worker.rpcSync('a', Model.build, ['1']);
  // @ts-expect-error the class has no such method
  await worker.rpcSync('a', Model.missing, [1]);
  // @ts-expect-error its objects have no such method
  await server.rpcSync().missing();
  // @ts-expect-error a reference to another class
  const other: RRef<WorkerInfo> = worker.remote('a', Model, [{ size: 1 }]);
  // @ts-expect-error a class wants its arguments here too
  await worker.rpcSync('a', Model);
  // @ts-expect-error a name is no function: there is rpc.named
  await worker.rpcSync('a', 'required', [1]);
  // @ts-expect-error what the class returns is not the class
  const same: typeof Model = await worker.rpcSync('a', Model, [{ size: 1 }]);
  // @ts-expect-error values of all-gather come by name
  const gathered: number[] = await worker.allGather(1);
  void [value, isDone, chained, all, method, later, kept, body, text, params, wrong, built];
  void [there, byName, other, same, gathered, marked, lasting];
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
  expect([compiled, compiledFutures, registered].map((fn) => typeof fn)).toEqual(
    Array(3).fill('function'),
  );
});
