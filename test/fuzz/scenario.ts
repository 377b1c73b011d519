/** Valid traffic of every message kind: three workers of a dynamic group do all that workers can do with each other. */
import { once } from 'node:events';
import { autograd } from '../../index.ts';
import { rpcSync } from '../../rpc/api.ts';
import { currentCall } from '../../rpc/current-call.ts';
import { init } from '../../rpc/init.ts';
import { MESSAGES } from '../../rpc/message.ts';
import { silenceOf } from '../../rpc/peer-loss.ts';
import { register } from '../../rpc/registry.ts';
import { registerValue } from '../../rpc/value-classes.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { SparseSlices, tf } from '../../tensor/index.ts';
import { add, double, echo, fail, fetchFrom, size } from '../support/services.ts';
import { count, Source } from '../support/streams.ts';
import { until } from '../support/until.ts';
import { Recorder, type Traffic } from './recorder.ts';

async function via(to: string, x: tf.Tensor): Promise<tf.Tensor> {
  return tf.square(await rpcSync(to, double, [x]));
}
function total(x: tf.Tensor): tf.Tensor {
  return tf.sum(x);
}
register({ via, total });

/** Doings of the worker of rank 2, by name. */
const DOINGS: Readonly<Record<string, (self: WorkerNode) => Promise<void>>> = {
  async calls(self) {
    await self.rpcSync(0, add, [1, 2]);
    await self.rpcSync(0, echo, [values(self)]);
    await self.rpcSync(0, fail, ['range']).catch(() => {});
    await Promise.all([bounce(self, tf.ones([2, 3])), self.rpcSync(0, add, [3, 4])]);
  },
  async tensors(self) {
    for (const tensor of tensors()) await bounce(self, [tensor, tensor]);
    await bounce(self, {
      slices: new SparseSlices(tf.tensor1d([0, 3], 'int32'), tf.ones([2, 4]), [5, 4]),
    });
  },
  async references(self) {
    using object = self.remote(0, Source, [5]);
    await object.rpcSync().value();
    await object.getType();
    using number = self.remote(0, add, [1, 2]);
    await number.toHere();
    await self.rpcSync(1, fetchFrom, [number]);
    await self.rpcSync(0, fetchFrom, [number]);
    using derived = object.remote().value();
    await derived.toHere();
    using broken = self.remote(0, fail, ['x']);
    await broken.toHere().catch(() => {});
    using own = self.remote(2, add, [1, 2]);
    await self.rpcSync(0, fetchFrom, [own]);
  },
  async streams(self) {
    for await (const item of self.rpcStream(0, count, [300])) void item;
    for await (const _ of self.rpcStream(0, patientStream)) break;
    const controller = new AbortController();
    const call = self.rpcSync(0, patient, [], { signal: controller.signal });
    setImmediate(() => controller.abort());
    await call.catch(() => {});
  },
  async meetings(self) {
    const others = [0, 1].map((rank) => workers[rank] as WorkerNode);
    await Promise.all([self, ...others].map((worker) => worker.barrier()));
    await Promise.all([self, ...others].map((worker) => worker.allGather(worker.info.id)));
  },
  async gradients(self) {
    const x = tf.variable(tf.tensor1d([1, 2]));
    const one = workers[1] as WorkerNode;
    await self.run(() =>
      autograd.context(async (id) => {
        const y = await self.rpcSync(0, via, ['worker1', x]);
        const z = await self.rpcSync(0, double, [y]);
        await autograd.backward(id, [tf.sum(z)]);
        using loss = self.remote(0, total, [x]);
        await loss.backward(id);
      }),
    );
    // The other way: this one works for another's pass.
    await one.run(() =>
      autograd.context(async (id) => {
        const y = await one.rpcSync(2, double, [x]);
        await autograd.backward(id, [tf.sum(y)]);
      }),
    );
    x.dispose();
  },
  async bulk(self) {
    await bounce(self, tf.zeros([300_000]));
    const large = tf.zeros([1_200_000]);
    const controller = new AbortController();
    const call = self.rpcSync(0, echo, [large], { signal: controller.signal });
    const next = self.rpcSync(0, size, [large]);
    // Offered by then.
    setImmediate(() => controller.abort());
    await Promise.allSettled([call, next]);
    await bounce(self, large);
  },
};

class Point {
  x = 1;
  y: unknown = [2];
}

class Money {
  readonly #cents: bigint;

  constructor(cents: bigint) {
    this.#cents = cents;
  }

  get cents(): bigint {
    return this.#cents;
  }
}

class OutOfStock extends Error {
  readonly sku = 'sku';
}

registerValue({ Point, OutOfStock });
registerValue(
  { Money },
  {
    encode: ({ cents }) => cents,
    decode: (cents: bigint) => {
      if (typeof cents !== 'bigint') throw new TypeError('no money');
      return new Money(cents);
    },
  },
);

const workers: WorkerNode[] = [];

/** Waits until nobody waits for it. */
async function patient(): Promise<void> {
  const signal = currentCall()?.signal;
  if (signal?.aborted === false) await once(signal, 'abort');
}

async function* patientStream(): AsyncGenerator<number> {
  yield 1;
  await patient();
}
register({ patient, patientStream });

/** There and back. */
async function bounce(self: WorkerNode, value: unknown): Promise<void> {
  tf.dispose((await self.rpcSync(0, echo, [value])) as tf.TensorContainer);
  tf.dispose(value as tf.TensorContainer);
}

function values(self: WorkerNode): unknown {
  return {
    plain: [null, undefined, true, false, 1, -0.5, 2n ** 70n, 'text', '\ud800', new Date(0)],
    binary: [new Uint8Array(3), new Float64Array(2), new DataView(new ArrayBuffer(4))],
    long: new Uint8Array(10_000),
    nested: new Map<unknown, unknown>([[new Set([1, 'a']), { deep: [{ deeper: [] }] }]]),
    bare: Object.assign(Object.create(null), { x: 1 }),
    instances: [new Point(), new Money(3n), new OutOfStock('none')],
    error: new RangeError('far', { cause: new AggregateError([new Error('one')], 'all') }),
    info: self.info,
  };
}

function tensors(): tf.Tensor[] {
  return [
    tf.scalar(1),
    tf.tensor2d([1, 2, 3, 4], [2, 2], 'int32'),
    tf.tensor1d([true, false], 'bool'),
    tf.tensor1d(['a', 'bcd', '']),
    tf.complex([1, 2], [3, 4]),
    tf.zeros([0, 3]),
    tf.zeros([1, 2, 1, 2, 1, 2]),
  ];
}

/** Records the scenario. @throws if a message kind did not occur */
export async function record(masterPort: number): Promise<readonly Traffic[]> {
  const transport = new Recorder();
  // Shorter than what a session may last: a handler waits for what never comes until its call's time is over.
  const limits = { timeoutMs: 2_000, worldSize: 'dynamic' } as const;
  const options = { masterPort, transport, engine: 'cpu', ...limits } as const;
  for (const rank of [0, 1, 2]) {
    workers.push((await init({ ...options, rank, name: `worker${rank}` })) as WorkerNode);
  }
  const self = workers[2] as WorkerNode;
  for (const [part, doing] of Object.entries(DOINGS)) {
    transport.part = part;
    await doing(self);
    await until(() => workers.every((worker) => worker.references.copyCount === 0));
  }
  transport.part = 'death';
  const four = (await init({ ...options, rank: 3, name: 'worker3' })) as WorkerNode;
  await four.rpcSync(0, add, [1, 2]);
  workers[0]?.endpoint.cut(3, silenceOf(3_500, 'as if'));
  await four.shutdown({ graceful: false });
  transport.part = 'leave';
  await self.shutdown({ timeoutMs: 5_000 });
  const [zero, one] = workers.splice(0) as [WorkerNode, WorkerNode];
  await one.shutdown({ timeoutMs: 5_000 });
  await zero.shutdown({ timeoutMs: 5_000 });
  const missing = new Set(Object.keys(MESSAGES));
  for (const { kind } of transport.traffic) missing.delete(kind);
  if (missing.size > 0) throw new Error(`the scenario lacks ${[...missing].join(', ')}`);
  return transport.traffic;
}
