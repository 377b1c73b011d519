/** Functions that stream, for the tests, with a record of how they ended. */
import { interval, map, Observable, range } from 'rxjs';
import { currentCall } from '../../rpc/current-call.ts';
import { register } from '../../rpc/registry.ts';
import { RRef } from '../../rpc/rref.ts';
import { tf } from '../../tensor/index.ts';
import { held } from './services.ts';

/** What happened at the callees of the test that runs. */
export const streamed: { pulled: number; ended: string[] } = { pulled: 0, ended: [] };

export function freshStreams(): typeof streamed {
  streamed.pulled = 0;
  streamed.ended = [];
  return streamed;
}

export async function* count(
  to: number,
  failAt: number = Number.POSITIVE_INFINITY,
): AsyncGenerator<number> {
  try {
    for (let i = 0; i < to; i++) {
      if (i === failAt) throw new RangeError(`at ${i}`);
      streamed.pulled++;
      yield i;
    }
    streamed.ended.push('completed');
  } finally {
    streamed.ended.push('returned');
  }
}

/** Tensors of growing size, with one on the way that is not given away. */
export async function* tensors(to: number): AsyncGenerator<tf.Tensor1D> {
  const base = tf.ones([1]);
  for (let i = 0; i < to; i++) {
    streamed.pulled++;
    yield tf.tidy(() => tf.concat1d([base, tf.zeros([i])] as tf.Tensor1D[]));
  }
}

/** Gives one item, then waits for the end of its signal. */
export async function* stuck(): AsyncGenerator<number> {
  const signal = currentCall()?.signal;
  try {
    yield 1;
    await new Promise((resolve) => signal?.addEventListener('abort', resolve));
  } finally {
    streamed.ended.push('returned');
  }
}

export function ticks(): Observable<tf.Scalar> {
  const source = interval(1).pipe(map((i) => tf.scalar(i)));
  return new Observable((subscriber) => {
    const subscription = source.subscribe(subscriber);
    subscription.add(() => streamed.ended.push('unsubscribed'));
    return subscription;
  });
}

export function flood(to: number): Observable<tf.Scalar> {
  return range(0, to).pipe(map((i) => tf.scalar(i)));
}

export async function laterStream(): Promise<AsyncGenerator<number>> {
  await held('x');
  return count(3);
}

export async function* references(): AsyncGenerator<RRef<number>> {
  for (let i = 0; ; i++) yield new RRef(i);
}

export async function* unsendableItem(): AsyncGenerator<unknown> {
  try {
    yield 1;
    yield { deep: [() => 1] };
  } finally {
    streamed.ended.push('returned');
  }
}

export class Source {
  #value = 0;
  last: tf.Tensor | undefined;

  constructor(value: number) {
    this.#value = value;
  }

  async *values(to: number): AsyncGenerator<number> {
    for (let i = 0; i < to; i++) yield this.#value + i;
  }

  /** Gives tensors that the object keeps. */
  async *kept(): AsyncGenerator<tf.Tensor> {
    for (let i = 0; i < 3; i++) {
      this.last = tf.scalar(i);
      yield this.last;
    }
  }

  lastValue(): number {
    return this.last?.dataSync()[0] ?? -1;
  }

  value(): number {
    return this.#value;
  }
}

register({
  count,
  tensors,
  stuck,
  ticks,
  flood,
  laterStream,
  references,
  unsendableItem,
  Source,
});
