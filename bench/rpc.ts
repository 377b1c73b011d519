/** Suite `rpc`: calls and tensors between two processes over gRPC, without gradients, beside PyTorch's over TensorPipe. */
import { rpc as gradwire, tf } from 'gradwire';
import type { Group, Request } from './group.ts';
import {
  type Figure,
  type FigureSpec,
  figure,
  quantile,
  type SuiteOptions,
  timeMs,
} from './harness.ts';
import { SERVER, withPair } from './pair.ts';
import { empty, take } from './remote.ts';

const SEQUENTIAL_CALLS = 3_000;
const OUTSTANDING = 64;
const OUTSTANDING_CALLS = 5_000;

const MIB = 1024 * 1024;
const SIZES_MIB = [1, 16, 64] as const;

/** Bytes of a round, of one tensor or several. */
const ROUND_MIB = 64;

/** How long 64 MiB tensors flow in a round, at least. */
const FLOW_MS = 1_000;

const FIGURES = {
  sequentialCalls: { unit: '1/s', better: 'more' },
  outstandingCalls64: { unit: '1/s', better: 'more' },
  tensor1MiB: { unit: 'GB/s', better: 'more' },
  tensor16MiB: { unit: 'GB/s', better: 'more' },
  tensor64MiB: { unit: 'GB/s', better: 'more' },
  smallCallP50: { unit: 'ms', better: 'less', target: { of: 'value', most: 2 } },
  smallCallP99: { unit: 'ms', better: 'less' },
} as const satisfies Record<string, Pick<FigureSpec, 'unit' | 'better' | 'target'>>;

type Name = keyof typeof FIGURES;
type Round = Readonly<Record<Name, number>>;

export async function rpc({ rounds, peer }: SuiteOptions): Promise<readonly Figure[]> {
  return withPair(async () => {
    await using theirGroup = await peer?.start({ script: 'remote_calls.py' });
    const ours: Round[] = [];
    const theirs: Round[] = [];
    for (let round = -1; round < rounds; round++) {
      const our = await ourRound();
      const their = theirGroup && (await theirRound(theirGroup));
      // The first round warms up.
      if (round < 0) continue;
      ours.push(our);
      if (their !== undefined) theirs.push(their);
    }
    const conditions = {
      engine: tf.getBackend(),
      ...(peer && { peer: peer.about, peerThreads: 1 }),
    };
    return (Object.keys(FIGURES) as Name[]).map((name) =>
      figure(`rpc.${name}`, {
        ...FIGURES[name],
        ours: ours.map((round) => round[name]),
        theirs: theirs.map((round) => round[name]),
        conditions,
      }),
    );
  });
}

async function ourRound(): Promise<Round> {
  const sequentialCalls = await sequentialRate();
  const outstandingCalls64 = await outstandingRate();
  const tensors = SIZES_MIB.map((mib) => tf.ones([(mib * MIB) / 4]));
  const [one, sixteen, sixtyFour] = tensors as [tf.Tensor, tf.Tensor, tf.Tensor];
  const tensor1MiB = await bandwidth(one, 1);
  const tensor16MiB = await bandwidth(sixteen, 16);
  const tensor64MiB = await bandwidth(sixtyFour, 64);
  const flowing = latencies(await latenciesWhileFlowing(sixtyFour));
  tf.dispose(tensors);
  return { sequentialCalls, outstandingCalls64, tensor1MiB, tensor16MiB, tensor64MiB, ...flowing };
}

async function theirRound(group: Group): Promise<Round> {
  const rate = async (request: Request): Promise<number> => {
    const [answer] = await group.ask<{ value: number }>(request);
    return (answer as { value: number }).value;
  };
  const tensor = (mib: number): Promise<number> =>
    rate({ do: 'bandwidth', mib, count: ROUND_MIB / mib });
  const sequentialCalls = await rate({ do: 'sequential', count: SEQUENTIAL_CALLS });
  const outstandingCalls64 = await rate({
    do: 'outstanding',
    count: OUTSTANDING_CALLS,
    width: OUTSTANDING,
  });
  const tensor1MiB = await tensor(1);
  const tensor16MiB = await tensor(16);
  const tensor64MiB = await tensor(64);
  const [flow] = await group.ask<{ ms: number[] }>({ do: 'latencies', mib: 64, ms: FLOW_MS });
  const flowing = latencies(flow?.ms ?? []);
  return { sequentialCalls, outstandingCalls64, tensor1MiB, tensor16MiB, tensor64MiB, ...flowing };
}

function latencies(ms: readonly number[]): Pick<Round, 'smallCallP50' | 'smallCallP99'> {
  return { smallCallP50: quantile(ms, 0.5), smallCallP99: quantile(ms, 0.99) };
}

/** Calls per second, one after another. */
async function sequentialRate(): Promise<number> {
  const ms = await timeMs(async () => {
    for (let i = 0; i < SEQUENTIAL_CALLS; i++) await gradwire.rpcAsync(SERVER, empty);
  });
  return (1000 * SEQUENTIAL_CALLS) / ms;
}

/** Calls per second while 64 wait for their answers at all times. */
async function outstandingRate(): Promise<number> {
  let left = OUTSTANDING_CALLS;
  const caller = async (): Promise<void> => {
    while (left-- > 0) await gradwire.rpcAsync(SERVER, empty);
  };
  const ms = await timeMs(() => Promise.all(Array.from({ length: OUTSTANDING }, caller)));
  return (1000 * OUTSTANDING_CALLS) / ms;
}

/** Gigabytes (10^9) per second of float32 tensors of `mib` MiB as arguments, one call after another. */
async function bandwidth(tensor: tf.Tensor, mib: number): Promise<number> {
  const ms = await timeMs(async () => {
    for (let i = 0; i < ROUND_MIB / mib; i++) await gradwire.rpcAsync(SERVER, take, [tensor]);
  });
  return (ROUND_MIB * MIB) / 1e6 / ms;
}

/** Latencies in ms of empty calls, one after another, while tensors flow to the same worker one after another. */
async function latenciesWhileFlowing(tensor: tf.Tensor): Promise<readonly number[]> {
  const found: number[] = [];
  const end = performance.now() + FLOW_MS;
  const flow = async (): Promise<void> => {
    while (performance.now() < end) await gradwire.rpcAsync(SERVER, take, [tensor]);
  };
  const small = async (): Promise<void> => {
    while (performance.now() < end) {
      found.push(await timeMs(() => gradwire.rpcAsync(SERVER, empty)));
    }
  };
  await Promise.all([flow(), small()]);
  return found;
}
