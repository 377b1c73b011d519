/** Functions and classes that the rpc tests call, and a gate that holds calls until the test opens it. */
import { rpcSync } from '../../rpc/api.ts';
import { callSlot, currentWorker } from '../../rpc/current.ts';
import { register } from '../../rpc/registry.ts';
import type { RRef } from '../../rpc/rref.ts';
import { tf } from '../../tensor/index.ts';

/** Holds whoever waits until it is opened. */
export class Gate {
  readonly opened: Promise<void>;
  open: () => void = () => {};
  /** How many have come. */
  arrived = 0;

  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  wait(): Promise<void> {
    this.arrived++;
    return this.opened;
  }
}

/** The gate of the test that runs; a test that needs it makes a new one. */
export const current: { gate: Gate } = { gate: new Gate() };

export function newGate(): Gate {
  current.gate = new Gate();
  return current.gate;
}

export function add(a: number, b: number): number {
  return a + b;
}

export function greet(name = 'you'): string {
  return `hello ${name}`;
}

export function echo<T>(value: T): T {
  return value;
}

export function nothing(): void {}

/** Name of the worker that runs it, and rank of the caller. */
export function whoAmI(): [string, number | undefined] {
  return [currentWorker().info.name, callSlot.get()?.caller];
}

/** Calls itself on the next of `path`; gives the names on the way. */
export async function relay(path: readonly string[]): Promise<string[]> {
  const [next, ...rest] = path;
  const here = currentWorker().info.name;
  return next === undefined ? [here] : [here, ...(await rpcSync(next, relay, [rest]))];
}

/** Sends a chain of calls on its way that nobody waits for. */
export function wander(path: readonly string[]): void {
  const [next, ...rest] = path;
  visits.push(currentWorker().info.name);
  if (next !== undefined) void rpcSync(next, wander, [rest]);
}

export const visits: string[] = [];

export async function held(value: string): Promise<string> {
  await current.gate.wait();
  return value;
}

export async function heldTensor(): Promise<tf.Tensor> {
  await current.gate.wait();
  return tf.tensor1d([1, 2, 3]);
}

export function double(x: tf.Tensor): tf.Tensor {
  return tf.mul(x, tf.scalar(2, x.dtype === 'int32' ? 'int32' : 'float32'));
}

/** The size of a tensor, after making a few on the way. */
export function size(x: tf.Tensor): number {
  tf.add(tf.zeros([3]), tf.ones([3]));
  return x.size;
}

export function zeros(shape: number[]): tf.Tensor {
  return tf.zeros(shape);
}

export class Failure extends Error {
  override name = 'Failure';
}

export function fail(kind: string): never {
  switch (kind) {
    case 'range':
      throw new RangeError('out of bounds');
    case 'custom':
      throw new Failure('of its own class');
    case 'text':
      // biome-ignore lint/style/useThrowOnlyError: users do
      throw 'only a text';
    case 'bare':
      throw Object.create(null);
    case 'trap':
      throw new Proxy(new Error('x'), {
        has: () => {
          throw new Error('never');
        },
      });
    default:
      throw new Error(kind);
  }
}

export async function failLater(kind: string): Promise<never> {
  await current.gate.opened;
  fail(kind);
}

/** Fails on the next worker. */
export async function failAt(to: string, kind: string): Promise<void> {
  await rpcSync(to, fail, [kind]);
}

/** Calls what the next worker does not have. */
export async function missAt(to: string): Promise<void> {
  await rpcSync(to, notThere as () => void);
}

export const notThere: unknown = () => {};

export function unsendable(): unknown {
  return { deep: [1, { fn: () => 1 }] };
}

/** Fetches a reference and lets go of it. */
export async function fetchFrom(rref: RRef<number>): Promise<number> {
  using mine = rref;
  return (await mine.toHere()) as number;
}

register({
  add,
  greet,
  echo,
  nothing,
  whoAmI,
  relay,
  wander,
  held,
  heldTensor,
  double,
  size,
  zeros,
  fail,
  failLater,
  failAt,
  missAt,
  unsendable,
  fetchFrom,
});
