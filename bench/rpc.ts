/** Suite `rpc`: calls and tensors between two processes over gRPC, without gradients. */
import { rpc as gradwire, tf } from 'gradwire';
import {
  type Figure,
  inRounds,
  quantile,
  type SuiteOptions,
  summarize,
  timeMs,
} from './harness.ts';
import { PEER, withPeer } from './pair.ts';
import { empty, take } from './remote.ts';

const SEQUENTIAL_CALLS = 1_000;
const OUTSTANDING = 64;
const OUTSTANDING_CALLS = 5_000;

const MIB = 1024 * 1024;

/** Bytes of a round, of one tensor or several. */
const ROUND_BYTES = 64 * MIB;

/** How long 64 MiB tensors flow in a round, at least. */
const FLOW_MS = 1_000;

export async function rpc({ rounds }: SuiteOptions): Promise<readonly Figure[]> {
  return withPeer(async () => {
    const tensors = [1, 16, 64].map((mib) => tf.zeros([(mib * MIB) / 4]));
    const [one, sixteen, sixtyFour] = tensors as [tf.Tensor, tf.Tensor, tf.Tensor];
    const samples = await inRounds({ warmUp: 1, rounds }, async () => {
      const sequential = await sequentialRate();
      const outstanding = await outstandingRate();
      const tensor1 = await bandwidth(one, 1);
      const tensor16 = await bandwidth(sixteen, 16);
      const tensor64 = await bandwidth(sixtyFour, 64);
      const { p50, p99 } = await latencyWhileFlowing(sixtyFour);
      return { sequential, outstanding, tensor1, tensor16, tensor64, p50, p99 };
    });
    tf.dispose(tensors);
    return [
      summarize('rpc.sequentialCalls', '1/s', samples.sequential),
      summarize('rpc.outstandingCalls64', '1/s', samples.outstanding),
      summarize('rpc.tensor1MiB', 'GB/s', samples.tensor1),
      summarize('rpc.tensor16MiB', 'GB/s', samples.tensor16),
      summarize('rpc.tensor64MiB', 'GB/s', samples.tensor64),
      summarize('rpc.smallCallP50', 'ms', samples.p50, { most: 2 }),
      summarize('rpc.smallCallP99', 'ms', samples.p99),
    ];
  });
}

/** Calls per second, one after another. */
async function sequentialRate(): Promise<number> {
  const ms = await timeMs(async () => {
    for (let i = 0; i < SEQUENTIAL_CALLS; i++) await gradwire.rpcAsync(PEER, empty);
  });
  return (1000 * SEQUENTIAL_CALLS) / ms;
}

/** Calls per second while 64 wait for their answers at all times. */
async function outstandingRate(): Promise<number> {
  let left = OUTSTANDING_CALLS;
  const caller = async (): Promise<void> => {
    while (left-- > 0) await gradwire.rpcAsync(PEER, empty);
  };
  const ms = await timeMs(() => Promise.all(Array.from({ length: OUTSTANDING }, caller)));
  return (1000 * OUTSTANDING_CALLS) / ms;
}

/** Gigabytes (10^9) per second of float32 tensors of `mib` MiB as arguments, one call after another. */
async function bandwidth(tensor: tf.Tensor, mib: number): Promise<number> {
  const count = ROUND_BYTES / (mib * MIB);
  const ms = await timeMs(async () => {
    for (let i = 0; i < count; i++) await gradwire.rpcAsync(PEER, take, [tensor]);
  });
  return ROUND_BYTES / 1e6 / ms;
}

/** Latencies in ms of empty calls, one after another, while tensors flow to the same peer one after another. */
async function latencyWhileFlowing(tensor: tf.Tensor): Promise<{ p50: number; p99: number }> {
  const latencies: number[] = [];
  const end = performance.now() + FLOW_MS;
  const flow = async (): Promise<void> => {
    while (performance.now() < end) await gradwire.rpcAsync(PEER, take, [tensor]);
  };
  const small = async (): Promise<void> => {
    while (performance.now() < end) {
      latencies.push(await timeMs(() => gradwire.rpcAsync(PEER, empty)));
    }
  };
  await Promise.all([flow(), small()]);
  return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) };
}
