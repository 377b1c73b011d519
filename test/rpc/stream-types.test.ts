/** Types of streams, signals and limits, checked by the compiler: a wrong line here fails the build. */
import { expect, test } from '@jest/globals';
import type { Observable } from 'rxjs';
import {
  type HandledCall,
  type Here,
  type Invocable,
  type RemoteStream,
  type Rest,
  type RRef,
  remote,
  rpcAsync,
  rpcStream,
  rpcSync,
} from '../../rpc/index.ts';
import type { Worker } from '../../rpc/worker-api.ts';
import type { tf } from '../../tensor/index.ts';

class Server {
  async *batches(size: number): AsyncGenerator<{ x: tf.Variable; n: number }> {
    if (size < 0) yield* [];
  }
  later(): Promise<Observable<string>> {
    throw new Error('never');
  }
  readable(): AsyncIterable<number> {
    throw new Error('never');
  }
  size(): number {
    return 1;
  }
  // biome-ignore lint/suspicious/noExplicitAny: the point of the test
  untyped(): any {}
  fails(): never {
    throw new Error('always');
  }
}
/** An object that can also be iterated is no stream. */
class Table implements AsyncIterable<number> {
  readonly rows = 3;

  async *[Symbol.asyncIterator](): AsyncGenerator<number> {
    yield this.rows;
  }
}
function table(): Table {
  return new Table();
}
// biome-ignore lint/suspicious/noExplicitAny: as above
function untyped(): any {}
async function* numbers(to: number): AsyncGenerator<number> {
  for (let i = 0; i < to; i++) yield i;
}
function observed(): Observable<tf.Tensor2D> {
  throw new Error('never');
}
function plain(a: number): number[] {
  return [a];
}

function handOn<A extends unknown[], R>(
  worker: Worker,
  fn: Invocable<A, R>,
  ...rest: Rest<A>
): Promise<Here<Awaited<R>>> {
  return worker.rpcSync('a', fn, ...rest);
}

/** Never runs: its lines are only compiled. */
async function compiled(worker: Worker, server: RRef<Server>): Promise<void> {
  const stream: RemoteStream<number> = worker.rpcStream('a', numbers, [3]);
  const tensors: RemoteStream<tf.Tensor2D> = rpcStream('a', observed, [], { windowItems: 2 });
  // @ts-expect-error a required argument is missing
  worker.rpcStream('a', numbers);
  // @ts-expect-error an argument is of the wrong type
  worker.rpcStream('a', numbers, ['3']);
  // @ts-expect-error a function that does not stream
  worker.rpcStream('a', plain, [3]);
  // @ts-expect-error no such option
  worker.rpcStream('a', numbers, [3], { window: 5 });
  // @ts-expect-error only streams have a window
  await worker.rpcSync('a', plain, [1], { windowItems: 2 });

  // @ts-expect-error a stream is no answer
  await worker.rpcSync('a', numbers, [3]);
  // @ts-expect-error nor is an Observable, also of the current worker
  await rpcAsync('a', observed);
  // @ts-expect-error nor is it an object to be kept
  worker.remote('a', numbers, [3]);
  // @ts-expect-error nor is one that comes later
  remote('a', () => Promise.resolve(observed()));
  // @ts-expect-error a method that streams
  server.rpcSync().batches;
  // @ts-expect-error as above
  server.rpcAsync().later;
  // @ts-expect-error as above
  server.remote().readable;
  const kept: RRef<Table> = worker.remote('a', table);
  const made: RRef<Table> = remote('a', Table);
  const any: unknown = [await rpcSync('a', untyped), remote('a', untyped)];
  const others: unknown = [await server.rpcSync().untyped(), await server.rpcSync().fails()];
  void [kept, made, any, others, handOn(worker, plain, [1])];
  // @ts-expect-error what hands on takes no stream either
  await handOn(worker, numbers, [1]);

  const proxy = server.rpcStream({ timeoutMs: 5 });
  const batches: RemoteStream<{ x: tf.Tensor; n: number }> = proxy.batches(3);
  const later: RemoteStream<string> = proxy.later();
  const readable: RemoteStream<number> = proxy.readable();
  // @ts-expect-error an argument is missing
  proxy.batches();
  // @ts-expect-error a method that does not stream
  proxy.size;
  // @ts-expect-error a proxy is no promise
  proxy.then;
  for await (const item of batches) item.x.dispose();
  const call: HandledCall | undefined = undefined as HandledCall | undefined;
  const signal: AbortSignal | undefined = call?.signal;
  if (signal !== undefined) await server.rpcSync({ signal }).size();
  // @ts-expect-error the controller is no signal
  await server.rpcSync({ signal: new AbortController() }).size();
  void [stream, tensors, later, readable];
}

test('the lines above compile', () => {
  expect(typeof compiled).toBe('function');
});
